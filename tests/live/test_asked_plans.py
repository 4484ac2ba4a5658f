"""Another plan, asked for while the stream plays: by a page, by OSC, by a program."""

from __future__ import annotations

import random
import time
from types import SimpleNamespace

import numpy as np
import pytest

from rtsep.control.stream import StreamCommands
from rtsep.errors import UsageError
from rtsep.live.file_session import run_paced
from rtsep.live.handover import SETTLE_S
from rtsep.live.load_watch import LoadWatch
from rtsep.live.plans.choice import HEAD_ROOM, version_with_room
from rtsep.live.plans.ladder import WINDOW_LADDER, Rung, offers_of, versions, work_on
from rtsep.live.plans.notation import read_plan
from rtsep.live.plans.plan import PLANS
from rtsep.nets.registry import find_model
from tests.live.streams import HOP, noise, push

LOW, BALANCED, LONGER = PLANS["low"], PLANS["balanced"], read_plan("64/8/8/8/hann")
# A change of plan takes as long as the machine needs; a minute is more than several of them.
MOST_BLOCKS = 6000
ONLY = {plan.name: (Rung(plan, {"ratio": 0.0}),) for plan in (LOW, BALANCED)}


@pytest.fixture
def start(start_adaptive, monkeypatch):
    monkeypatch.setattr("rtsep.live.plan_watch.LOOK_S", 0.01)
    monkeypatch.setattr("rtsep.live.handover.WITHIN_S", SETTLE_S)
    both = {"vocals": 1.0, "accompaniment": 1.0}
    return lambda plan, offers: start_adaptive(plan, both, offers=offers)


@pytest.mark.slow
@pytest.mark.alone
def test_asked_for_fifty_times_a_second_it_clicks_not_and_ends_at_the_last(start):
    # `classic` would let silence be heard for as long as there was no sound 6 s ago.
    engine = start(LOW, {plan.name: versions(plan) for plan in (LOW, BALANCED, LONGER)})
    chosen = random.Random(18)
    out, asked, changed = [], 0, 0

    def tone():
        """Until it has stayed with the last plan for as long as an earlier change may take to come."""
        stayed = 0
        for at in range(MOST_BLOCKS):
            stays = is_last() and engine.plan is BALANCED and not engine.is_changing
            stayed = stayed + 1 if stays else 0
            if stayed > 400:
                return
            t = np.arange(441 * at, 441 * (at + 1)) / 44_100
            mono = 0.3 * np.sin(2 * np.pi * 221 * t)
            yield np.repeat(mono[:, None], 2, axis=1).astype(np.float32)

    def is_last():
        return asked >= 200 and changed > 3

    for at, part in enumerate(run_paced(engine, tone())):
        out.append(part)
        if at >= 100 and at % 2 and not is_last():
            asked += 1
            changed = len(engine.plan_changes)
            engine.ask_for("balanced" if is_last() else chosen.choice(list(engine.offers)))
    engine.check()
    assert is_last()
    assert engine.plan is BALANCED and not engine.is_changing
    heard = np.concatenate(out)[44_100 // 2 :, 0]
    steepest = 0.3 * 2 * np.pi * 221 / 44_100
    assert np.abs(np.diff(heard)).max() < 1.1 * steepest
    # Two delays of a tone may cancel each other while they are faded, for a moment.
    pieces = heard[: len(heard) // 11_025 * 11_025].reshape(-1, 11_025)
    assert np.sqrt(np.mean(np.square(pieces), axis=1)).min() > 0.3 * 0.3 / np.sqrt(2)


def test_what_was_asked_for_bounds_what_the_load_may_change(start, monkeypatch):
    seen = []

    class Complaining(LoadWatch):
        def note(self, *arguments):
            return "too much"

    def none_slower(plan, run_ms, ladder):
        seen.append((plan, ladder))

    monkeypatch.setattr("rtsep.live.plans.steps.LoadWatch", Complaining)
    monkeypatch.setattr("rtsep.live.plans.steps.APART_S", 0.0)
    monkeypatch.setattr("rtsep.live.plan_watch.slower_plan", none_slower)
    engine = start(LOW, ONLY)
    push(engine, noise(40 * HOP))
    time.sleep(0.1)
    assert seen == [], "nobody has asked for anything: the plan is to be left alone"
    engine.ask_for("balanced")
    _until(lambda: engine._offered is not None)
    push(engine, noise(60 * HOP))
    _until(lambda: (BALANCED, ONLY["balanced"]) in seen)
    assert engine.plan is BALANCED


def test_the_best_version_with_room_is_taken():
    alike = versions(LOW)
    work = work_on(alike)
    by_work = sorted(alike, key=lambda rung: work(rung.plan))
    assert len(by_work) > 2
    for number, rung in enumerate(by_work, 1):
        # So fast that this version just leaves room, and none of more work does.
        run_ms = (1 - HEAD_ROOM) * rung.plan.deadline_ms * work(BALANCED) / work(rung.plan)
        best = max(by_work[:number], key=lambda rung: max(rung.quality_db.values()))
        assert version_with_room(alike, BALANCED, 0.999 * run_ms) is best.plan
    assert version_with_room(alike, BALANCED, 1e6) is by_work[0].plan


@pytest.mark.parametrize("model", ["spleeter:2stems", "d3net"])
def test_there_is_a_choice_for_every_model(model):
    offers = offers_of(find_model(model))
    if model == "d3net":
        assert [rungs[0] for rungs in offers.values()] == list(WINDOW_LADDER)
    else:
        assert list(offers) == list(PLANS)
        assert all(PLANS[name] in [rung.plan for rung in rungs] for name, rungs in offers.items())


def _commands(engine):
    mixer = SimpleNamespace(bypassed=False, stem_states=list)
    return StreamCommands(engine, mixer, lambda: {"total": 1.0})


def test_the_control_offers_it_and_tells_what_runs(start, start_engine, monkeypatch):
    engine = start(PLANS["balanced"], offers_of(find_model("spleeter:2stems")))
    commands = _commands(engine)
    monkeypatch.setattr(commands, "_levels_dbfs", lambda: {"mix": 0.0})
    assert "plan" in commands.commands
    stream = commands.state()["stream"]
    assert (stream["plan_choice"], stream["plans"]) == ("balanced", list(PLANS))
    with pytest.raises(UsageError, match="no plan 'lo' here: choose from low, balanced, classic"):
        commands.do_plan("lo")

    fixed = _commands(start_engine(BALANCED))
    assert "plan" not in fixed.commands
    with pytest.raises(UsageError, match="the plan is balanced and cannot be changed: got 'low'"):
        fixed.do_plan("low")


def _until(condition):
    ends_s = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < ends_s
        time.sleep(0.01)
