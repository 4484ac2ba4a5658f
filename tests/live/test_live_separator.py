"""The public live interface: a pure delay under a unit mask, exact at every rate, and its contract."""

from __future__ import annotations

import gc
import os
import sys
import threading
import tracemalloc
import weakref

import numpy as np
import pytest
import soundfile

import rtsep
from rtsep.cli.monitor import main
from rtsep.errors import RtsepError, UsageError
from rtsep.nets.sliding import SlidingState
from tests.live.streams import HOP, noise

pytestmark = pytest.mark.usefixtures("made_up_weights")
BOTH = {"vocals": 1.0, "accompaniment": 1.0}
PLAN = "64/2/1/0.5/hann"


@pytest.fixture
def make():
    """Makes separators that wait for their nets; closes them after the test."""
    made = []

    def separator(**options):
        options = {"latency": PLAN, "masking": "independent", "paced": False, **options}
        made.append(rtsep.LiveSeparator(**options))
        return made[-1]

    yield separator
    for live in made:
        live.close()


def through(live, audio, size=HOP, process=None):
    """`audio` in blocks of `size` samples; what comes out."""
    process = process or live.process
    return np.concatenate([process(audio[at : at + size]) for at in range(0, len(audio), size)])


# --- sound ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 64, 65, 1024, 8193])
def test_a_unit_mask_is_a_pure_delay_for_any_block_size(make, size):
    live = make(gains=BOTH, auto_level=False)
    audio = noise(9 * HOP + 5)
    out = through(live, np.concatenate([audio, np.zeros((live.latency_samples, 2))]), size)
    assert np.abs(out[: live.latency_samples]).max() < 1e-6
    np.testing.assert_allclose(out[live.latency_samples :], audio, atol=2e-6)
    assert live.stats()["late_masks"] == 0


@pytest.mark.parametrize("size", [1, 65, 8193])
def test_block_sizes_make_no_difference_at_another_rate(make, size):
    rate, audio = 48_000, noise(9 * HOP + 5, seed=1)
    whole = make(sample_rate=rate).process(audio)
    np.testing.assert_allclose(through(make(sample_rate=rate), audio, size), whole, atol=1e-6)


@pytest.mark.parametrize(
    ("rate", "channels"),
    [
        (8_000, 1), (22_050, 2), (44_100, 1), (44_100, 2), (48_000, 1), (88_200, 2), (96_000, 1),
        (192_000, 2),
    ],
)  # fmt: skip
def test_an_impulse_comes_out_after_the_latency_that_is_told(make, rate, channels):
    live = make(sample_rate=rate, channels=channels)
    live.bypass = True
    at, sound = 1_000, np.zeros((1_000 + rate // 2, channels), np.float32)
    sound[at] = 0.5
    heard = live.process(sound)[:, -1].astype(np.float64)
    assert heard.sum() == pytest.approx(0.5, abs=1e-3)
    centre = np.sum(heard * np.arange(len(heard))) / heard.sum()
    assert 1000 * (centre - at) / rate == pytest.approx(live.latency_ms, abs=20 / rate)
    assert abs(centre - at - live.latency_samples) < 0.52
    if rate == 44_100:
        assert live.latency_samples == live.plan.latency_samples


def test_all_is_as_from_rtsep_monitor(make, tmp_path):
    audio = noise(44_100, seed=2)
    soundfile.write(tmp_path / "in.wav", audio, 44_100, subtype="FLOAT")
    words = f"--latency {PLAN} --no-ratio --gain vocals=-6 --gain accompaniment=-20 -q"
    files = f"--input-file {tmp_path}/in.wav --output-file {tmp_path}/out.wav"
    assert main(f"{words} {files}".split()) == 0
    expected, _ = soundfile.read(tmp_path / "out.wav", dtype="float32")
    live = make(gains={"vocals": 10 ** (-6 / 20), "accompaniment": 0.1})
    silence = np.zeros((live.latency_samples, 2), np.float32)
    out = through(live, np.concatenate([audio, silence]), 777)
    np.testing.assert_array_equal(out[live.latency_samples :], expected)


def test_ten_at_once_give_identical_sound(make):
    audio, outs = noise(14 * HOP, seed=3), [None] * 10
    separators = [make() for _ in outs]

    def work(place):
        outs[place] = through(separators[place], audio, 500 + place)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.abs(outs[0]).max() > 0.01
    for out in outs[1:]:
        np.testing.assert_array_equal(out, outs[0])


# --- every stem -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (48_000, 1)])
def test_every_stem_by_itself_and_together_the_input(make, rate, channels):
    options = {"model": "spleeter:4stems", "masking": "ratio", "separate_stems": True}
    live = make(sample_rate=rate, channels=channels, **options)
    delayed = make(sample_rate=rate, channels=channels, **options)
    delayed.bypass = True
    audio = noise(20 * HOP, seed=4)[:, :channels]
    out = np.zeros((len(audio), 4 * channels), np.float32)
    stems = live.process_stems(audio, out)
    assert tuple(stems) == live.stems == ("vocals", "drums", "bass", "other")
    for place, samples in enumerate(stems.values()):
        assert samples.shape == audio.shape and np.shares_memory(samples, out)
        np.testing.assert_array_equal(samples, out[:, place * channels : (place + 1) * channels])
        assert np.abs(samples).max() > 1e-3
    np.testing.assert_allclose(sum(stems.values()), delayed.process(audio), atol=1e-5)


def test_gains_are_of_the_mix_and_not_of_the_stems(make):
    audio = noise(20 * HOP, seed=5)
    stems = make(separate_stems=True, gains={"vocals": 0.0}).process_stems(audio)
    mix = make(separate_stems=True, gains={"vocals": 0.25, "accompaniment": 0.5}).process(audio)
    expected = 0.25 * stems["vocals"] + 0.5 * stems["accompaniment"]
    np.testing.assert_allclose(mix, expected, atol=1e-6)


# --- the mix --------------------------------------------------------------------------------------


def test_gains_are_a_mapping_by_stem(make):
    live = make(stems=("vocals",))
    assert dict(live.gains) == {"vocals": 1.0, "accompaniment": 0.0}
    live.gains.update(vocals=0.0, accompaniment=0.5)
    assert len(live.gains) == 2 and live.gains["accompaniment"] == 0.5
    audio = noise(30 * HOP, seed=6)
    changed = live.process(audio)
    steady = make(gains={"vocals": 0.0, "accompaniment": 0.5}).process(audio)
    np.testing.assert_array_equal(changed, steady)


@pytest.mark.parametrize(
    ("stem", "gain", "told"),
    [
        ("drums", 1.0, "no stem 'drums': choose from vocals, accompaniment"),
        ("vocals", float("nan"), "gain of 'vocals' must be a finite number .* got nan"),
        ("vocals", -1.0, "gain of 'vocals' .* got -1.0"),
        ("vocals", float("inf"), "got inf"),
        ("vocals", "loud", "got 'loud'"),
        ("vocals", None, "got None"),
    ],
)
def test_a_gain_that_is_none_is_refused_and_changes_nothing(make, stem, gain, told):
    live = make()
    before = dict(live.gains)
    with pytest.raises(UsageError, match=told):
        live.gains[stem] = gain
    assert dict(live.gains) == before
    with pytest.raises(UsageError, match="cannot be removed: set it to 0"):
        del live.gains["vocals"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": "spleeter:9stems"}, "unknown model"),
        (
            {"stems": "vocals"},
            r"stems must be a sequence of names: got 'vocals'; write \['vocals'\]",
        ),
        ({"stems": ["drums"]}, "unknown stem 'drums'"),
        ({"gains": {"vocals": float("nan")}}, "gain of 'vocals'"),
        ({"latency": "fast"}, "unknown latency 'fast'"),
        ({"sample_rate": 44_100.5}, "sample_rate must be a whole number"),
        ({"sample_rate": 100}, "sample rate must be 4000 to 768000 Hz: got 100"),
        ({"channels": 3}, "1 or 2 channels: got 3"),
        ({"masking": "alone"}, "masking must be one of ratio, independent: got 'alone'"),
        ({"on_late": "wait"}, "on-late must be one of"),
        ({"mask_extension": "up"}, "unknown mask extension 'up'"),
        ({"adaptive": True}, "adaptive needs paced sound"),
    ],
)
def test_what_cannot_be_is_refused_by_name(make, options, told):
    threads = threading.active_count()
    with pytest.raises(UsageError, match=told):
        make(**options)
    assert threading.active_count() == threads


# --- blocks ---------------------------------------------------------------------------------------


def test_other_types_are_converted_and_mono_may_have_one_axis(make):
    audio = (noise(12 * HOP, seed=7) * 2**15).astype(np.int16)
    expected = make().process((audio / 2**15).astype(np.float32))
    np.testing.assert_array_equal(make().process(audio), expected)
    np.testing.assert_array_equal(make().process(audio / 2**15), expected)
    side = np.ascontiguousarray(audio[:, 0])
    out = make(channels=1).process(side)
    assert out.shape == (len(side), 1)
    np.testing.assert_array_equal(make(channels=1).process(side[:, np.newaxis]), out)


@pytest.mark.parametrize(
    ("block", "told"),
    [
        (np.zeros((5, 3), np.float32), r"shape \(samples, 2\): got \(5, 3\)"),
        (np.zeros((2, 500), np.float32), r"channels stand first here: hand in audio.T"),
        (np.zeros((5, 2), np.int64), "got int64"),
        (np.zeros(5, np.float32), r"got \(5,\)"),
        ("music", r"must have the shape \(samples, 2\): got \(\)"),
    ],
)
def test_blocks_of_another_form_are_refused(make, block, told):
    with pytest.raises(UsageError, match=told):
        make().process(block)


def test_out_must_fit_and_may_be_the_block(make):
    audio = noise(30 * HOP, seed=8)
    expected = make().process(audio)
    live = make()
    for out in (np.zeros((7, 2), np.float32), np.zeros(audio.shape), [0.0]):
        with pytest.raises(UsageError, match="out must"):
            live.process(audio, out)
    block = audio.copy()
    assert live.process(block, block) is block
    np.testing.assert_array_equal(block, expected)


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_samples_that_are_no_sound_are_replaced_and_counted(make, rate):
    live = make(sample_rate=rate)
    audio = noise(30 * HOP, seed=9)
    audio[5_000:5_003] = np.nan
    audio[9_000, 0] = np.inf
    assert np.isfinite(live.process(audio)).all()
    assert live.stats()["bad_samples"] == 4


@pytest.mark.parametrize("separate", [False, True])
def test_a_block_of_the_callback_allocates_nothing_that_grows(make, separate):
    live = make(separate_stems=separate, paced=True)
    block = noise(HOP, seed=10)
    out = np.zeros((len(block), 4 if separate else 2), np.float32)
    process = live.process_stems if separate else live.process
    for _ in range(20):
        live.engine.wait_for_workers()
        process(block, out)
    live.engine.wait_for_workers()
    tracemalloc.start()
    try:
        process(block, out)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Python's own small objects; a copy of the block would be 8 KB.
    assert peak < 6_000


def test_stems_want_to_be_asked_for(make):
    with pytest.raises(UsageError, match=r"make LiveSeparator\(separate_stems=True\)"):
        make().process_stems(noise(5))


# --- life -----------------------------------------------------------------------------------------


def test_a_closed_one_refuses_and_has_no_threads(make):
    before = set(threading.enumerate())
    with make() as live:
        assert set(threading.enumerate()) > before
        live.process(noise(3 * HOP))
    assert set(threading.enumerate()) == before
    live.close()
    for call in (lambda: live.process(noise(5)), live.reset, live.start):
        with pytest.raises(UsageError, match="has been closed: make a new one"):
            call()
    assert live.stats()["hops"] == 3


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_after_a_reset_it_is_as_new(make, rate):
    audio = noise(30 * HOP, seed=11)
    live = make(sample_rate=rate, channels=1)
    expected = live.process(audio[:, :1])
    live.gains["vocals"] = 0.3
    live.process(noise(7 * HOP + 5, seed=12)[:, :1])
    live.gains["vocals"] = 1.0
    live.reset()
    assert live.stats()["hops"] == 0
    np.testing.assert_array_equal(live.process(audio[:, :1]), expected)


def test_another_format_goes_on_with_the_same_nets(make):
    live = make()
    live.process(noise(10 * HOP))
    hops, nets = live.stats()["hops"], [worker.net for worker in live.engine.workers]
    live.set_format(48_000, 1)
    assert live.sample_rate == 48_000
    assert live.process(np.zeros((48_000, 1), np.float32)).shape == (48_000, 1)
    assert live.stats()["hops"] > hops + 40
    assert [worker.net for worker in live.engine.workers] == nets


@pytest.mark.parametrize("options", [{}, {"adaptive": True, "paced": True}], ids=str)
def test_one_that_is_dropped_leaves_no_threads_and_no_memory(options):
    # The collector of cycles is off: the last reference has to do.
    gc.collect()
    gc.disable()
    try:
        before = set(threading.enumerate())
        live = rtsep.LiveSeparator(
            latency=PLAN, masking="independent", **{"paced": False, **options}
        )
        live.process(noise(3 * HOP))
        threads = set(threading.enumerate()) - before
        parts = live, live.engine, live.engine.workers[0]
        left = [weakref.ref(part) for part in parts]
        del live, parts
        for thread in threads:
            thread.join(30)
        assert threads and not any(thread.is_alive() for thread in threads)
        assert [reference() for reference in left if reference() is not None] == []
    finally:
        gc.enable()


def _process_settings():
    settings = [gc.isenabled(), gc.get_freeze_count(), gc.get_threshold(), sys.getswitchinterval()]
    if sys.platform == "linux":
        settings += [os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)]
        settings += [os.sched_getaffinity(0), dict(os.environ)]
    return settings


def test_nothing_of_the_process_is_changed(make):
    before = _process_settings()
    with make(paced=True) as live:
        live.process(noise(5 * HOP))
        assert _process_settings() == before
    assert _process_settings() == before


# --- failures -------------------------------------------------------------------------------------


def _break_nets(monkeypatch):
    def broken(state, *arguments):
        raise ArithmeticError("no such number")

    monkeypatch.setattr(SlidingState, "run", broken)


def test_a_failed_net_is_raised_where_it_is_waited_for(make, monkeypatch):
    live = make()
    _break_nets(monkeypatch)
    with pytest.raises(RtsepError, match="worker of vocals failed.*no such number"):
        live.process(noise(10 * HOP))


def test_a_failed_net_does_not_stop_the_sound_and_is_told(make, monkeypatch):
    live = make(paced=True)
    _break_nets(monkeypatch)
    with pytest.raises(RtsepError, match="worker of vocals failed.*no such number"), live:
        out = live.process(noise(20 * HOP))
        assert np.abs(out[-HOP:]).max() > 0.01
        live.engine.workers[0]._thread.join(30)
        with pytest.raises(RtsepError, match="no such number"):
            live.check()
