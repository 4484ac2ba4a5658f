"""`rtsep-monitor` on a real PulseAudio server: songs and impulses, sink to sink."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import threading
import time

import numpy as np
import pytest

from rtsep.models import weights
from rtsep.models.registry import find_model
from rtsep.models.unet import UNet
from rtsep.plan import PLANS
from rtsep.realtime.engine import Engine
from rtsep.realtime.file_session import run_unpaced
from tests.realtime.monitor_process import assert_no_dropouts, monitor_process, run_monitor
from tests.realtime.servers import RATE, pulse_missing, pulse_server, skip_without, wait_until

pytestmark = [skip_without(pulse_missing()), pytest.mark.slow]

LATENCY_S = PLANS["classic"].latency_ms / 1000
# Seconds of song: a few by default; a soak test where RTSEP_SOAK_S says so.
SONG_S = float(os.environ.get("RTSEP_SOAK_S", "4"))
RAW = ("--raw", "--format=float32le", f"--rate={RATE}", "--channels=2")
# A server runs dry without a word to PortAudio where a busy machine stalls for longer than this; the
# comparison of what was heard finds it.
DEVICE = ("--device-latency", "0.2")
# Samples compared at a time, and how far they are looked for around where they should be.
PIECE, SEARCHED = RATE // 4, RATE // 10
UNIT_GAINS = ("--stem", "vocals", "--stem", "accompaniment")


@pytest.fixture
def pulse(made_up_weights, tmp_path):
    with pulse_server(tmp_path) as server:
        yield server


@contextlib.contextmanager
def _listening(server, sink, folder):
    """Record what a sink plays; yields the file it goes to, raw float32 in stereo."""
    path = folder / f"{sink}.raw"
    recorder = subprocess.Popen(
        ["parec", f"--device={sink}.monitor", "--latency-msec=50", *RAW, str(path)],
        env=server.environ,
    )
    try:
        wait_until(lambda: path.exists() and path.stat().st_size > 0, f"sound from {sink}")
        yield path
    finally:
        recorder.terminate()
        recorder.wait()


def _heard(path):
    whole = path.stat().st_size // 8 * 2
    return np.fromfile(path, "<f4", count=whole).reshape(-1, 2)


def _play(server, audio):
    """Play (samples, 2) float32 into the sink `song`, to its end."""
    subprocess.run(
        ["pacat", "--playback", "--device=song", "--latency-msec=200", *RAW],
        input=audio.astype("<f4").tobytes(), env=server.environ, check=True,
    )  # fmt: skip


def _wait_until_connected(server):
    wait_until(
        lambda: "ALSA" in server.command("pactl", "list", "sink-inputs"),
        "rtsep-monitor to open the default device",
    )
    time.sleep(0.5)  # until the streams that are open have also started


def _song(duration_s, seed=0):
    """A seeded song of sorts: chords under a vibrato, and noise for drums. (samples, 2) float32."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(duration_s * RATE)) / RATE
    voice = np.sin(2 * np.pi * 330 * t + 3 * np.sin(2 * np.pi * 5.5 * t))
    chord = sum(np.sin(2 * np.pi * pitch * t) for pitch in (110, 138.6, 164.8)) / 3
    drum = rng.standard_normal((len(t), 2)) * np.exp(-12 * (t % 0.5))[:, None]
    mono = 0.15 * voice + 0.15 * chord
    return (mono[:, None] * [1.0, 0.8] + 0.1 * drum).astype(np.float32)


def _position(part, whole):
    """Where in `whole` the sound `part` begins, in samples: the peak of their correlation."""
    length = 1 << (len(part) + len(whole) - 1).bit_length()
    spectrum = np.fft.rfft(whole[:, 0], length) * np.conj(np.fft.rfft(part[:, 0], length))
    return int(np.argmax(np.fft.irfft(spectrum, length)[: len(whole)]))


def _unpaced(song, start, gains):
    """The same song from the same sample on, through the engine as fast as it goes."""
    config = find_model("spleeter:2stems")
    arrays = weights.load(config)
    nets = [UNet(config, arrays[stem]) for stem in config.stems]
    engine = Engine(config, nets, PLANS["classic"], gains, auto_level=False)
    silence = np.zeros((engine.plan.latency_samples, 2), np.float32)
    audio = np.concatenate([np.zeros((start, 2), np.float32), song, silence])
    engine.start()
    try:
        blocks = np.array_split(audio, len(audio) // 4096)
        return np.concatenate(list(run_unpaced(engine, blocks)))
    finally:
        engine.stop()


@pytest.mark.skipif(
    "RTSEP_SOAK_S" not in os.environ,
    reason="a machine that stalls makes the server itself slip: set RTSEP_SOAK_S, e.g. to 60",
)
@pytest.mark.parametrize("block", [256, 1024])
def test_a_song_comes_out_as_its_vocals(pulse, tmp_path, block):
    song = _song(SONG_S)
    options = ("--stem", "vocals", "--no-auto-level", "--blocksize", str(block))
    with (
        _listening(pulse, "stem", tmp_path) as stem,
        monitor_process(pulse, tmp_path, *DEVICE, *options) as monitor,
    ):
        _wait_until_connected(pulse)
        _play(pulse, song)
        time.sleep(LATENCY_S + 0.5)
        assert monitor.interrupt() == 0
    stats = monitor.stats()
    assert_no_dropouts(stats)
    assert stats["hops"] > (SONG_S + LATENCY_S) * RATE / 1024

    # The recorded stems add up to what was heard, so they tell where in the stream the song began.
    recorded = monitor.recorded()
    latency_samples = stats["latency_samples"]
    start = _position(song, sum(recorded.values())) - latency_samples
    expected = _unpaced(song, start, {"vocals": 1.0})[start + latency_samples :]
    assert np.abs(expected).max() > 0.01
    in_recording = recorded["vocals"][start + latency_samples :][: len(expected)]
    np.testing.assert_allclose(in_recording, expected[: len(in_recording)], atol=1e-5)
    assert len(in_recording) >= len(song)

    _assert_heard(_heard(stem), expected[: len(song)], block)


def _assert_heard(heard, expected, block):
    """`expected` was heard, piece by piece, sample for sample, with no more than a slip here and there.

    Between ALSA and the sink, PulseAudio doubles a few samples now and then: that shifts the pieces
    that follow, by less than a device block in all, and spoils the one that it falls into.
    """
    first, slips, spoilt = _position(expected, heard), [], 0
    for at in range(0, len(expected) - PIECE, PIECE):
        piece = expected[at : at + PIECE]
        around = slice(first + at - SEARCHED, first + at + PIECE + SEARCHED)
        found = _position(piece, heard[around])
        slips.append(found - SEARCHED)
        difference = np.abs(heard[around][found : found + PIECE] - piece).max()
        spoilt += difference > 1e-5
    assert spoilt <= 0.15 * len(slips), (spoilt, slips)
    assert max(slips) - min(slips) < block, slips


# Sound is noted fragment by fragment, and the two sinks hand theirs over independently.
CLOCK_ERROR_MS = 10


class ImpulseClock:
    """Notes when an impulse comes by in a sink, within CLOCK_ERROR_MS."""

    CHUNK = 64

    def __init__(self, server, sink):
        self.arrived_s = math.nan
        self._recorder = subprocess.Popen(
            ["parec", f"--device={sink}.monitor", "--latency-msec=4", *RAW],
            env=server.environ, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._recorder.stdout is not None
        self._sound = self._recorder.stdout
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        while chunk := self._sound.read(8 * self.CHUNK):
            if math.isnan(self.arrived_s) and np.abs(np.frombuffer(chunk, "<f4")).max() > 0.25:
                self.arrived_s = time.monotonic()

    def close(self):
        self._recorder.terminate()
        self._recorder.wait()
        self._thread.join()
        self._sound.close()


def test_an_impulse_arrives_when_the_total_says(pulse, tmp_path):
    block = 1024
    clocks = [ImpulseClock(pulse, sink) for sink in ("song", "stem")]
    try:
        with monitor_process(pulse, tmp_path, *UNIT_GAINS, "--blocksize", str(block)) as monitor:
            _wait_until_connected(pulse)
            impulse = np.zeros((RATE, 2), np.float32)
            impulse[RATE // 2] = 0.5
            _play(pulse, impulse)
            time.sleep(LATENCY_S + 0.5)
            assert monitor.interrupt() == 0
    finally:
        for clock in clocks:
            clock.close()
    stats = monitor.stats()
    assert_no_dropouts(stats)
    measured_ms = 1000 * (clocks[1].arrived_s - clocks[0].arrived_s)
    tolerance_ms = 1000 * block / RATE + CLOCK_ERROR_MS
    assert measured_ms == pytest.approx(stats["latency_ms"]["total"], abs=tolerance_ms)


def test_a_server_that_dies_ends_the_program_with_the_recordings_intact(pulse, tmp_path):
    with monitor_process(pulse, tmp_path) as monitor:
        _wait_until_connected(pulse)
        time.sleep(1.5)
        pulse.kill()
        assert monitor.process.wait(30) == 1
    assert "device" in monitor.messages().splitlines()[-1]
    assert "Traceback" not in monitor.messages()
    assert monitor.stats()["hops"] > 10
    recorded = monitor.recorded()
    assert set(recorded) == {"vocals", "accompaniment"}
    assert all(len(stem) >= RATE for stem in recorded.values())


def test_the_devices_are_listed(pulse):
    done = run_monitor(pulse, "-l")
    assert done.returncode == 0
    assert "default, ALSA" in done.stdout


def test_an_unknown_device_is_refused_with_the_candidates(pulse):
    done = run_monitor(pulse, "-o", "nowhere")
    assert done.returncode == 2
    assert "'nowhere'" in done.stderr
    assert "0 default" in done.stderr
    assert len(done.stderr.splitlines()) == 1
