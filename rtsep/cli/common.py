"""What every rtsep program does the same way: errors in one line, signals, nothing half done left."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from rtsep.errors import RtsepError, UsageError
from rtsep.system.part_file import remove_leftovers
from rtsep.system.signals import catching, received, settle

if TYPE_CHECKING:
    from _typeshed import SupportsWrite


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line on stderr, exit status 2."""

    def error(self, message: str) -> NoReturn:
        """Print the message and where to find help; never the whole usage."""
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        # Help goes to stdout, which may be full.
        try:
            super()._print_message(message, file)
            if isinstance(file, io.TextIOBase):
                file.flush()
        except RtsepError as error:
            print(f"{self.prog}: error: {error}", file=sys.stderr)
            sys.exit(error.exit_status)


def run(program: str, action: Callable[[], int]) -> int:
    """Run `action`; turn deliberate errors into one line on stderr and their exit status.

    SIGINT, SIGTERM and SIGHUP end it, at any moment, with 128 and the signal's number, or with 1 if
    something else has failed by then; files that are half written are removed.
    """
    status = 0
    try:
        with catching():
            try:
                status = _run(program, action)
            finally:
                remove_leftovers()
        number = received()
    except KeyboardInterrupt:
        settle()
        number = received() or signal.SIGINT
    if number == signal.SIGINT:
        with contextlib.suppress(OSError):  # the terminal may be gone
            print(f"{program}: interrupted", file=sys.stderr)
    return status or (0 if number is None else 128 + number)


def _run(program: str, action: Callable[[], int]) -> int:
    try:
        status = action()
        sys.stdout.flush()
        return status
    except RtsepError as error:
        print(f"{program}: error: {error}", file=sys.stderr)
        return error.exit_status
    except ImportError as error:
        # An impossible RTSEP_KERNELS or RTSEP_DOT shows when the kernels are loaded; anything else is a
        # defect.
        if not str(error).startswith(("RTSEP_KERNELS", "RTSEP_DOT")):
            raise
        print(f"{program}: error: {error}", file=sys.stderr)
        return UsageError.exit_status
    except BrokenPipeError:
        # The reader of our output (head, less) has gone: nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError:
        # A terminal that has hung up takes no last words.
        if received() is None:
            raise
        return 0
