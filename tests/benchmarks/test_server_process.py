"""Servers that are started for a measurement, where their programs are not there."""

from __future__ import annotations

import os

import pytest

from rtsep_bench.server_process import Program, ServerError, running

ABSENT = "rtsep-no-such-program"


@pytest.mark.parametrize(
    ("command", "tool"), [((ABSENT,), "true"), (("sleep", "60"), ABSENT)], ids=["server", "tool"]
)
def test_a_program_that_is_not_there_is_named_and_not_waited_for(tmp_path, command, tool):
    programs = [Program(command, tmp_path / "log")]
    with (
        pytest.raises(ServerError, match=f"^{ABSENT} is not installed$"),
        running(programs, dict(os.environ), lambda server: server.command(tool) == ""),
    ):
        pytest.fail("it runs")
