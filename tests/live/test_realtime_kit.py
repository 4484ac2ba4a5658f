"""Priority from RealtimeKit, the genuine one, where the system itself denies it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtsep.live.priority import AUDIO, NICENESS, NICENESS_SESSION, NICENESS_WORKER
from tests.live.rtkit_server import rtkit_server

CHECKOUT = Path(__file__).resolve().parents[2]
# Without the privilege to raise priorities itself. The session of nobody is none that polkit knows.
WITHOUT_LEAVE = ("setpriv", "--bounding-set=-sys_nice")
AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")

pytestmark = [
    pytest.mark.needs("rtkit"),
    pytest.mark.alone,
    pytest.mark.skipif(
        getattr(os, "geteuid", lambda: 1)() != 0, reason="only root can run RealtimeKit"
    ),
]


@pytest.fixture(scope="module")
def rtkit(tmp_path_factory):
    with rtkit_server(tmp_path_factory.mktemp("rtkit")) as server:
        yield server.environ


def session(environ, *arguments, without=WITHOUT_LEAVE):
    command = [*without, sys.executable, "-m", "tests.live.priority_child", *arguments]
    done = subprocess.run(
        command, env=environ, cwd=CHECKOUT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_audio_thread_goes_first_and_the_others_get_more_of_the_processor(rtkit):
    found = session(rtkit)
    assert found["name"] == "real-time"
    assert found["why"] == "the audio thread by RealtimeKit"
    assert found["audio"][0] == AUDIO
    assert found["main"] == found["other"] == [0, NICENESS_SESSION]
    assert found["worker"] == [0, NICENESS_WORKER]


def test_an_audio_thread_that_runs_on_loses_its_priority_and_the_program_lives(rtkit):
    found = session(rtkit, "burn")
    assert found["audio"][0] == 0
    assert found["name"] == "ordinary"
    assert found["overran"]


def test_who_is_refused_is_told_so(rtkit):
    found = session(rtkit, without=AS_NOBODY)
    assert found["name"] == "ordinary"
    assert "the system denies more; RealtimeKit refuses" in found["why"]
    assert found["audio"] == found["main"] == [0, 0]
    assert found["worker"] == [0, NICENESS]


def test_without_the_service_its_absence_is_the_reason(rtkit):
    nowhere = {**rtkit, "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nowhere/bus"}
    found = session(nowhere)
    assert found["name"] == "ordinary"
    assert "no system bus" in found["why"]
