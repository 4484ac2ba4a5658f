"""What every rtsep program does the same way: errors in one line, signals, nothing half done left."""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from rtsep.cli.config_file import check_commands, config_path, layers
from rtsep.errors import RtsepError, UsageError
from rtsep.system.part_file import remove_leftovers
from rtsep.system.signals import catching, received, settle

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

    from rtsep.cli.config_options import FileOptions


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line on stderr, exit status 2.

    What is not typed comes from the person's file of settings (config_file.py), if there is one.

    presets: whether there is `--preset`, and the file is read; not for a parser of which only the
    commands have options.
    """

    def __init__(self, *args: Any, presets: bool = True, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._presets = presets
        if presets:
            self.add_argument(
                "--preset", metavar="NAME", help="take the options of a preset (docs/presets.md)"
            )

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse's, also for the parser of a command."""
        words = sys.argv[1:] if args is None else list(args)
        options = self._file_options(words)
        if options is None:
            return super().parse_known_args(words, namespace)
        namespace = namespace or argparse.Namespace()
        options.begin(namespace)
        required = [action for action in options.set_actions if action.required]
        for action in required:
            action.required = False
        try:
            known, rest = super().parse_known_args(words, namespace)
        finally:
            for action in required:
                action.required = True
        options.finish(known)
        return known, rest

    def _file_options(self, words: list[str]) -> FileOptions | None:
        """What the file says; ends the program with one line where that is impossible."""
        # Help is to be had whatever is in the file.
        if {"-h", "--help"} & set(words):
            return None
        try:
            if not self._presets:
                for action in self._actions:
                    if isinstance(action, argparse._SubParsersAction):
                        check_commands(self.prog, list(action.choices))
                return None
            preset = self._preset(words)
            if preset is None and config_path() is None:
                return None
            from rtsep.cli.config_options import FileOptions

            return FileOptions(self, layers(self.prog, preset))
        except RtsepError as error:
            self.exit(error.exit_status, f"{self.prog}: error: {error}\n")

    def _preset(self, words: list[str]) -> str | None:
        """The preset among the words, which is needed before they can be understood."""
        if not any(word.startswith("--p") for word in words):
            return None
        finder = OneLineParser(self.prog, presets=False, add_help=False)
        # With its neighbours: else what abbreviates several of them would be taken for it.
        for action in self._actions:
            if any(option.startswith("--p") for option in action.option_strings):
                finder._add_action(copy.copy(action))
        preset: str | None = finder.parse_known_args(words)[0].preset
        return preset

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
