"""What keeps an audio thread with real-time priority from taking a core for itself."""

import os
import threading
import time

import numpy as np
import pytest

from rtsep.live import priority
from rtsep.live.audio_guard import BUSY_PERIODS, MORE_PERIODS, WATCHED_S, AudioGuard
from rtsep.live.priority import ORDINARY, SESSION, WORKER
from tests.live.test_priority import granted, level, linux_only

# Threads that burn a core before all others.
pytestmark = [linux_only, pytest.mark.alone]

RATE = 44_100
BLOCK = np.zeros((256, 2), np.float32)
BLOCK_S = len(BLOCK) / RATE
# Longer than all periods in which the guard judges.
JUDGED_S = (BUSY_PERIODS + MORE_PERIODS + 4) * WATCHED_S
# Part of the blocks that a machine with other work may bring late.
SOME = 0.5


def _burn(seconds):
    """Use the processor for so long, whatever else runs on it."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def _in_an_audio_thread(work):
    """Run `work` in a thread with an audio thread's priority; what it returns."""
    found = []

    def run():
        with priority.session_first() as got, priority.audio_first():
            found.extend((got, work()))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found


@granted
def test_a_thread_that_polls_without_rest_is_made_to_rest_and_keeps_its_priority():
    """As PortAudio's thread polls: the time that is left until the next block is burnt."""
    blocks = []

    def play():
        guard = AudioGuard(lambda block, out: blocks.append(len(block)), RATE)
        due = time.perf_counter()
        ends = due + JUDGED_S
        while time.perf_counter() < ends:
            due += BLOCK_S
            while time.perf_counter() < due:
                pass
            guard(BLOCK, BLOCK)
        return guard.rests, guard.gave_way, level()

    got, (rests, gave_way, own_level) = _in_an_audio_thread(play)
    assert (rests, gave_way, own_level) == (True, False, priority.AUDIO), got
    assert len(blocks) > SOME * JUDGED_S / BLOCK_S


@granted
def test_where_rest_does_not_help_the_thread_becomes_an_ordinary_one_and_so_do_the_workers():
    levels = []

    def work():
        worker = priority.WorkerPriority(0.0)
        for now_s in (0.1, 0.2):
            worker.look(now_s, rests=True)
            levels.append(level())
            begun.set()
            over.wait(30.0)

    def play():
        worker = threading.Thread(target=_as_session(work))
        worker.start()
        begun.wait(30.0)
        # 20 times what half a block of rest gives back.
        guard = AudioGuard(lambda block, out: _burn(10 * BLOCK_S), RATE)
        ends = time.perf_counter() + 10 * JUDGED_S
        while not guard.gave_way and time.perf_counter() < ends:
            guard(BLOCK, BLOCK)
        over.set()
        worker.join()
        return guard.rests, guard.gave_way, level()

    begun, over = threading.Event(), threading.Event()
    assert _in_an_audio_thread(play)[1] == (False, True, 0)
    assert levels == [WORKER, 0]


def _as_session(work):
    def run():
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(SESSION))
        work()

    return run


@granted
def test_a_thread_that_waits_is_left_alone():
    def play():
        guard = AudioGuard(lambda block, out: None, RATE)
        ends = time.perf_counter() + JUDGED_S
        while time.perf_counter() < ends:
            time.sleep(BLOCK_S)
            guard(BLOCK, BLOCK)
        return guard.rests, guard.gave_way

    assert _in_an_audio_thread(play)[1] == (False, False)


def test_an_ordinary_thread_is_left_alone():
    with priority.session_first(ORDINARY):
        guard = AudioGuard(lambda block, out: _burn(BLOCK_S), RATE)
        ends = time.perf_counter() + JUDGED_S
        while time.perf_counter() < ends:
            guard(BLOCK, BLOCK)
    assert not guard.rests
    assert not guard.gave_way
