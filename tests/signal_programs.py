"""Programs of the tests that are started as processes of their own, to be sent signals."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
# Beyond what any of these needs to end, on an overloaded machine.
END_S = 60.0


def start(code: str, *arguments: str, **options) -> subprocess.Popen:
    """Start Python with `code`, which may import the tests."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def end(process: subprocess.Popen) -> tuple[int, str, str]:
    """Wait for its end; return status, stdout and stderr. It is killed if it does not end."""
    try:
        out, err = process.communicate(timeout=END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    return process.returncode, out, err
