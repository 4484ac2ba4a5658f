"""What is said of a stream that has ended."""

import pytest

from rtsep.cli.terminal.summary import summary
from rtsep.live.plans.plan import PLANS
from rtsep.live.priority import ORDINARY, REAL_TIME
from rtsep.live.stats import Counters, latency_parts_ms

STEMS = ("vocals", "accompaniment")


def stats(**changes):
    worker = {"p50": 290.0, "p99": 300.0, "max": 580.0}
    return {
        "latency_ms": latency_parts_ms(5944.3, 0.01, 0.02),
        "hops": 2584, "late_masks": 0, "bad_samples": 0,
        "xruns": dict(Counters().xruns), "deadline_ms": PLANS["classic"].deadline_ms,
        "callback_ms": {"p50": 0.3, "p99": 0.9, "max": 2.3}, "block_ms": 5.8,
        "worker_ms": dict.fromkeys(STEMS, worker), "priority": REAL_TIME,
        "precision": "bf16",
        "lost_samples": 0, **changes,
    }  # fmt: skip


SLOW = {stem: {"p50": 2500.0, "p99": 3000.0, "max": 3500.0} for stem in STEMS}


def test_a_good_run_is_summed_up_without_advice():
    assert summary(stats()) == [
        "played   1:00, delayed by 5944.3 ms (devices not counted)",
        "trouble  late masks 0; xruns 0",
        "callback median 0.30 ms, p99 0.90, max 2.30 of 5.8 ms",
        "workers  vocals 10.0 % (max 20 %), accompaniment 10.0 % (max 20 %) of 2902.5 ms, in bf16",
    ]


def test_what_the_devices_took_by_their_own_clocks_is_told():
    line = summary(stats(latency_ms=latency_parts_ms(92.9, 0.05, 0.07, 0.08)))[0]
    assert (
        line
        == "played   1:00, delayed by 172.9 ms: 92.9 and the devices, by their own clocks, 80.0"
    )


def test_nothing_played_is_summed_up_too():
    nothing = {"p50": 0.0, "p99": 0.0, "max": 0.0}
    lines = summary(
        stats(hops=0, block_ms=0.0, callback_ms=nothing, worker_ms=dict.fromkeys(STEMS, nothing))
    )
    assert lines[0].startswith("played   0:00")
    assert len(lines) == 4


def test_a_slow_machine_is_told_what_to_change():
    line = summary(stats(late_masks=78, worker_ms=SLOW))[-1]
    assert "too slow for this plan: late masks in 3.0 % of hops" in line
    assert "close other programs" in line
    assert "--latency" not in line  # no plan gives more time
    assert "--model" not in line  # no model has fewer stems


def test_the_remedies_fit_the_plan_and_the_model():
    workers = dict.fromkeys(("vocals", "drums", "bass", "other"), SLOW["vocals"])
    line = summary(stats(deadline_ms=23.2, worker_ms=workers))[-1]
    assert "no head-room" in line
    assert "classic) or take a model of fewer stems" in line
    assert "use a longer --latency (" in line
    assert "--blocksize" not in line and "--device-latency" not in line


@pytest.mark.parametrize("got", [REAL_TIME, ORDINARY])
@pytest.mark.parametrize("changes", [{"late_masks": 5}, {"worker_ms": SLOW}], ids=["late", "slow"])
def test_real_time_priority_is_a_remedy_where_there_is_none(monkeypatch, got, changes):
    monkeypatch.setattr("rtsep.cli.terminal.summary.MAY_BE_GRANTED", True)
    line = summary(stats(priority=got, **changes))[-1]
    assert "close other programs" in line
    assert ("run before them" in line) == (got == ORDINARY)


def test_late_masks_of_nets_that_keep_up_are_told_apart():
    line = summary(stats(late_masks=1))[-1]
    assert "late masks in under 0.1 % of hops, although the nets keep up" in line
    assert "too slow" not in line


def test_xruns_without_load_want_longer_buffers():
    xruns = {**Counters().xruns, "output_underflow": 3}
    lines = summary(stats(xruns=xruns))
    assert "xruns output underflow 3" in lines[1]
    assert "time to spare (p99 0.9 of 5.8 ms)" in lines[-1]
    assert "--device-latency" in lines[-1] and "--blocksize" not in lines[-1]


@pytest.mark.parametrize("underflows", [0, 3])
def test_a_callback_as_long_as_its_block_wants_longer_blocks(underflows):
    xruns = {**Counters().xruns, "output_underflow": underflows}
    callback = {"p50": 0.1, "p99": 5.2, "max": 9.0}
    lines = summary(stats(xruns=xruns, callback_ms=callback))
    assert ("ran dry" in lines[-1]) == bool(underflows)
    assert "p99 5.2 of 5.8 ms" in lines[-1]
    assert "--blocksize (1024)" in lines[-1] and "--device-latency" not in lines[-1]


def test_longer_blocks_than_a_hop_are_no_remedy():
    callback = {"p50": 15.0, "p99": 22.0, "max": 30.0}
    line = summary(stats(callback_ms=callback, block_ms=23.2))[-1]
    assert "fewer stems" in line and "--blocksize" not in line


def test_invalid_input_is_named_with_a_remedy():
    line = summary(stats(bad_samples=2))[-1]
    assert line.startswith(
        "bad samples in the input (NaN, infinite or absurd): 2 replaced; look at"
    )


def test_what_is_missing_from_a_recording_is_told_in_seconds():
    advice = summary(stats(lost_samples=66_150))[-1]
    assert advice.startswith("1.5 s were played and are not in the recording (66150 samples): ")
