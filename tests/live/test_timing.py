"""What is timed, what a load is made of, and that timings kept are trusted only where they fit."""

import json

import numpy as np
import pytest

from rtsep.live.engine import Engine
from rtsep.live.plans import timing_cache
from rtsep.live.plans.choice import HEAD_ROOM
from rtsep.live.plans.notation import read_plan
from rtsep.live.plans.plan import MOST_WAITED, PLANS
from rtsep.live.plans.timing import (
    FEWEST_RUNS,
    RUNS,
    WARM_HOPS,
    PlanTiming,
    slowest_s,
    time_engine,
)
from rtsep.live.plans.timing_cache import TimingCache, timing_name
from rtsep.live.worker import Worker


class Ticks:
    """A clock that moves by a millisecond whenever it is looked at."""

    def __init__(self, step_s=1e-3):
        self.now_s, self.step_s = 0.0, step_s

    def __call__(self):
        self.now_s += self.step_s
        return self.now_s


@pytest.mark.parametrize("name", ["64/1/1/0.25/asymmetric", "64/4/4/4/hann"])
def test_a_timing_is_of_runs_beyond_the_warm_up(two_stems, monkeypatch, name):
    monkeypatch.setattr(
        Worker, "own_s", property(lambda worker: 0.0, lambda worker, own_s: None), raising=False
    )
    config, nets = two_stems
    plan = read_plan(name)
    engine = Engine(config, nets, plan, {})
    timing = time_engine(engine, Ticks())
    assert timing.callback_ms == pytest.approx(1.0)
    assert timing.run_ms == pytest.approx(2.0)  # with a look at the clock between
    assert engine.counters.hops >= WARM_HOPS + FEWEST_RUNS * plan.stride
    assert engine.counters.hops <= WARM_HOPS + RUNS * plan.stride
    assert engine.counters.late_masks == 0
    assert not any(worker._thread.is_alive() for worker in engine.workers)


def test_the_slowest_run_counts_but_not_what_other_programs_take():
    rng = np.random.default_rng(1)
    own_s = 0.010 + 0.001 * rng.random(24)
    handed_over_s = 0.002
    assert slowest_s(own_s + handed_over_s, own_s) == pytest.approx(np.sort(own_s)[-2] + 0.002)
    # Some runs are interrupted; once the machine stands still, which the thread takes for its own.
    others_s = np.where(rng.random(24) < 0.5, 0.02 * rng.random(24), 0)
    slowest = slowest_s(own_s + handed_over_s + others_s, own_s)
    assert slowest == pytest.approx(np.sort(own_s)[-2] + 0.002)
    own_s[3] += 0.006
    assert slowest_s(own_s + handed_over_s, own_s) <= 0.0131
    # Slow twice is what the machine does.
    own_s[7] += 0.006
    assert slowest_s(own_s + handed_over_s, own_s) >= 0.018


def test_stalls_seen_while_playing_count_beyond_the_head_room():
    hop_ms = 1024 / 44.1
    assert PlanTiming(10.0, 1.0, stall_ms=6.0).load(PLANS["low"]) == pytest.approx(10 / hop_ms)
    assert PlanTiming(10.0, 1.0, stall_ms=9.0).load(PLANS["low"]) == pytest.approx(
        (19 - HEAD_ROOM * hop_ms) / hop_ms
    )


def test_a_slow_machine_is_not_timed_for_long(two_stems):
    config, nets = two_stems
    engine = Engine(config, nets, PLANS["low"], {})
    time_engine(engine, Ticks(step_s=10.0))
    assert engine.counters.hops == WARM_HOPS + FEWEST_RUNS


def test_a_load_is_the_run_and_the_callbacks_that_fall_into_its_deadline():
    timing = PlanTiming(run_ms=10.0, callback_ms=1.0)
    hop_ms = 1024 / 44.1
    assert timing.load(PLANS["low"]) == pytest.approx(10 / hop_ms)
    assert timing.load(PLANS["balanced"]) == pytest.approx(11 / (2 * hop_ms))
    assert timing.load(read_plan("64/4/4/4/hann")) == pytest.approx(13 / (4 * hop_ms))
    half = read_plan("64/1/1/0.5/hann")
    # Two blocks, and the one between a window's last sample and the first that needs its masks.
    assert timing.load(half, 256) == pytest.approx(10 / (0.75 * hop_ms))


def test_a_load_depends_on_the_blocks_of_the_device():
    timing = PlanTiming(run_ms=10.0, callback_ms=1.0)
    # No time between two blocks: the two runs that one block needs have what its callback waits.
    waited_ms = 1000 * MOST_WAITED * 4096 / 44_100
    assert timing.load(PLANS["low"], 4096) == pytest.approx(10 / min(waited_ms / 2, 1024 / 44.1))
    assert timing.load(PLANS["low"], 1100) == pytest.approx(
        10 / (1000 * MOST_WAITED * 1100 / 44_100)
    )
    assert timing.load(PLANS["low"], 256) == timing.load(PLANS["low"])
    assert timing.load(PLANS["low"], 441) > timing.load(PLANS["low"])
    # With some blocks half a hop is none.
    half = read_plan("64/1/1/0.5/asymmetric/4")
    assert timing.load(half, 882) == timing.load(half) == np.inf


# --- kept --------------------------------------------------------------------------------------


def test_a_timing_is_found_again_by_its_name_only(tmp_path):
    cache = TimingCache(tmp_path / "folder" / "timings.json")
    cache.put("one", PlanTiming(1.5, 0.5))
    cache.put("two", PlanTiming(2.5, 0.5, 3.5))
    again = TimingCache(cache.path)
    assert again.get("one") == PlanTiming(1.5, 0.5)
    assert again.get("two") == PlanTiming(2.5, 0.5, 3.5)
    assert again.get("three") is None
    assert [path.name for path in cache.path.parent.iterdir()] == ["timings.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1, 2]",
        "\x00\xff",
        '{"one": 3}',
        '{"one": {"run_ms": 1.5}}',
        '{"one": {"run_ms": "1.5", "callback_ms": 0.5}}',
        '{"one": {"run_ms": NaN, "callback_ms": 0.5}}',
        '{"one": {"run_ms": -1.5, "callback_ms": 0.5}}',
        '{"one": {"run_ms": Infinity, "callback_ms": 0.5}}',
        "[" * 100_000,
    ],
)
def test_a_damaged_file_holds_nothing_and_is_replaced(tmp_path, text):
    path = tmp_path / "timings.json"
    path.write_text(text, encoding="latin-1")
    cache = TimingCache(path)
    assert cache.get("one") is None
    cache.put("one", PlanTiming(1.5, 0.5))
    assert cache.get("one") == PlanTiming(1.5, 0.5)
    json.loads(path.read_text())


def test_a_folder_that_cannot_be_written_is_no_error_but_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    cache = TimingCache(tmp_path / "file" / "timings.json")
    cache.put("one", PlanTiming(1.5, 0.5))
    assert "cannot write" in cache.failure and "timings.json" in cache.failure
    assert cache.get("one") is None


def test_without_a_folder_nothing_is_kept_and_that_is_told(monkeypatch):
    monkeypatch.setattr(timing_cache, "CACHE_FOLDER", None)
    cache = TimingCache()
    assert cache.get("one") is None
    cache.put("one", PlanTiming(1.5, 0.5))
    assert "no home folder" in cache.failure and "set RTSEP_KERNEL_CACHE" in cache.failure


def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    resource = pytest.importorskip("resource")
    cache = TimingCache(tmp_path / "timings.json")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        cache.put("one", PlanTiming(1.5, 0.5))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large: make room" in cache.failure
    assert list(tmp_path.iterdir()) == []
    cache.put("one", PlanTiming(1.5, 0.5))
    assert cache.failure is None


def test_the_name_tells_everything_that_a_timing_depends_on(monkeypatch):
    low, names = PLANS["low"], set()
    names.add(timing_name("spleeter:2stems", 2, low, "f32"))
    names.add(timing_name("spleeter:4stems", 2, low, "f32"))
    names.add(timing_name("spleeter:2stems", 1, low, "f32"))
    names.add(timing_name("spleeter:2stems", 2, PLANS["balanced"], "f32"))
    names.add(timing_name("spleeter:2stems", 2, low, "bf16"))
    monkeypatch.setattr(timing_cache, "cpu_name", lambda: "another")
    names.add(timing_name("spleeter:2stems", 2, low, "f32"))
    monkeypatch.setattr(timing_cache, "usable_cores", lambda: 99)
    names.add(timing_name("spleeter:2stems", 2, low, "f32"))
    monkeypatch.setattr(timing_cache, "_sources_hash", lambda: "0" * 12)
    names.add(timing_name("spleeter:2stems", 2, low, "f32"))
    assert len(names) == 8
    # What makes no difference to the time makes none to the name.
    alike = read_plan("64x3+128/1/1/0.5/hann/4")
    assert timing_name("m", 2, low, "f32") == timing_name("m", 2, alike, "f32")
