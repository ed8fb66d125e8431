"""Texts for the stages."""

import random

import pytest

from adapt.records import Text

from ..conftest import sentence


@pytest.fixture
def texts():
    rng = random.Random(11)
    return [Text(str(i), " ".join(sentence(rng) for _ in range(3))) for i in range(20)]
