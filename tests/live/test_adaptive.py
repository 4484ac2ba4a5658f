"""Changing the plan while the stream goes on: nothing clicks, nothing is lost, all is told."""

import threading
import time
from math import ceil

import numpy as np
import pytest

from rtsep.errors import RtsepError
from rtsep.live.file_session import run_paced
from rtsep.live.handover import SETTLE_S
from rtsep.live.load_watch import WATCHED_HOPS, LoadWatch
from rtsep.live.plans.notation import read_plan
from rtsep.live.plans.plan import PLANS
from rtsep.nets.sliding import SlidingState
from tests.live.streams import HOP, noise, push

SHORT = read_plan("64/1/1/1/asymmetric")
PART_OF_A_HOP = read_plan("64/1/0/0.5/asymmetric")
LONG = PLANS["balanced"]
LONGER = read_plan("64/8/8/8/hann")
# Hops that a change takes where any place will do, as in these tests.
HANDOVER = ceil(SETTLE_S * 44_100 / HOP) + 2


@pytest.fixture(autouse=True)
def _any_place_will_do(monkeypatch):
    monkeypatch.setattr("rtsep.live.handover.WITHIN_S", SETTLE_S)


@pytest.mark.parametrize(
    ("before", "after", "sizes"),
    [
        (SHORT, LONG, (HOP,)),
        (LONG, LONGER, (3000, 17, 999)),
        (LONGER, SHORT, (HOP,)),
        (LONG, PART_OF_A_HOP, (3000, 17, 999)),
        (PART_OF_A_HOP, SHORT, (64,)),
        pytest.param(LONG, PLANS["classic"], (441,), marks=pytest.mark.slow),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_after_a_change_it_is_as_if_the_new_plan_had_run_from_the_start(
    start_adaptive, start_engine, before, after, sizes
):
    audio, change_at = noise(120 * HOP, seed=1), 90 * HOP + 500
    if after.name == "classic":
        audio, change_at = noise(450 * HOP, seed=1), 420 * HOP + 500
    engine = start_adaptive(before, auto_level=False)
    first = push(engine, audio[:change_at], sizes)
    engine.change_plan(after, "because")
    last = push(engine, audio[change_at:], sizes)
    assert engine.plan is after

    old = push(start_engine(before), audio[:change_at], sizes)
    new = push(start_engine(after), audio, sizes)[change_at + HANDOVER * HOP :]
    np.testing.assert_array_equal(first, old)
    assert np.abs(new).max() > 0.01
    np.testing.assert_allclose(last[HANDOVER * HOP :], new, atol=1e-6)


def test_a_pure_delay_that_grows_without_a_gap(start_adaptive):
    engine = start_adaptive(SHORT)
    engine.bypass = True
    audio = noise(200 * HOP, seed=2)
    out = [push(engine, audio[: 90 * HOP])]
    engine.change_plan(LONG, "because")
    out.append(push(engine, audio[90 * HOP : 150 * HOP]))
    engine.change_plan(LONGER, "because")
    out.append(push(engine, audio[150 * HOP :]))
    out = np.concatenate(out)
    assert len(out) == len(audio)
    for plan, begin, end in (
        (SHORT, 10, 90), (LONG, 90 + HANDOVER, 150), (LONGER, 150 + HANDOVER, 200),
    ):  # fmt: skip
        here = slice(begin * HOP, end * HOP)
        delayed = slice(begin * HOP - plan.latency_samples, end * HOP - plan.latency_samples)
        np.testing.assert_allclose(out[here], audio[delayed], atol=1e-6)
    # During a fade both are heard, with gains that add up to 1.
    for begin, before, after in ((90, SHORT, LONG), (150, LONG, LONGER)):
        here = np.arange(begin * HOP, (begin + HANDOVER) * HOP)
        loudest = np.maximum(
            np.abs(audio[here - before.latency_samples]),
            np.abs(audio[here - after.latency_samples]),
        )
        assert (np.abs(out[here]) <= loudest + 1e-6).all()


@pytest.mark.parametrize("sizes", [(64,), (3000, 17, 999)], ids=str)
def test_a_change_does_not_click(start_adaptive, sizes):
    t = np.arange(200 * HOP) / 44_100
    audio = np.repeat(0.3 * np.sin(2 * np.pi * 221 * t)[:, None], 2, axis=1).astype(np.float32)
    engine = start_adaptive(SHORT, {"vocals": 1.0, "accompaniment": 1.0})
    out = [push(engine, audio[: 90 * HOP], sizes)]
    engine.change_plan(LONG, "because")
    out.append(push(engine, audio[90 * HOP : 150 * HOP], sizes))
    engine.change_plan(LONGER, "because")
    out.append(push(engine, audio[150 * HOP :], sizes))
    heard = np.concatenate(out)[20 * HOP :, 0]
    steepest = 0.3 * 2 * np.pi * 221 / 44_100
    assert np.abs(np.diff(heard)).max() < 1.1 * steepest
    # A corner is a jump of the slope.
    assert np.abs(np.diff(heard, 2)).max() < 3 * steepest**2 / 0.3


def test_the_level_goes_on_as_if_nothing_had_happened(start_adaptive, start_engine):
    # The loud beginning is no longer in the past that is replayed.
    audio = noise(160 * HOP, seed=3)
    audio[40 * HOP :] *= 0.05
    engine = start_adaptive(SHORT)
    push(engine, audio[: 150 * HOP])
    engine.change_plan(LONG, "because")
    push(engine, audio[150 * HOP :])
    unchanged = start_engine(LONG, auto_level=True)
    push(unchanged, audio)
    assert engine._current._path._level.gain == pytest.approx(unchanged._path._level.gain, rel=1e-9)


def test_gains_and_bypass_are_those_of_the_stream(start_adaptive):
    engine = start_adaptive(SHORT, {"vocals": 1.0, "accompaniment": 1.0})
    quiet = 0.01 * noise(80 * HOP, seed=3)
    push(engine, quiet)
    engine.gains[:] = 0.0
    engine.change_plan(LONG, "because")
    out = push(engine, quiet)
    assert np.abs(out[-20 * HOP :]).max() == 0.0
    engine.gains[:] = 0.5
    out = push(engine, quiet[: 20 * HOP])
    np.testing.assert_allclose(
        out[-4 * HOP :],
        0.5 * quiet[16 * HOP - LONG.latency_samples : 20 * HOP - LONG.latency_samples],
        atol=1e-6,
    )
    engine.bypass = True
    engine.change_plan(LONGER, "because")
    out = push(engine, quiet)
    np.testing.assert_allclose(
        out[-4 * HOP :],
        quiet[len(quiet) - 4 * HOP - LONGER.latency_samples : len(quiet) - LONGER.latency_samples],
        atol=1e-6,
    )


def test_stats_are_those_of_the_whole_stream_and_tell_the_changes(start_adaptive):
    said = []
    engine = start_adaptive(SHORT, said=said)
    audio = noise(100 * HOP)
    audio[3 * HOP, 0] = np.nan
    push(engine, audio, (512,))
    engine.counters.xruns["output_underflow"] += 1
    engine.change_plan(LONG, "late masks in 12% of hops")
    push(engine, noise(50 * HOP), (512,))
    stats = engine.stats()
    assert stats["hops"] == 150
    assert stats["late_masks"] <= HANDOVER  # in which the old nets do not run any more
    assert stats["nonfinite_blocks"] == 1
    assert stats["xruns"]["output_underflow"] == 1
    assert stats["plan"]["name"] == "balanced"
    assert stats["latency_samples"] == LONG.latency_samples
    assert stats["block_ms"] == pytest.approx(1000 * 512 / 44_100)
    (change,) = stats["plan_changes"]
    assert change["at_s"] == pytest.approx(100 * HOP / 44_100)
    assert (change["from"], change["to"]) == (SHORT.name, "balanced")
    assert change["why"] == "late masks in 12% of hops"
    assert len(said) == 1
    assert "12% of hops" in said[0] and "balanced, 255 ms in place of 93" in said[0]


@pytest.mark.parametrize("in_need", [True, False])
def test_only_where_the_machine_is_in_need_the_old_nets_stop_before_the_new_are_heard(
    start_adaptive, in_need
):
    engine = start_adaptive(SHORT)
    push(engine, noise(40 * HOP))
    nets = [worker._thread for worker in engine.workers]
    engine.change_plan(LONG, "because", in_need=in_need)
    assert [net.is_alive() for net in nets] == [not in_need] * 2
    push(engine, noise(50 * HOP))
    assert engine.plan is LONG
    engine.let_go()
    assert not any(net.is_alive() for net in nets)


@pytest.mark.slow
@pytest.mark.alone
def test_an_overloaded_stream_changes_by_itself_and_recovers(start_adaptive, monkeypatch):
    """Paced: every run is held up for longer than `low` allows, and well within what `balanced` does."""
    run = SlidingState.run

    def slow(state, *arguments):
        time.sleep(0.03)
        return run(state, *arguments)

    monkeypatch.setattr(SlidingState, "run", slow)
    monkeypatch.setattr("rtsep.live.plan_watch.slower_plan", lambda plan, run_ms, ladder: LONGER)
    said = []
    engine = start_adaptive(SHORT, {"vocals": 1.0, "accompaniment": 1.0}, watching=True, said=said)
    t = np.arange(330 * HOP) / 44_100
    audio = np.repeat(0.3 * np.sin(2 * np.pi * 221 * t)[:, None], 2, axis=1).astype(np.float32)
    out, late = [], []
    blocks = (audio[at : at + 512] for at in range(0, len(audio), 512))
    for part in run_paced(engine, blocks):
        out.append(part)
        late.append(engine.counters.late_masks)
    out = np.concatenate(out)
    assert len(out) == len(audio)
    assert engine.plan is LONGER
    (change,) = engine.plan_changes
    assert "late masks in" in change["why"] or "of its deadline" in change["why"]
    assert len(said) == 1
    assert late[-1] > 10
    steepest = 0.3 * 2 * np.pi * 221 / 44_100
    assert np.abs(np.diff(out[20 * HOP :, 0])).max() < 1.1 * steepest


def test_at_the_end_of_the_ladder_it_says_so_once_and_goes_on(start_adaptive, monkeypatch):
    monkeypatch.setattr("rtsep.live.plan_watch.slower_plan", lambda plan, run_ms, ladder: None)
    monkeypatch.setattr("rtsep.live.plan_watch.LOOK_S", 0.01)
    told, said = threading.Event(), []

    class Complaining(LoadWatch):
        def note(self, *arguments):
            told.set()
            return "too much"

    monkeypatch.setattr("rtsep.live.plans.steps.LoadWatch", Complaining)
    engine = start_adaptive(SHORT, watching=True, said=said)
    assert told.wait(10)
    push(engine, noise(40 * HOP))
    engine.check()
    engine._stopping.set()
    engine._watcher.join()
    assert said == [f"too much, and no plan is slower: going on with {SHORT.name}"]
    assert engine.plan is SHORT


def test_a_change_that_fails_is_told(start_adaptive, monkeypatch):
    class Complaining(LoadWatch):
        def note(self, *arguments):
            return "too much"

    monkeypatch.setattr("rtsep.live.plans.steps.LoadWatch", Complaining)
    monkeypatch.setattr("rtsep.live.plan_watch.LOOK_S", 0.01)

    def broken(plan, run_ms, ladder):
        raise MemoryError("no room")

    monkeypatch.setattr("rtsep.live.plan_watch.slower_plan", broken)
    engine = start_adaptive(SHORT, watching=True)
    engine._watcher.join(10)
    with pytest.raises(RtsepError, match="could not be changed.*no room"):
        engine.check()


# --- what is too much ------------------------------------------------------------------------------


def _watched(late_at, load=0.5, hops=3 * WATCHED_HOPS):
    """Reasons given over a stream in which the hops `late_at` are late."""
    watch, late, reasons = LoadWatch(0, 0), 0, []
    for hop in range(1, hops + 1):
        late += hop in late_at
        reasons.append(watch.note(hop, late, load))
    return [reason for reason in reasons if reason]


def test_late_masks_for_two_seconds_are_too_much():
    assert not _watched(range(0))
    assert not _watched(range(50, 90))  # a stall, once
    assert not _watched(range(0, 1000, 40))  # one in forty
    assert _watched(range(0, 1000, 8))[0] in [f"late masks in {n}% of hops" for n in (12, 13)]


def test_nothing_is_said_before_two_seconds_are_over():
    watch = LoadWatch(1000, 500)
    assert watch.note(1000, 500, 2.0) is None
    assert watch.note(1000 + WATCHED_HOPS - 1, 500 + WATCHED_HOPS - 1, 2.0) is None
    assert watch.note(1000 + WATCHED_HOPS, 500, 2.0) == "a run takes 200% of its deadline"


def test_a_load_of_nine_tenths_is_too_much():
    assert _watched(range(0), load=0.91)
    assert not _watched(range(0), load=0.89)
