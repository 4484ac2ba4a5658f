"""Nets that run on whole windows, live: equal to offline, with plans of their own."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtsep.errors import UsageError
from rtsep.live import INDEPENDENT, RATIO
from rtsep.live.engine import Engine
from rtsep.live.engine_maker import EngineMaker
from rtsep.live.plans.choice import AUTO_FLOOR_DB, HEAD_ROOM, choose, parse_latency, slower_plan
from rtsep.live.plans.ladder import LADDER, WINDOW_LADDER, ladder_of
from rtsep.live.plans.notation import read_plan
from rtsep.live.plans.plan import PLANS
from rtsep.live.plans.timing import PlanTiming
from rtsep.live.session import SessionSettings
from rtsep.nets.kinds import KINDS, kind_of
from rtsep.nets.registry import UNPUBLISHED, find_model
from rtsep_bench.made_up import made_up_stems
from tests.live.several_stems import two_unets_together
from tests.live.streams import HOP, noise, offline, through

PLAYER = find_model("player-unet")
# Short windows: the player's U-Net takes them, too.
PLAN = read_plan("64/4/2/3/hann/4")


@pytest.fixture(scope="module")
def player():
    """The model with the nets of its first two stems, which then are all of it."""
    from dataclasses import replace

    config = replace(PLAYER, stems=PLAYER.stems[:2])
    kind = kind_of(config)
    nets = [kind.net(config, arrays, "f32") for arrays in made_up_stems(config).values()]
    return config, nets


@pytest.mark.parametrize("independent", [None, ("vocals",)])
def test_live_is_offline(start_engine, player, independent):
    config, nets = player
    engine = start_engine(PLAN, model=player, independent=independent)
    audio = noise(20 * HOP, seed=3)
    # Frames of a window that does not fill any more are silent: offline has no masks of them.
    audio[-8 * HOP :] = 0
    out = through(engine, audio, sizes=[1000])[PLAN.latency_samples :]
    nets = nets[: len(independent)] if independent else nets
    expected = offline(config, nets, PLAN, audio, independent is not None)
    np.testing.assert_allclose(out, expected, atol=2e-6)
    assert engine.counters.late_masks == 0


def test_one_net_of_several_stems_is_as_good_as_several_nets(start_engine, two_stems, monkeypatch):
    """Live, with all masks and with one alone: the samples are those of the nets one by one."""
    config, nets = two_stems
    together, one_net = two_unets_together(config, nets, monkeypatch)
    audio = noise(12 * HOP, seed=4)
    plan = read_plan("64/4/2/3/hann/4")
    for independent in (None, ("accompaniment",)):
        gains = {"accompaniment": 1.0}
        one_by_one = start_engine(plan, gains, model=two_stems, independent=independent)
        at_once = Engine(
            together, [one_net], plan, gains, independent=independent, auto_level=False
        )
        assert [worker.stem for worker in at_once.workers] == ["vocals+accompaniment"]
        at_once.start()
        try:
            found = through(at_once, audio)
        finally:
            at_once.stop()
        np.testing.assert_array_equal(found, through(one_by_one, audio))
        assert at_once.stats()["worker_ms"].keys() == {"vocals+accompaniment"}


def test_a_plan_whose_window_the_nets_do_not_take(player, monkeypatch):
    config, nets = player
    from dataclasses import replace

    only = replace(KINDS["player-unet"], only_frames=(192,))
    monkeypatch.setitem(KINDS, "player-unet", only)
    message = "the nets of player-unet take windows of 192 frames, not of 64: choose a plan"
    with pytest.raises(UsageError, match=message) as error:
        Engine(config, nets, PLANS["low"], {})
    assert "\n" not in str(error.value)
    # Before any net is loaded: none is there.
    with pytest.raises(UsageError, match=message):
        EngineMaker(SessionSettings(model="player-unet", latency="low"))


@pytest.mark.parametrize("name", UNPUBLISHED)
def test_their_plans_are_of_windows_that_they_take(name):
    from rtsep.nets.kinds import check_window

    config = find_model(name)
    assert ladder_of(config) is WINDOW_LADDER and ladder_of(find_model("spleeter:2stems")) is LADDER
    for rung in WINDOW_LADDER:
        check_window(config, rung.plan.frames)
        assert set(rung.quality_db) == {RATIO, INDEPENDENT}
    latencies = [rung.plan.latency_samples for rung in WINDOW_LADDER]
    assert latencies == sorted(latencies)


@pytest.mark.parametrize("run_ms", [5, 60, 200, 1000])
def test_auto_takes_the_shortest_that_the_machine_sustains(run_ms):
    """A run costs the same under every plan, so the deadline decides."""

    def load_of(option):
        return run_ms / option.plan.deadline_ms

    choice = choose(parse_latency("auto"), (RATIO,), load_of, "4 nets", ladder=WINDOW_LADDER)
    plan = choice.option.plan
    assert plan in [rung.plan for rung in WINDOW_LADDER]
    assert load_of(choice.option) <= 1 - HEAD_ROOM
    shorter = [
        rung.plan
        for rung in WINDOW_LADDER
        if rung.plan.latency_samples + HOP / 2 < plan.latency_samples
        and rung.quality_db[RATIO] >= AUTO_FLOOR_DB
    ]
    assert all(run_ms / other.deadline_ms > 1 - HEAD_ROOM for other in shorter)


def test_the_next_slower_plan_is_of_the_same_ladder():
    plan = WINDOW_LADDER[0].plan
    steps = 0
    while (longer := slower_plan(plan, 1.0, WINDOW_LADDER)) is not None:
        assert longer.frames == 192 and longer.latency_samples > plan.latency_samples
        plan, steps = longer, steps + 1
    assert steps > 3 and math.isclose(plan.deadline_ms, WINDOW_LADDER[-1].plan.deadline_ms)


def test_one_timing_serves_every_stride(player, monkeypatch):
    """A run on a whole window costs the same however often it comes: only one plan is timed."""
    four_nets = 2 * player[1]
    timed = []

    def time_engine(engine):
        timed.append(engine.plan.name)
        return PlanTiming(500.0, 0.1)

    monkeypatch.setattr("rtsep.live.plans.timing.time_engine", time_engine)
    monkeypatch.setattr("rtsep.live.plans.timing_cache.TimingCache.get", lambda *_: None)
    monkeypatch.setattr("rtsep.live.plans.timing_cache.TimingCache.put", lambda *_: None)
    monkeypatch.setattr("rtsep.weights.load_nets.load_nets", lambda *_: four_nets)
    engine = EngineMaker(SessionSettings(model="player-unet", masking=RATIO))()
    assert timed == [max(WINDOW_LADDER, key=lambda rung: rung.plan.stride).plan.name]
    # 500 ms fit into 70 % of 32 hops, not of 16.
    assert engine.plan.name == "192/32/8/32/hann"
