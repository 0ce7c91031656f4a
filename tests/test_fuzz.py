"""Hostile input, a little of it: make fuzz does this for ten minutes a parser, guided by coverage."""

import logging
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.fuzz import INSTRUMENTED
from lab.fuzz.targets import TARGETS

TRIES = 60


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", TARGETS)
def test_odd_input_is_refused_in_words_or_keeps_every_promise(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    parse, rng = target.opened(tmp_path), random.Random(1)
    seeds = list(target.seeds())
    parse(seeds[0])
    whole = 0
    for _ in range(TRIES):
        seed = rng.choice(seeds)
        try:
            odd = target.bend(seed, rng)
        except (ValueError, OverflowError, RecursionError):
            continue
        whole += odd != seed
        parse(odd)
    assert whole > TRIES / 2


def test_each_parser_is_guided_by_its_own_modules() -> None:
    assert TARGETS.keys() == INSTRUMENTED.keys()
