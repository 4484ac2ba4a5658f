"""PipeWire's programs, run and listened to."""

from __future__ import annotations

import subprocess

from rtsep.errors import MissingLibraryError, RtsepError, one_line

_TIMEOUT_S = 2.0


def run(program: str, *words: str) -> str:
    """What a program writes. Raises RtsepError if it fails or is not there."""
    try:
        done = subprocess.run(
            [program, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=_TIMEOUT_S,
        )  # fmt: skip
    except FileNotFoundError:
        raise missing(program) from None
    except subprocess.TimeoutExpired:
        raise RtsepError(f"{program}: PipeWire gave no answer in {_TIMEOUT_S:g} s") from None
    if done.returncode:
        raise RtsepError(f"{program} failed: {one_line(done.stderr or done.stdout)}")
    return done.stdout


def missing(program: str) -> MissingLibraryError:
    """The error where a program is not installed."""
    return MissingLibraryError(
        f"PipeWire's program {program} is missing, which routing sound needs: Debian, Ubuntu:"
        " apt install pipewire-bin; Fedora: dnf install pipewire-utils"
    )
