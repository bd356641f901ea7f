"""The names of evaluation protocols, as they are typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trovid.errors import TrovidError, nearest

if TYPE_CHECKING:
    from trovid.evaluation.clip_matches import ProtocolName


def protocol_names(text: str) -> list[ProtocolName]:
    """The protocols of a list with commas.

    Raises:
        TrovidError: If one is unknown.
    """
    from trovid.evaluation.clip_matches import PROTOCOLS

    known: dict[str, ProtocolName] = {name: name for name in PROTOCOLS}
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in known:
            raise TrovidError(f"--protocols: no protocol {word!r}{nearest(word, known)}")
    return [known[word] for word in words]
