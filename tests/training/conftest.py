"""The small data set, written once."""

from __future__ import annotations

import pytest

from tests.training.tiny import TRANSFORM, tiny_dataset
from trovid.training.clips import TrainingClips


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("squares"))


@pytest.fixture(scope="session")
def clips(dataset, tmp_path_factory):
    return TrainingClips(dataset, TRANSFORM, cache=tmp_path_factory.mktemp("frames"))
