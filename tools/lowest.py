"""Prints the lowest version of everything that pyproject.toml asks for, as pip's constraints.

python tools/lowest.py > lowest.txt
pip install --constraint lowest.txt --editable ".[dev]"
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

NEWER = "oracles"
"""The extra that asks for newer versions than trovid does; it is left out."""
PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def lowest(requirement: str) -> str:
    """The requirement held at its lower bound: `moto[s3]>=5.1,<6` gives `moto==5.1`."""
    found = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*[=>]=\s*([0-9][^,;\s]*)", requirement)
    if found is None:
        raise SystemExit(f"{PROJECT.name}: `{requirement}` must state its lowest version (>=)")
    return "{}=={}".format(*found.groups())


def main() -> None:
    project = tomllib.loads(PROJECT.read_text())["project"]
    extras = project["optional-dependencies"]
    groups = [project["dependencies"], *(extras[name] for name in extras if name != NEWER)]
    print("\n".join(sorted({lowest(requirement) for group in groups for requirement in group})))


if __name__ == "__main__":
    main()
