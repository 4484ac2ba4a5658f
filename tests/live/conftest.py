"""Engines with made-up weights of two stems."""

from __future__ import annotations

import pytest

from rtsep.live.adaptive import AdaptiveEngine
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
def _engines():
    """Those that a test has started, which end with it."""
    engines = []
    yield engines
    for engine in engines:
        engine.stop()


@pytest.fixture
def start_adaptive(two_stems, _engines):
    """Makes and starts engines whose plan can be changed; ends them after the test.

    said: a list of what they say. offers: as of AdaptiveEngine. Gains are those of the vocals alone
        where none are given.
    """

    def start(plan, gains=None, *, watching=False, said=None, offers=None, **options):
        def make(plan):
            mixed = {"vocals": 1.0} if gains is None else gains
            return Engine(*two_stems, plan, mixed, **options)

        said = [] if said is None else said
        engine = AdaptiveEngine(make, plan, said.append, watching=watching, offers=offers or {})
        engine.start()
        _engines.append(engine)
        return engine

    return start


@pytest.fixture
def start_engine(two_stems, _engines):
    """Makes and starts engines; ends them after the test.

    independent: stems whose nets run without the others. Gains are those of the vocals alone where
        none are given.
    """

    def start(plan, gains=None, *, model=two_stems, independent=None, **options):
        config, nets = model
        if independent is not None:
            nets = [nets[config.stems.index(stem)] for stem in independent]
        gains = {"vocals": 1.0} if gains is None else gains
        engine = Engine(
            config, nets, plan, gains, independent=independent, **{"auto_level": False, **options}
        )
        engine.start()
        _engines.append(engine)
        return engine

    return start
