"""Addresses of stores (s3://...): which commands take them."""

from __future__ import annotations

from collections.abc import Sequence

from trovid.errors import TrovidError


def check_addresses(command: str, words: Sequence[str]) -> None:
    """Refuses addresses where only files and folders of this machine are taken.

    `trovid detect --shard` takes them as its folder and as --out, `trovid merge` as its folder; a
    file of that name on the disk would be neither meant nor noticed elsewhere.

    Args:
        command: Which one.
        words: Its words.

    Raises:
        TrovidError: If there is one.

    Example:
        >>> check_addresses("detect", ["s3://bucket/videos", "--shard", "0/2"])
        >>> check_addresses("merge", ["--out=all.parquet", "s3://bucket/out"])
        >>> check_addresses("merge", ["s3://bucket/out", "--out", "s3://bucket/all.parquet"])
        Traceback (most recent call last):
        trovid.errors.TrovidError: s3://bucket/all.parquet: ...
    """
    if not any("://" in word for word in words):
        return
    from trovid.runs.places import is_store

    shard = any(word.partition("=")[0] == "--shard" for word in words)
    option = ""
    for word in words:
        name, _, value = word.partition("=") if word.startswith("--") else (option, "", word)
        option = word if word.startswith("--") and "=" not in word else ""
        taken = (command == "detect" and shard) or (command == "merge" and name != "--out")
        if is_store(value) and not taken:
            raise TrovidError(
                f"{value}: `trovid {command}` takes files and folders of this machine here: fetch "
                "it or mount the store; addresses are for `trovid detect --shard` and the folder "
                "of `trovid merge`"
            )
