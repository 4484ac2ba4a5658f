"""Engines with made-up weights of two stems."""

from __future__ import annotations

import pytest

from rtsep.live.engine import Engine
from rtsep.nets.registry import find_model
from rtsep.weights.load_nets import load_nets


@pytest.fixture(scope="session")
def two_stems(_made_up_weights_folder):
    """The model of two stems and its nets."""
    config = find_model("spleeter:2stems")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RTSEP_WEIGHTS", str(_made_up_weights_folder))
        return config, load_nets(config)


@pytest.fixture
def start_engine(two_stems):
    """Makes and starts engines; ends them after the test.

    independent: stems whose nets run without the others. Gains are those of the vocals alone where
        none are given.
    """
    engines = []

    def start(plan, gains=None, *, model=two_stems, independent=None, **options):
        config, nets = model
        if independent is not None:
            nets = [nets[config.stems.index(stem)] for stem in independent]
        gains = {"vocals": 1.0} if gains is None else gains
        engine = Engine(
            config, nets, plan, gains, independent=independent, **{"auto_level": False, **options}
        )
        engine.start()
        engines.append(engine)
        return engine

    yield start
    for engine in engines:
        engine.stop()
