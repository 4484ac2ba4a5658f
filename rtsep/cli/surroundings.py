"""What a program is started in: streams closed or full, a folder that has gone."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from typing import Any

from rtsep.errors import RtsepError


def prepare(program: str) -> None:
    """Call this first: make the standard streams safe to write to, and warnings one line each.

    A closed stream becomes the null device, so that no file of ours takes its number and gets what
    libraries print. Names that an encoding lacks are escaped. What stderr does not take is dropped,
    since the work goes on and nobody is left to be told; stdout raises RtsepError once.
    Ends the program with one line and status 1 where the current folder has been deleted.
    """
    _fill_closed()
    if os.name == "posix":  # consoles of Windows are no files
        # What a caller has put in their place is its own business.
        if sys.stdout is sys.__stdout__ and isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout = _guarded(sys.stdout, "standard output")
        if sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
            sys.stderr = _guarded(sys.stderr, None)

    def show(message: Warning | str, *_: object, **__: object) -> None:
        print(f"{program}: warning: {message}", file=sys.stderr)

    warnings.showwarning = show
    try:
        os.getcwd()
    except OSError as error:
        # Numba asks for it as well, so that not even full paths would do.
        print(
            f"{program}: error: the current folder is not there any more ({error.strerror}): change"
            " to another one",
            file=sys.stderr,
        )
        sys.exit(1)


class GuardedOutput(io.FileIO):
    """A descriptor whose refusals are said once, in one line, or not at all.

    name_for_errors: how to call it; None to drop what it does not take.
    """

    def __init__(self, descriptor: int, name_for_errors: str | None):
        super().__init__(descriptor, "wb", closefd=False)
        self._name = name_for_errors
        self._failed = False

    def write(self, content: Any, /) -> int:
        """Write as a FileIO does; raises RtsepError the first time that it fails."""
        if not self._failed:
            try:
                return super().write(content)
            except BrokenPipeError:
                raise
            except OSError as error:
                self._failed = True
                if self._name is not None:
                    raise RtsepError(
                        f"cannot write to {self._name}: {error.strerror}: make room, or send it"
                        " elsewhere"
                    ) from error
        return len(memoryview(content).cast("B"))


def _fill_closed() -> None:
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            stream = open(descriptor, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def _guarded(stream: io.TextIOWrapper, name_for_errors: str | None) -> io.TextIOWrapper:
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(GuardedOutput(stream.fileno(), name_for_errors)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
