"""`rtsep-monitor` between the programs of a desktop: what they play is filtered, and given back."""

from __future__ import annotations

import contextlib
import signal
import time
from functools import partial

import numpy as np
import pytest
import soundfile

from rtsep_bench.server_process import AudioServer, wait_until, without_servers
from rtsep_bench.servers import RATE, pipewire_server, pulse_server
from rtsep_kernels.jit import CACHE_FOLDER
from tests.live.monitor_process import monitor_process, run_monitor
from tests.live.players import PIPEWIRE, PULSE, player_parameters, playing
from tests.live.system_sound import (
    EARS,
    OTHER,
    SAME,
    Desktop,
    difference,
    loudness,
    make_noise,
    newest,
    playing_file,
    recording,
    wait_for_sound,
)

pytestmark = pytest.mark.slow

# Masks of made-up weights: with all stems at full gain what comes out is what went in.
EVERYTHING = (
    "--stem", "vocals", "--stem", "accompaniment", "--no-auto-level", "--mask-extension", "average",
)  # fmt: skip
LOW = ("--latency", "low", "-q")
SYSTEM = ("--system", *LOW, *EVERYTHING)
SONG_S = 40.0
SILENCE = 1e-4
QUIETER_DB = -20.0
SERVERS = {
    "pulse": partial(pulse_server, norewinds=False),
    "pipewire": partial(pipewire_server, rate=RATE, quantum=512, default_sink=EARS),
}
# Chromium on an overloaded machine.
START_S = 60.0


@contextlib.contextmanager
def opened_desktop(kind, folder, weights):
    with SERVERS[kind](folder) as server:
        for name in ("PULSE_SINK", "PULSE_SOURCE"):
            del server.environ[name]
        server.environ["RTSEP_WEIGHTS"] = str(weights)
        # What a killed rtsep has left is put back by the next one of this user: by one of this server.
        server.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        if CACHE_FOLDER is not None:
            server.environ["RTSEP_KERNEL_CACHE"] = str(CACHE_FOLDER.parent)
        desktop = Desktop(kind, server)
        desktop.default(EARS)
        yield desktop


@pytest.fixture(
    params=[
        pytest.param("pulse", marks=pytest.mark.needs("pulse")),
        pytest.param("pipewire", marks=pytest.mark.needs("pipewire")),
    ],
    scope="module",
)
def desktop(request, tmp_path_factory, _made_up_weights_folder):
    folder = tmp_path_factory.mktemp(request.param)
    with opened_desktop(request.param, folder, _made_up_weights_folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def song():
    return make_noise(SONG_S)


@pytest.fixture(scope="module")
def file(song, tmp_path_factory):
    path = tmp_path_factory.mktemp("song") / "song.wav"
    soundfile.write(path, song, RATE, "FLOAT")
    return path


@pytest.mark.unhurried
def test_the_system_is_heard_filtered_and_given_back(desktop, song, file, tmp_path):
    server = desktop.server
    with playing_file(server, file, "player"):
        with (
            recording(server, f"{EARS}.monitor", tmp_path) as ears,
            monitor_process(server, tmp_path, *SYSTEM) as monitor,
        ):
            desktop.wait_for("player", "rtsep")
            wait_for_sound(ears, song)
            desktop.default(OTHER)
            with recording(server, f"{OTHER}.monitor", tmp_path) as other:
                wait_for_sound(other, song)
            assert desktop.sink_of("player") == "rtsep"
            assert "the output is" in monitor.messages()
            desktop.default(EARS)
            time.sleep(0.5)
            assert monitor.interrupt() == 130
        desktop.wait_until_put_back("player")
    assert "Traceback" not in monitor.messages()
    if desktop.kind == "pipewire":  # in the graph the output is exchanged, and nothing is reopened
        assert monitor.stats()["device_returns"] == 0


@pytest.mark.unhurried
def test_one_application_is_filtered_until_the_program_is_killed(desktop, file, tmp_path):
    server = desktop.server
    with playing_file(server, file, "radio"), playing_file(server, file, "game"):
        desktop.wait_for("radio", EARS)
        options = ("--app", "RAD", "--app", "absent", *LOW)
        with monitor_process(server, tmp_path, *options) as monitor:
            desktop.wait_for("radio", "rtsep")
            assert desktop.sink_of("game") == EARS
            wait_until(lambda: "waiting for absent" in monitor.messages(), "word of it")
            listed = run_monitor(server, "--list-apps").stdout.splitlines()
            rows = {line.split()[0]: line.split()[-1] for line in listed}
            assert rows["radio"] == "filtered" and rows["game"] != "filtered"
            monitor.process.send_signal(signal.SIGKILL)
        desktop.wait_until_put_back("radio")
        assert desktop.sink_of("game") == EARS


def test_each_stem_is_a_source(desktop, song, file, tmp_path):
    server = desktop.server
    stems = ("vocals", "accompaniment")
    with (
        playing_file(server, file, "player"),
        monitor_process(server, tmp_path, *SYSTEM, "--sources") as monitor,
    ):
        desktop.wait_for("player", "rtsep")
        with contextlib.ExitStack() as recordings:
            files = {
                stem: recordings.enter_context(recording(server, f"rtsep_{stem}", tmp_path))
                for stem in stems
            }
            for path in files.values():
                wait_for_sound(path)
            heard = {stem: newest(path) for stem, path in files.items()}
        assert monitor.interrupt() == 130
        desktop.wait_until_put_back("player")
    kept = monitor.recorded()
    for stem in stems:
        assert difference(heard[stem], kept[stem]) < SAME
    assert difference(heard["vocals"], kept["accompaniment"]) > SAME
    assert difference(sum(kept.values())[-4 * RATE : -2 * RATE], song) < SAME


def test_a_microphone_without_the_music(desktop, file, tmp_path):
    server = desktop.server
    with (
        playing_file(server, file, "player", f"--device={OTHER}"),
        monitor_process(server, tmp_path, "--as-microphone", "-i", OTHER, *LOW) as monitor,
    ):
        wait_until(lambda: "rtsep_microphone" in desktop.left_over(), "the microphone")
        with recording(server, "rtsep_microphone", tmp_path) as microphone:
            wait_for_sound(microphone)
            time.sleep(2.0)  # until all that is compared is sound
            heard = newest(microphone)
        assert not desktop.played_to(EARS)
        assert desktop.sink_of("player") == OTHER
        assert monitor.interrupt() == 130
        wait_until(lambda: not desktop.left_over(), "the end of rtsep's devices")
    assert difference(heard, monitor.recorded()["vocals"]) < SAME


def test_a_second_one_is_refused_and_the_first_ends_by_itself(desktop, file, tmp_path):
    server = desktop.server
    with playing_file(server, file, "player"):
        with monitor_process(server, tmp_path, "--duration", "6", *SYSTEM) as monitor:
            desktop.wait_for("player", "rtsep")
            refused = run_monitor(server, *SYSTEM)
            assert monitor.process.wait(START_S) == 0
        desktop.wait_until_put_back("player")
    assert refused.returncode == 1
    assert "another rtsep" in refused.stderr
    assert f"process {monitor.process.pid})" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.unhurried
def test_a_sink_that_is_not_there_is_refused(desktop):
    done = run_monitor(desktop.server, *SYSTEM, "-o", "nowhere")
    assert done.returncode == 2
    assert "no output 'nowhere'" in done.stderr and EARS in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not desktop.left_over()


@pytest.mark.unhurried
def test_the_other_server_s_backend_is_refused(desktop):
    other = {"pulse": "jack", "pipewire": "pulse"}[desktop.kind]
    done = run_monitor(desktop.server, *SYSTEM, "--backend", other)
    assert done.returncode == 2
    assert f"--backend {other} reaches no streams of" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not desktop.left_over()


def test_without_a_server_there_is_one_line(made_up_weights, tmp_path):
    environ = {**without_servers(), "XDG_RUNTIME_DIR": str(tmp_path)}
    done = run_monitor(AudioServer([], environ, list), *SYSTEM)
    assert done.returncode == 1
    assert "no PulseAudio and no PipeWire server" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@contextlib.contextmanager
def _quieter(desktop, folder):
    gains = [f"--gain={stem}={QUIETER_DB:g}" for stem in ("vocals", "accompaniment")]
    with monitor_process(desktop.server, folder, *SYSTEM, *gains) as monitor:
        wait_until(lambda: "rtsep" in desktop.left_over(), "rtsep's sink")
        yield
        assert monitor.interrupt() == 130


@pytest.fixture(scope="module")
def quieter(desktop, tmp_path_factory):
    """rtsep-monitor takes all that is played down by QUIETER_DB, for the tests of all players."""
    folder = tmp_path_factory.mktemp("quieter")
    with _quieter(desktop, folder), recording(desktop.server, f"{EARS}.monitor", folder) as ears:
        yield ears


@pytest.mark.unhurried
@pytest.mark.parametrize(
    "desktop, player", player_parameters(PIPEWIRE, PULSE), indirect=["desktop"]
)
def test_what_people_play_music_with_is_filtered(desktop, quieter, player, song, file, tmp_path):
    played = float(np.sqrt(np.mean(np.square(song))))
    with playing(desktop.server, player, file, tmp_path / "player"):
        wait_until(lambda: desktop.sink_of(player.application) == "rtsep", "the stream", START_S)
        filtered = played * 10 ** (QUIETER_DB / 20)
        wait_until(lambda: 0.6 * filtered < loudness(quieter) < 1.6 * filtered, "filtered sound")
    wait_until(lambda: loudness(quieter) < SILENCE, "silence behind the player")
