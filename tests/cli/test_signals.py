"""Signals end every program, at any moment, with nothing half done, and none is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest
import soundfile

from rtsep_bench.server_process import wait_until
from tests.files.sounds import music, write_file
from tests.signal_programs import END_S, end, start

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")

MOMENTS = int(os.environ.get("RTSEP_SIGNALS", "6"))
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}

BEGIN = """
import gc, os, signal, sys, time, weakref
from rtsep.cli.common import run
from rtsep.errors import AudioFileError
from rtsep.system.signals import shielded
number = int(sys.argv[1])

def send():
    os.kill(os.getpid(), number)
    for _ in range(1000):
        pass  # the handler runs here

class Thing:
    pass

def go_on():
    time.sleep(20)
    print("was never stopped")
    return 0
"""

# Each of them has the signal arrive where what a handler raises gets lost.
SWALLOWING = {
    "a weakref callback": """
def action():
    thing = Thing()
    reference = weakref.ref(thing, lambda gone: send())
    del thing
    return go_on()
""",
    "a destructor": """
Thing.__del__ = lambda thing: send()
def action():
    Thing()
    return go_on()
""",
    "a callback of the collector": """
def action():
    gc.callbacks.append(lambda phase, info: gc.callbacks.clear() or send())
    gc.collect()
    return go_on()
""",
    "code that catches everything": """
def action():
    try:
        send()
    except BaseException:
        pass
    return go_on()
""",
    "code that makes another error of it, of one file": """
def action():
    try:
        try:
            send()
        except BaseException as error:
            raise AudioFileError("cannot decode") from error
    except AudioFileError:
        pass
    return go_on()
""",
}
END = "\nsys.exit(run('program', action))"


@pytest.mark.parametrize("number", STATUS)
@pytest.mark.parametrize("place", SWALLOWING)
def test_a_signal_is_not_lost(place, number):
    status, out, err = end(start(BEGIN + SWALLOWING[place] + END, str(int(number))))
    assert (status, out) == (STATUS[number], "")
    assert err == ("program: interrupted\n" if number == signal.SIGINT else "")


def test_cleaning_up_is_not_interrupted():
    code = """
def action():
    try:
        send()
    finally:
        for _ in range(10):
            send()
            time.sleep(0.05)  # for the reminders, too
        print("in order", flush=True)
"""
    status, out, _err = end(start(BEGIN + code + END, str(int(signal.SIGINT))))
    assert (status, out) == (130, "in order\n")


def test_what_must_happen_whole_does():
    code = """
def action():
    with shielded():
        send()
        time.sleep(0.2)
        print("whole", flush=True)
    print("not any more", flush=True)
"""
    assert end(start(BEGIN + code + END, str(int(signal.SIGTERM))))[:2] == (143, "whole\n")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_signals_that_are_ignored_at_the_start_stay_so(number):
    code = """
def action():
    send()
    print("still there", flush=True)
    return 0
"""
    ignored = start(
        BEGIN + code + END,
        str(int(number)),
        preexec_fn=lambda: signal.signal(number, signal.SIG_IGN),
    )
    assert end(ignored) == (0, "still there\n", "")


def test_an_error_that_is_told_keeps_its_status():
    code = """
def action():
    try:
        send()
    finally:
        raise AudioFileError("cannot record: the disk is full")
"""
    status, _out, err = end(start(BEGIN + code + END, str(int(signal.SIGTERM))))
    assert (status, err) == (1, "program: error: cannot record: the disk is full\n")


def test_a_terminal_that_has_hung_up_is_no_error():
    code = """
def action():
    try:
        send()
    finally:
        raise OSError(5, "Input/output error")
"""
    assert end(start(BEGIN + code + END, str(int(signal.SIGHUP)))) == (129, "", "")


def test_ctrl_c_while_a_program_is_imported_says_nothing():
    code = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "rtsep.cli.separate":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from rtsep.cli.start import separate
separate()
"""
    default = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    assert end(start(code, **default)) == (-signal.SIGINT, "", "")


def test_the_weights_program_ends_while_a_server_keeps_it_waiting(tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        environment = {
            **os.environ,
            "RTSEP_WEIGHTS": str(tmp_path),
            "RTSEP_RELEASE_URL": f"http://127.0.0.1:{silent.getsockname()[1]}/",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "rtsep.cli.weights", "fetch", "spleeter:4stems"],
            env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        silent.settimeout(END_S)
        connection, _address = silent.accept()
        with connection:
            process.send_signal(signal.SIGTERM)
            _out, err = process.communicate(timeout=END_S)
    assert process.returncode == 143
    assert "Traceback" not in err
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".part", ".tmp")]


@pytest.mark.slow
def test_the_bench_program_ends_and_takes_its_children_with_it(tmp_path):
    words = [
        "offline",
        "--json",
        str(tmp_path / "a.json"),
        "--weights",
        "made-up",
        "--seconds",
        "20",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "rtsep.cli.bench", *words],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    children = ["pgrep", "-P", str(process.pid)]
    try:
        wait_until(
            lambda: subprocess.run(children, stdout=subprocess.DEVNULL).returncode == 0, "child"
        )
        process.send_signal(signal.SIGTERM)
        _out, err = process.communicate(timeout=END_S)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert process.returncode == 143, err
    assert list(tmp_path.iterdir()) == []
    # A child's own children notice its end, and are taken from the table, a moment later.
    wait_until(lambda: not _is_there(process.pid), "the end of all in its session", END_S)


def _is_there(group):
    """Whether anybody is left of a group of processes."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_at_any_moment_there_are_all_stems_or_none(tmp_path, made_up_weights):
    """RTSEP_SIGNALS=400 is the long form."""
    write_file(tmp_path / "song.wav", music(4.0))
    moments = random.Random(10)
    code = "import sys; from rtsep.cli.start import separate; sys.exit(separate())"
    command = [sys.executable, "-c", code, "song.wav", "--quiet"]
    options = {"cwd": tmp_path, "stderr": subprocess.PIPE, "text": True}
    default = ["env", "--default-signal=INT"]
    begun = time.monotonic()
    subprocess.run([*default, *command], check=True, **options)
    whole_s = time.monotonic() - begun
    stems = tmp_path / "separated" / "song"
    for moment in range(MOMENTS):
        for path in stems.iterdir():
            path.write_bytes(b"the old one")
        number = list(STATUS)[moment % len(STATUS)]
        process = subprocess.Popen([*default, *command], **options)
        time.sleep(moments.uniform(0, 1.1 * whole_s))
        process.send_signal(number)
        _out, err = process.communicate(timeout=END_S)
        lengths = {path.name: path.stat().st_size for path in stems.iterdir()}
        assert set(lengths) == {"vocals.wav", "accompaniment.wav"}
        assert len(set(lengths.values())) == 1
        is_new = lengths["vocals.wav"] > 1000
        if "init_import_site" in err:  # Python itself, before it begins to run rtsep
            continue
        # By the signal itself: before the program catches it, and after it has ended.
        stopped = process.returncode in (STATUS[number], -number)
        assert stopped or (process.returncode == 0 and is_new), (process.returncode, err)
        assert "rtsep/" not in err


@pytest.mark.parametrize("number", STATUS)
def test_what_a_session_has_recorded_stays(tmp_path, made_up_weights, number):
    write_file(tmp_path / "song.wav", music(30.0))
    words = (
        "--input-file song.wav --realtime --record r --output-file mix.wav --latency balanced -q"
    )
    process = subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, "-m", "rtsep.cli.monitor", *words.split()],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    vocals = tmp_path / "r" / "vocals.wav"
    give_up_s = time.monotonic() + END_S
    while time.monotonic() < give_up_s and not (
        vocals.exists() and vocals.stat().st_size > 400_000
    ):
        time.sleep(0.05)
    process.send_signal(number)
    _out, err = process.communicate(timeout=END_S)
    assert process.returncode == STATUS[number], err
    lengths = {soundfile.info(path).frames for path in (tmp_path / "r").iterdir()}
    assert len(lengths) == 1
    assert lengths.pop() > 44_100
    # Of the output there is all or nothing.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r", "song.wav"]
