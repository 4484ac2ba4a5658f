"""Which weights a benchmark runs on: the genuine ones where they are, made-up ones elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rtsep.errors import WeightsError
from rtsep.nets.registry import ModelConfig
from rtsep.weights import library as weights
from rtsep.weights.download import ByteProgress
from rtsep.weights.store import StemArrays
from rtsep_bench.made_up import made_up_stems, write_made_up

GENUINE, OWN, MADE_UP = "genuine", "own", "made-up"


def choose(config: ModelConfig, asked_for: str | None, say: Callable[[str], None]) -> str:
    """``genuine``, ``own`` or ``made-up``: what was asked for, or else what is installed.

    ``own`` is what one has trained and imported.

    Genuine weights that are asked for and not there are fetched, step by step told to `say`.
    Raises WeightsError where that fails, or where what is installed is not the official checkpoint.
    """
    if asked_for == MADE_UP:
        return MADE_UP
    if asked_for == GENUINE and not weights.is_installed(config.weights_name):
        weights.fetch(config.weights_name, progress=_each_step_once(say))
    found = weights.inspect(config.weights_name)
    if found is not None and found.genuine:
        return GENUINE
    if found is not None and found.own:
        if asked_for == GENUINE:
            raise WeightsError(
                f"{config.name} is your own, without an official checkpoint: leave --weights out"
            )
        return OWN
    if asked_for == GENUINE:
        raise WeightsError(
            f"the installed weights of {config.weights_name} are not the official checkpoint:"
            f" run `rtsep-weights fetch {config.weights_name} --force`"
        )
    return MADE_UP


def load(config: ModelConfig, kind: str) -> dict[str, StemArrays]:
    """The canonical arrays of each stem; kind as from `choose`. Raises WeightsError."""
    return made_up_stems(config) if kind == MADE_UP else weights.load(config)


def prepare_folder(config: ModelConfig, kind: str, spare: Path) -> Path:
    """A weights folder that holds these weights: the user's own, or `spare` with made-up ones."""
    if kind != MADE_UP:
        return weights.cache_folder()
    with weights_from(spare):
        write_made_up(config, weights.weights_path(config.weights_name))
    return spare


@contextmanager
def weights_from(folder: Path) -> Iterator[None]:
    """Within this block, rtsep looks for its weights in `folder`."""
    before = os.environ.get(weights.CACHE_VARIABLE)
    os.environ[weights.CACHE_VARIABLE] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[weights.CACHE_VARIABLE]
        else:
            os.environ[weights.CACHE_VARIABLE] = before


def describe(config: ModelConfig, kind: str) -> str:
    """A sentence for a report's notes."""
    what = {GENUINE: "genuine", OWN: "your own", MADE_UP: "made up (seeded), of the genuine shapes"}
    return f"Weights of {config.name}: {what[kind]}."


def _each_step_once(say: Callable[[str], None]) -> ByteProgress:
    told: set[str] = set()

    def progress(done_bytes: int, total_bytes: int | None, what: str) -> None:
        if what not in told:
            told.add(what)
            say(what)

    return progress
