"""Which options belong to which experiment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from trovid.cli.experiment_runs import DAVIS_ALONE, EVERYDAY, NO_TRAINING, SYNTHVID_ALONE, Name
from trovid.errors import TrovidError

NOT_OF = {
    "--seeds": ("premise", "blur", *EVERYDAY),
    "--first-seed": ("premise", "blur"),
    "--clips": (*DAVIS_ALONE, *EVERYDAY),
    "--first-clip": tuple(set(get_args(Name)) - {"synthvid", "synthvid-masks"}),
    "--workers": ("premise", "blur", "everyday-limits"),
    "--device": ("premise", "recognition", *EVERYDAY),
}
"""Options that some experiments have no use for."""
LOWEST = {"--first-seed": 0, "--first-clip": 0}
"""The lowest value of a number, where it is not 1."""


def check_options(name: str, given: Mapping[str, Any]) -> None:
    """Refuses what an experiment would not use, and what it cannot do without.

    Args:
        name: The experiment, by its first name.
        given: By option what was given, None where it was not.

    Raises:
        TrovidError: In one line, what to leave out or to give.
    """
    there = {option for option, value in given.items() if value is not None}
    _check_numbers(given)
    if "--no-training" in there:
        if there & {"--seeds", "--first-seed"}:
            raise TrovidError(
                "--no-training runs the weights that come with trovid, of their one seed: leave "
                "out --seeds and --first-seed"
            )
        if "--data" in there or name not in (*NO_TRAINING, "all"):
            *others, last = NO_TRAINING
            raise TrovidError(
                f"--no-training belongs to {', '.join(others)} and {last} on SynthVID"
            )
    for option, names in NOT_OF.items():
        if option in there and name in names:
            raise TrovidError(f"{option} is of no use to `trovid experiment {name}`: leave it out")
    if "--embed" in there and name not in ("synthvid", "synthvid-masks", "everyday"):
        raise TrovidError(
            "--embed belongs to `trovid experiment synthvid`, synthvid-masks and everyday"
        )
    _check_data(name, there)


def _check_numbers(given: Mapping[str, Any]) -> None:
    for option, value in given.items():
        lowest = LOWEST.get(option, 1)
        if isinstance(value, int) and value < lowest:
            raise TrovidError(f"{option} must be at least {lowest}, but is {value}")


def _check_data(name: str, there: set[str]) -> None:
    """Of what is read: the data set, pictures, weights."""
    data = "--data" in there
    if data and name in SYNTHVID_ALONE:
        raise TrovidError(f"{name} is of SynthVID alone, {SYNTHVID_ALONE[name]}: leave out --data")
    paper = data and name not in (*EVERYDAY, *DAVIS_ALONE)
    if "--backbone" in there and name != "everyday" and not paper:
        raise TrovidError("--backbone belongs to --data ILSVRC2015 and to `everyday`")
    if name in DAVIS_ALONE and not data:
        raise TrovidError(
            f"{name} needs --data, the folder of DAVIS 2016 (JPEGImages, Annotations)"
        )
    if "--stills" in there and name not in ("recognition", *EVERYDAY):
        raise TrovidError(
            "--stills belongs to `trovid experiment recognition`, everyday and everyday-limits"
        )
    if "--pictures" in there and (name != "everyday-limits" or not data):
        raise TrovidError("--pictures belongs to `trovid experiment everyday-limits` with --data")
    if "--clip" in there and (name != "everyday" or not data or "--stills" in there):
        raise TrovidError("--clip belongs to `trovid experiment everyday` with --data alone")
    if "--model" in there and name != "blur":
        raise TrovidError("--model belongs to `trovid experiment blur`")
    if "--every" in there and (name in EVERYDAY or (name != "synthvid" and not data)):
        raise TrovidError("--every belongs to `synthvid` and to --data")
