"""Starts and stops leave nothing behind, in the program and in the server.

RTSEP_STARTS=1000 is the long form. `rtsep-bench faults` starts and ends the program itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from rtsep_bench.memory import held_by
from rtsep_bench.servers import jack_server, pulse_server

pytestmark = [pytest.mark.slow, pytest.mark.unhurried]

STARTS = int(os.environ.get("RTSEP_STARTS", "16"))
TIMEOUT_S = 120.0 + 5.0 * STARTS
# An engine has some 25 MB.
MOST_MORE_MB, MOST_MORE_IN_SERVER_MB = 2.0, 2.0


@pytest.mark.timeout(TIMEOUT_S + 60)
@pytest.mark.parametrize(
    ("serve", "options", "listed"),
    [
        pytest.param(
            jack_server, ("--backend", "jack"), ("jack_lsp",),
            marks=pytest.mark.needs("jack"), id="jack",
        ),
        pytest.param(
            pulse_server, ("--backend", "pulse", "-i", "song", "-o", "stem"),
            ("pactl", "list", "short", "clients"),
            marks=pytest.mark.needs("pulse"), id="pulse",
        ),
    ],
)  # fmt: skip
def test_many_starts_leave_nothing_behind(made_up_weights, tmp_path, serve, options, listed):
    def sessions(starts):
        done = subprocess.run(
            [sys.executable, "-m", "tests.live.starts_child", str(starts), *options],
            env=server.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=TIMEOUT_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    with serve(tmp_path) as server:
        listed_before = len(server.command(*listed).splitlines())
        sessions(1)
        before = held_by(server.processes[0].pid)
        first, last = sessions(STARTS)
        after = held_by(server.processes[0].pid)
        listed_after = len(server.command(*listed).splitlines())
    assert (last["threads"], last["files"]) == (first["threads"], first["files"])
    assert last["rss_mb"] - first["rss_mb"] < MOST_MORE_MB
    assert listed_after == listed_before
    assert (after["threads"], after["files"]) == (before["threads"], before["files"])
    assert after["rss_mb"] - before["rss_mb"] < MOST_MORE_IN_SERVER_MB
