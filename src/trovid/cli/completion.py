"""`trovid completion`: commands, options, choices and files by the Tab key."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from trovid.files import replacing


def completion(
    shell: Literal["bash", "zsh", "fish", "powershell"], /, *, out: Path | None = None
) -> None:
    """Print the script by which a shell completes trovid's commands, options and files.

    Examples:
        eval "$(trovid completion bash)"  # in ~/.bashrc, or in this shell alone
        trovid completion zsh --out ~/.zsh/completions/_trovid  # a folder of $fpath
        trovid completion fish --out ~/.config/fish/completions/trovid.fish

    Args:
        shell: Which shell; it takes the script up when it is started the next time.
        out: The file to write in place of printing; replaced where it exists.
    """
    from trovid.cli.main import build_app

    script = build_app().generate_completion(shell=shell)
    if out is None:
        print(script, end="")
        return
    path = out.expanduser()
    with replacing(path) as partial:
        partial.write_text(script, encoding="utf-8")
    print(path)
