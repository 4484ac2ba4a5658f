"""Who goes first: the audio thread, the session's other threads, other programs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rtsep.devices import open as devices_open
from rtsep.devices.choice import DeviceSettings
from rtsep.devices.open import PortAudioBackend
from rtsep.live import priority
from rtsep.live.device_session import DeviceSession
from rtsep.live.file_session import run_paced
from rtsep.live.live_stream import LiveStream
from rtsep.live.plans.plan import PLANS
from rtsep.live.priority import (
    AUDIO,
    MOST_WITHOUT_REST_S,
    ORDINARY,
    REAL_TIME,
    SESSION,
    WORKER,
)
from rtsep_bench.server_process import wait_until
from tests.devices.fake_portaudio import device, install
from tests.live.streams import HOP, noise

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="threads are raised on Linux only")
pytestmark = linux_only

with priority.session_first() as _GRANTED:
    pass
granted = pytest.mark.skipif(
    _GRANTED.name == ORDINARY, reason="no leave to go before other programs"
)


@pytest.fixture(autouse=True)
def no_kit(monkeypatch):
    """RealtimeKit has tests of its own."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus")


def level(thread: int = 0) -> int:
    """A thread's real-time priority; 0 without one, and 0 for this thread."""
    return os.sched_getparam(thread).sched_priority


def level_in_a_new_thread() -> int:
    found = []
    thread = threading.Thread(target=lambda: found.append(level()))
    thread.start()
    thread.join()
    return found[0]


@granted
def test_a_session_and_all_that_it_starts_goes_first_and_the_audio_thread_before_it():
    with priority.session_first() as got:
        assert got.name == REAL_TIME
        assert (level(), level_in_a_new_thread()) == (SESSION, SESSION)
        with priority.audio_first():
            assert (level(), level_in_a_new_thread()) == (AUDIO, AUDIO)
        assert level() == SESSION
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@granted
def test_a_program_that_was_started_with_a_priority_keeps_it():
    def work():
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(AUDIO + 3))
        with priority.session_first() as got, priority.audio_first():
            found.append((got.name, level()))
        worker = priority.WorkerPriority(0.0)
        worker.look(MOST_WITHOUT_REST_S + 1.0, rests=False)
        found.append(level())

    found = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(REAL_TIME, AUDIO + 3), AUDIO + 3]


def test_ordinary_stays_ordinary():
    with priority.session_first("ordinary") as got, priority.audio_first():
        assert got.name == ORDINARY
        assert level() == 0


def test_a_system_that_denies_it_is_obeyed(monkeypatch):
    def deny(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", deny)
    with priority.session_first() as got, priority.audio_first():
        assert got.name == ORDINARY


def _limit_run_time(monkeypatch):
    resource = pytest.importorskip("resource")
    limits = {resource.RLIMIT_RTTIME: (200_000, 200_000)}
    monkeypatch.setattr(resource, "getrlimit", limits.__getitem__)


def test_no_priority_where_a_long_run_would_kill_the_program(monkeypatch):
    _limit_run_time(monkeypatch)
    with priority.session_first() as got:
        assert got.name == ORDINARY


@granted
def test_a_worker_gives_way_once_a_long_run_would_kill_the_program(monkeypatch):
    def work():
        worker = priority.WorkerPriority(0.0)
        worker.look(0.1, True)
        seen.append(level())
        _limit_run_time(monkeypatch)
        worker.look(0.2, True)
        seen.append(level())

    seen = []
    with priority.session_first():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert seen == [WORKER, 0]


@granted
def test_workers_go_first_again_once_there_is_another_audio_thread():
    """As when a device comes back whose thread had given way."""
    seen = []

    def work():
        worker = priority.WorkerPriority(0.0)
        for step in (session.give_way, open_device, session.overrun, open_device):
            step()
            worker.look(0.1, True)
            seen.append((level(), session.name, priority.has_overrun()))

    def open_device():
        with priority.audio_first():
            pass

    with priority.session_first() as session:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    gone, back = (0, ORDINARY, False), (WORKER, REAL_TIME, False)
    assert seen == [gone, back, (0, ORDINARY, True), back]


@granted
def test_a_worker_that_never_rests_gives_way_until_it_does():
    seen = []

    def work():
        worker = priority.WorkerPriority(0.0)
        for now_s, rests in (
            (0.1, True),
            (MOST_WITHOUT_REST_S, False),
            (MOST_WITHOUT_REST_S + 0.2, False),
            (MOST_WITHOUT_REST_S + 9.0, False),
            (MOST_WITHOUT_REST_S + 9.1, True),
            (MOST_WITHOUT_REST_S + 9.2, False),
        ):
            worker.look(now_s, rests)
            seen.append(level())

    with priority.session_first():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert seen == [WORKER, WORKER, 0, 0, WORKER, WORKER]


@granted
@pytest.mark.alone
@pytest.mark.parametrize("rests", [True, False])
def test_ordinary_threads_run_in_the_middle_of_a_worker_s_run_where_it_rests(rests):
    core, times, got = min(os.sched_getaffinity(0)), 20, []

    def work():
        os.sched_setaffinity(0, {core})
        worker = priority.WorkerPriority(0.0)
        before = _turns(busy.pid)
        for _ in range(times):
            until = time.thread_time() + 0.002
            while time.thread_time() < until:
                pass
            if rests:
                worker.rest()
        got.append(_turns(busy.pid) - before)

    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            os.sched_setaffinity(busy.pid, {core})
            with priority.session_first():
                thread = threading.Thread(target=work)
                thread.start()
                thread.join()
        finally:
            busy.kill()
    # A machine that stands still takes or gives some.
    assert got[0] > times / 2 if rests else got[0] < times / 4


def _turns(process: int) -> int:
    """How often a process was given a core."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[2])


def test_an_ordinary_worker_stays_ordinary():
    seen = []

    def work():
        worker = priority.WorkerPriority(0.0)
        for now_s in (1.0, 9.0):
            worker.look(now_s, rests=False)
            seen.append(level())
        seen.append(os.getpriority(os.PRIO_PROCESS, 0))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [0, 0, os.getpriority(os.PRIO_PROCESS, 0) + priority.NICENESS]


@granted
def test_workers_go_before_other_programs_and_a_paced_audio_thread_before_the_workers(start_engine):
    with priority.session_first():
        engine = start_engine(PLANS["low"])
        workers = [t for t in threading.enumerate() if t.name.startswith("rtsep ")]
        wait_until(
            lambda: {level(t.native_id) for t in workers} == {WORKER}, "workers that go first"
        )
        assert len(workers) == len(engine.workers)
        for _ in run_paced(engine, [noise(HOP)]):
            assert level() == AUDIO
        assert level() == SESSION


@granted
def test_the_devices_threads_are_started_as_audio_threads(start_engine, monkeypatch):
    module = install(monkeypatch, device("interface"))
    levels = []

    def open_stream(*arguments):
        levels.append(level())
        stream = real_open(*arguments)
        real_start = stream.start
        monkeypatch.setattr(stream, "start", lambda: (levels.append(level()), real_start()))
        return stream

    real_open = devices_open.open_stream
    monkeypatch.setattr(devices_open, "open_stream", open_stream)
    monkeypatch.setattr("rtsep.devices.device_stream.FIRST_BLOCK_S", 0.0)
    with priority.session_first():
        engine = start_engine(PLANS["low"])
        backend = PortAudioBackend(DeviceSettings())
        session = DeviceSession(LiveStream(engine), backend, backend.find())
        session.start()
        assert level() == SESSION
        session.close()
    assert levels == [AUDIO, AUDIO]
    assert module.opened
