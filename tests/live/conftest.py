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

    alone: stems whose nets run alone. Gains are those of the vocals alone where none are given.
    """
    engines = []

    def start(plan, gains=None, *, model=two_stems, alone=None, **options):
        config, nets = model
        if alone is not None:
            nets = [nets[config.stems.index(stem)] for stem in alone]
        gains = {"vocals": 1.0} if gains is None else gains
        engine = Engine(config, nets, plan, gains, alone=alone, **{"auto_level": False, **options})
        engine.start()
        engines.append(engine)
        return engine

    yield start
    for engine in engines:
        engine.stop()
