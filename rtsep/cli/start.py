"""Where the installed programs begin, before anything that takes time to import.

Until a program's own handling of signals stands (see common.py), a Ctrl-C ends the process silently,
in place of a traceback from the middle of an import. SIGTERM and SIGHUP do so by themselves.
"""

from __future__ import annotations

import signal
from importlib import import_module


def separate() -> int:
    """`rtsep-separate`."""
    return _run("separate")


def monitor() -> int:
    """`rtsep-monitor`."""
    return _run("monitor")


def weights() -> int:
    """`rtsep-weights`."""
    return _run("weights")


def bench() -> int:
    """`rtsep-bench`."""
    return _run("bench")


def train() -> int:
    """`rtsep-train`."""
    return _run("train")


def play() -> int:
    """`rtsep-play`."""
    return _run("play")


def _run(program: str) -> int:
    # Where it is ignored (background jobs), it stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    return import_module(f"rtsep.cli.{program}").main()
