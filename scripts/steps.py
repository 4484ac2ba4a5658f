"""How the scripts run commands: quietly, with all that these say in build/setup.log.

Standard library only, since this is used before anything is installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
LOG = CHECKOUT / "build" / "setup.log"
LOG_LINES_SHOWN = 30


def say(text: str) -> None:
    """Print a line of progress."""
    print(f"set-up: {text}", file=sys.stderr, flush=True)


def begin_log() -> None:
    """Begin the log anew; raises OSError where the checkout cannot be written to."""
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_bytes(b"")


def show_log() -> None:
    """Print the end of the log."""
    lines = LOG.read_text(encoding="utf-8", errors="replace").splitlines()
    print("\n".join(lines[-LOG_LINES_SHOWN:]), file=sys.stderr)


def run_logged(command: Sequence[str], timeout_s: float | None = None) -> bool:
    """Run a command in the checkout with its output in the log; whether it succeeded."""
    return output_of(command, timeout_s) is not None


def output_of(command: Sequence[str], timeout_s: float | None = None) -> str | None:
    """As run_logged; returns what the command printed, None where it failed."""
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("ab") as log:
        log.write(f"$ {' '.join(command)}\n".encode())
        log.flush()
        begins = log.tell()
        try:
            status = subprocess.call(
                command,
                cwd=CHECKOUT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=timeout_s,
                env=_quiet_environment(),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            log.write(f"{error}\n".encode())
            return None
    if status:
        return None
    return LOG.read_bytes()[begins:].decode(errors="replace")


def _quiet_environment() -> Mapping[str, str]:
    # Nothing may wait for an answer, nothing may be translated, and PYTHONHOME would point a new
    # environment elsewhere.
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "PIP_NO_INPUT": "1", "LC_ALL": "C.UTF-8"}
    environment = os.environ | quiet
    environment.pop("PYTHONHOME", None)
    return environment
