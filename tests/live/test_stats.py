"""What is counted of a stream: durations of whole callbacks, the time between two, the newest ones."""

import time

import numpy as np
import pytest

from rtsep.devices.audio_stream import Xruns
from rtsep.live.device_adapter import DeviceAdapter
from rtsep.live.file_session import run_unpaced
from rtsep.live.plans.plan import StreamPlan
from rtsep.live.stats import KEPT, KEPT_MOMENTS, Counters, Durations

PLAN = StreamPlan("short", frames=64, stride=4, look_ahead=0, compute_delay=4)
PUSHED_S = 0.02


class SlowRecorder:
    """Takes its time, as no recorder should."""

    def push(self, _block):
        time.sleep(PUSHED_S)


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_a_callback_is_timed_as_a_whole_and_once(start_engine, rate):
    engine = start_engine(PLAN)
    bridge = DeviceAdapter(engine, rate, 2, 2, recorder=SlowRecorder())
    silence, out = np.zeros((2, 512, 2), np.float32)
    for _ in range(3):
        bridge.process(silence, out)
    assert engine.callback_durations.count == 3
    assert engine.callback_durations.newest(3).min() >= PUSHED_S
    assert engine.stats()["callback_ms"]["p50"] >= 1000 * PUSHED_S


def test_files_are_timed_block_by_block(start_engine):
    engine = start_engine(PLAN)
    assert engine.stats()["block_ms"] == 0
    list(run_unpaced(engine, np.zeros((40, 256, 2), np.float32)))
    assert engine.callback_durations.count == 40
    assert engine.played_s == pytest.approx(10 * 1024 / 44_100)
    assert engine.stats()["block_ms"] == pytest.approx(1000 * 256 / 44_100)


def test_newest_durations_across_the_end_of_the_ring():
    kept = Durations()
    for i in range(KEPT + 5):
        kept.add(float(i))
    assert kept.newest(7).tolist() == [float(i) for i in range(KEPT - 2, KEPT + 5)]
    assert len(kept.newest(2 * KEPT)) == KEPT
    assert len(Durations().newest(3)) == 0


def test_percentiles_are_of_the_newest_and_the_maximum_of_all():
    kept = Durations()
    kept.add(5.0)
    for _ in range(KEPT):
        kept.add(0.001)
    assert kept.summary() == {"p50": 1.0, "p99": 1.0, "max": 5000.0}


def test_the_newest_xruns_have_a_time():
    counters, begun_s = Counters(), time.time()
    counters.count_xruns(Xruns(False, False, False, False))
    assert not counters.xrun_times_s.newest()
    for _ in range(KEPT_MOMENTS + 3):
        counters.count_xruns(Xruns(True, False, False, True))
    assert (
        counters.xruns["input_overflow"] == counters.xruns["output_underflow"] == KEPT_MOMENTS + 3
    )
    assert len(counters.xrun_times_s.newest()) == KEPT_MOMENTS
    assert (
        begun_s
        <= counters.xrun_times_s.newest()[0]
        <= counters.xrun_times_s.newest()[-1]
        <= time.time()
    )


def test_the_thread_s_own_time_is_without_what_it_waited(start_engine):
    engine = start_engine(PLAN)
    bridge = DeviceAdapter(engine, 44_100, 2, 2, recorder=SlowRecorder())
    silence, out = np.zeros((2, 512, 2), np.float32)
    for _ in range(5):
        bridge.process(silence, out)
    stats = engine.stats()
    assert 0 < stats["callback_own_ms"]["p50"] < stats["callback_ms"]["p50"] - 900 * PUSHED_S


def test_late_masks_have_a_time_also_where_the_engine_changes():
    counters, before, now, begun_s = Counters(), Counters(), Counters(), time.time()
    for _ in range(3):
        now.count_late_mask()
    counters.add_rise(before, now)
    assert counters.late_masks == len(counters.late_mask_times_s.newest()) == 3
    assert begun_s <= min(counters.late_mask_times_s.newest()) <= time.time()
