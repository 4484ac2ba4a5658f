"""Engines go as soon as nothing refers to them, with all they hold, whatever has become of them."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from rtsep.errors import RtsepError
from rtsep.live.adaptive import AdaptiveEngine
from rtsep.live.engine import Engine
from rtsep.live.file_session import run_unpaced
from rtsep.live.plans.notation import read_plan
from rtsep.nets.sliding import SlidingState
from tests.live.streams import HOP, noise, push

PLAN, LONGER = read_plan("64/1/1/1/asymmetric"), read_plan("64/2/4/2/hann")


@pytest.fixture(autouse=True)
def no_collector(monkeypatch):
    gc.collect()
    gc.disable()
    # Engine.start collects by itself.
    monkeypatch.setattr(gc, "collect", lambda: 0)
    yield
    gc.enable()


@pytest.fixture(params=["plain", "adaptive", "watching"])
def make(request, two_stems):
    def engine(plan):
        return Engine(*two_stems, plan, {"vocals": 1.0})

    if request.param == "plain":
        return lambda: engine(PLAN)
    watching = request.param == "watching"
    return lambda: AdaptiveEngine(engine, PLAN, lambda line: None, watching=watching)


def _references(engine):
    """To what the memory hangs on."""
    inner = engine if isinstance(engine, Engine) else engine._current
    watched = [engine, inner, inner.history, *inner.workers]
    return [weakref.ref(part) for part in watched]


@pytest.mark.parametrize("use", ["made", "warmed up", "played"])
def test_an_engine_goes_with_the_last_reference(make, use):
    engine = make()
    if use == "warmed up":
        engine.warm_up()
    if use == "played":
        engine.start()
        push(engine, noise(4 * HOP))
        engine.stop()
    left = _references(engine)
    del engine
    assert [reference() for reference in left if reference() is not None] == []


def test_engines_that_were_exchanged_go_too(two_stems):
    engine = AdaptiveEngine(
        lambda plan: Engine(*two_stems, plan, {}), PLAN, lambda line: None, watching=False
    )
    engine.start()
    first = weakref.ref(engine._current)
    push(engine, noise(80 * HOP))
    engine.change_plan(LONGER, "because")
    push(engine, noise(10 * HOP))
    engine.stop()
    last = weakref.ref(engine._current)
    assert last() is not first()
    del engine
    assert (first(), last()) == (None, None)


def test_an_engine_whose_worker_has_failed_goes_too(make, monkeypatch):
    engine = make()
    engine.warm_up()
    engine.start()

    def broken(state, *arguments):
        raise ArithmeticError("no such number")

    monkeypatch.setattr(SlidingState, "run", broken)
    try:
        for _ in run_unpaced(engine, [noise(20 * HOP)]):
            pass
    except RtsepError as error:
        assert "no such number" in str(error)
    else:
        pytest.fail("the failure was swallowed")
    engine.stop()
    left = _references(engine)
    del engine
    assert [reference() for reference in left if reference() is not None] == []


def test_an_engine_can_be_stopped_that_never_ran(make):
    engine = make()
    engine.stop()
    engine = make()
    engine.start()
    out = np.zeros((HOP, 2), np.float32)
    engine.process(noise(HOP), out)
    engine.stop()
