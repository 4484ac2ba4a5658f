"""Memory goes with what held it, at once: nothing waits for the cyclic garbage collector."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest
import soundfile

import rtsep
from rtsep.nets.unet import UNetState
from rtsep.offline.segments import SegmentSeparator

RATE = 44_100


@pytest.fixture(autouse=True)
def no_collector(made_up_weights):
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def segments(monkeypatch):
    """Weak references to what every stream's buffers hang on."""
    made = []
    initialise = SegmentSeparator.__init__

    def watched(self, *arguments):
        initialise(self, *arguments)
        made.extend([weakref.ref(self), weakref.ref(self._outputs[0]), weakref.ref(self._samples)])

    monkeypatch.setattr(SegmentSeparator, "__init__", watched)
    return made


def _all_gone(made):
    return bool(made) and all(reference() is None for reference in made)


def _threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("rtsep")]


def _wait_until(condition):
    ends = time.monotonic() + 10
    while not condition() and time.monotonic() < ends:
        time.sleep(0.01)
    return condition()


def _noise(seconds=0.1, rate=RATE):
    return np.random.default_rng(0).uniform(-0.1, 0.1, (int(seconds * rate), 2))


@pytest.mark.parametrize("rate", [RATE, 48_000])
def test_a_recording_leaves_nothing_behind(segments, rate):
    separator = rtsep.Separator(mask_extension="top")
    separator.separate(_noise(), rate)
    assert _all_gone(segments)
    assert not _threads()


@pytest.mark.parametrize("end", ["flush", "close", "with"])
def test_a_stream_that_has_ended_holds_nothing_though_it_is_kept(segments, end):
    stream = rtsep.Separator().stream()
    stream.push(_noise(12.5))
    assert _threads() and not _all_gone(segments)
    if end == "with":
        with stream:
            pass
    else:
        getattr(stream, end)()
    assert _all_gone(segments)
    assert not _threads()


def test_a_stream_that_is_abandoned_lets_go_of_threads_and_memory(segments):
    stream = rtsep.Separator().stream(48_000)
    stream.push(_noise(12.5, 48_000))
    assert _threads()
    del stream
    assert _wait_until(lambda: _all_gone(segments))
    assert _wait_until(lambda: not _threads())


@pytest.mark.parametrize("error", [ArithmeticError, KeyboardInterrupt])
def test_an_error_in_the_middle_leaves_nothing_behind(segments, monkeypatch, error):
    separator = rtsep.Separator()

    def broken(*arguments):
        raise error("no such number")

    monkeypatch.setattr(UNetState, "run", broken)
    try:
        separator.separate(_noise(), RATE)
    except error:
        pass
    else:
        pytest.fail("the error was swallowed")
    assert _wait_until(lambda: _all_gone(segments))
    assert not _threads()


CHILD = """
import gc, resource, sys
gc.disable()
from rtsep.cli.separate import main
status = main(["--quiet", "-o", sys.argv[1], *sys.argv[2:]])
print(status, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no module resource")
def test_many_files_take_the_memory_of_one(tmp_path):
    files = [tmp_path / f"{n}.wav" for n in range(8)]
    for file in files:
        soundfile.write(file, _noise(1.0), RATE)

    def peak(count):
        arguments = [sys.executable, "-c", CHILD, tmp_path / f"out{count}", *files[:count]]
        out = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
        status, kilobytes = out.split()[-2:]
        assert status == "0"
        return int(kilobytes)

    # 100 MB a file, where they pile up.
    assert peak(8) < 1.05 * peak(1)
