"""`rtsep-monitor --control` as a program, on a real PulseAudio server: what a client does is heard."""

from __future__ import annotations

import json
import re
import socket

import numpy as np
import pytest
import soundfile

from rtsep.errors import UsageError
from rtsep_bench.server_process import wait_until
from rtsep_bench.servers import RATE, pulse_server
from tests.control.desk import is_reply, talk, told
from tests.live.monitor_process import monitor_process, run_monitor
from tests.live.pulse_clients import listening, read_heard
from tests.live.system_sound import playing_file

pytestmark = [pytest.mark.needs("pulse"), pytest.mark.slow]

ENDS = (
    "--backend",
    "pulse",
    "-i",
    "song",
    "-o",
    "stem",
    "--stem",
    "vocals",
    "--stem",
    "accompaniment",
)
LEVEL = 0.2
# Compared at once.
PIECE = RATE // 5


@pytest.fixture
def pulse(made_up_weights, tmp_path):
    with pulse_server(tmp_path) as server:
        yield server


def _loudness(heard):
    return float(np.sqrt(np.mean(np.square(read_heard(heard)[-PIECE:]))))


@pytest.fixture
def tone(tmp_path):
    """A minute of a tone, as a WAV file in stereo."""
    sound = LEVEL * 2**0.5 * np.sin(2 * np.pi * 440 * np.arange(60 * RATE) / RATE)
    soundfile.write(tmp_path / "tone.wav", sound[:, None].repeat(2, axis=1), RATE)
    return tmp_path / "tone.wav"


@pytest.mark.unhurried
def test_what_a_client_does_is_heard(pulse, tone, tmp_path):
    with (
        monitor_process(pulse, tmp_path, *ENDS, "--control", "0", "--latency", "low") as monitor,
        listening(pulse, "stem", tmp_path) as heard,
        playing_file(pulse, tone, "player", "--device=song"),
    ):
        wait_until(lambda: "control http" in monitor.messages(), "the control")
        wait_until(lambda: _loudness(heard) > 0.9 * LEVEL, "the tone")
        url = re.search(r"control (http://127\.0\.0\.1:\d+/)\n", monitor.messages())[1]

        async def work(session):
            async with session.ws_connect(f"{url}v1") as client:
                state = await told(client, lambda message: message["type"] == "state")
                assert state["stream"]["plan"] == "low"
                assert state["stream"]["latency_ms"] > 90
                for stem in ("vocals", "accompaniment"):
                    await client.send_json({"do": "gain", "stem": stem, "db": -20, "id": 1})
                    assert (await told(client, is_reply))["type"] == "done"
                await told(client, lambda message: message.get("mix_dbfs", 0) < -28)

        talk(work)
        wait_until(lambda: 0.08 * LEVEL < _loudness(heard) < 0.12 * LEVEL, "the quieter tone")
        assert monitor.interrupt() == 130
    assert "Traceback" not in monitor.messages()
    assert monitor.stats()["hops"] > 0


@pytest.mark.unhurried
def test_a_port_in_use_is_said_and_the_sound_goes_on(pulse, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run_monitor(
            pulse, *ENDS, "--latency", "classic", "--duration", "1", "--stats",
            str(tmp_path / "stats"), "--quiet", "--control", port,
        )  # fmt: skip
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert f"127.0.0.1:{port} is in use by another program" in line
    assert json.loads((tmp_path / "stats").read_text())["hops"] > 0


@pytest.mark.unhurried
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--control", "song.mp3"), "the control's address must be an IP address"),
        (("--control", "--input-file", "song.mp3"), "leave out --input-file"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(pulse, words, says):
    done = run_monitor(pulse, *words)
    assert done.returncode == UsageError.exit_status
    assert says in done.stderr and len(done.stderr.splitlines()) == 1
