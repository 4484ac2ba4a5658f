"""Players and listeners of PulseAudio's own, for the sinks `song` and `stem` of the test server."""

from __future__ import annotations

import contextlib
import subprocess
import time

import numpy as np

from rtsep_bench.server_process import wait_until
from rtsep_bench.servers import RATE
from rtsep_bench.watchdog import priority

RAW = ("--raw", "--format=float32le", f"--rate={RATE}", "--channels=2")


@contextlib.contextmanager
def listening(server, sink, folder):
    """Record what a sink plays; yields the file it goes to, raw float32 in stereo."""
    path = folder / f"{sink}.raw"
    recorder = subprocess.Popen(
        [*priority(), "parec", f"--device={sink}.monitor", "--latency-msec=50", *RAW, str(path)],
        env=server.environ, start_new_session=True,
    )  # fmt: skip
    try:
        wait_until(lambda: path.exists() and path.stat().st_size > 0, f"sound from {sink}")
        yield path
    finally:
        recorder.terminate()
        recorder.wait()


def read_heard(path):
    """What has been recorded, (samples, 2) float32."""
    whole = path.stat().st_size // 8 * 2
    return np.fromfile(path, "<f4", count=whole).reshape(-1, 2)


def play(server, audio):
    """Play (samples, 2) float32 into the sink `song`, to its end; much of it in advance."""
    subprocess.run(
        [*priority(), "pacat", "--playback", "--device=song", "--latency-msec=1000", *RAW],
        input=audio.astype("<f4").tobytes(), env=server.environ, check=True,
        start_new_session=True,
    )  # fmt: skip


def wait_until_connected(server):
    """Until rtsep-monitor has opened both ends."""
    wait_until(
        lambda: "ALSA" in server.command("pactl", "list", "sink-inputs"),
        "rtsep-monitor to open the default device",
    )
    time.sleep(0.5)  # until the streams that are open have also started
