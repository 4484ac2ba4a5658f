"""Programs of this package in processes of their own: what is measured there, loads, watchers.

A child imports from where its parent does (`command`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rtsep.errors import RtsepError
from rtsep.system.child_program import command as command  # for its users, with the rest

# What a program that runs beside a measurement prints when it has begun.
BEGUN = "begun"


def start_beside(
    commands: Iterable[Sequence[str]], name: str, **options: Any
) -> list[subprocess.Popen[str]]:
    """Start programs that run beside a measurement; returns when each has printed BEGUN.

    name: what to call one in an error.  options: for Popen.
    Raises RtsepError, and leaves none running, where one does not begin.
    """
    programs: list[subprocess.Popen[str]] = []
    try:
        for words in commands:
            programs.append(
                subprocess.Popen(
                    words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                    text=True, **options,
                )
            )  # fmt: skip
        for program in programs:
            assert program.stdout is not None
            if program.stdout.readline().strip() != BEGUN:
                program.kill()
                raise RtsepError(f"{name} did not start: {last_words(program)}")
    except BaseException:
        kill(programs)
        raise
    return programs


def say_begun() -> None:
    """Tell the parent, which waits in `start_beside`, that the work begins."""
    print(BEGUN, flush=True)


def ask(module: str, settings: object, environ: Mapping[str, str]) -> Any:
    """Run `module`, whose child calls `answer`, with `settings` as JSON; returns what it measured.

    Ends with it where this process is interrupted. Raises RtsepError with its last line where it fails.
    """
    with subprocess.Popen(
        command(module, json.dumps(settings)), env=environ, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as program:  # fmt: skip
        try:
            printed, complaints = program.communicate()
        except BaseException:
            program.terminate()
            raise
    if program.returncode:
        raise RtsepError(last_line(complaints, f"exit status {program.returncode}"))
    return json.loads(printed)


def answer(measure: Callable[[Path], object]) -> None:
    """Be a child that measures, for `ask`: print as JSON what `measure` returns, or a line, and end.

    measure: takes an empty folder of its own.
    """
    # Callbacks of probes are not to wait for the thread that looks on.
    sys.setswitchinterval(0.0005)
    with tempfile.TemporaryDirectory() as folder:
        try:
            print(json.dumps(measure(Path(folder))))
        except RtsepError as error:
            print(error, file=sys.stderr)
            sys.exit(error.exit_status)
        except KeyboardInterrupt:
            sys.exit(130)


def noted_by(program: subprocess.Popen[str], name: str) -> Any:
    """End a program of `start_beside` by closing its standard input; what it prints then, from JSON.

    Raises RtsepError with `name` where it has ended by itself.
    """
    printed, _ = program.communicate()
    if program.returncode:
        raise RtsepError(f"{name} ended before its time: {last_words(program)}")
    return json.loads(printed)


def last_words(program: subprocess.Popen[str]) -> str:
    """Exit status and last line of a program that has ended or is about to."""
    _, complaints = program.communicate()
    return f"exit status {program.returncode}, {last_line(complaints, 'it said nothing')}"


def last_line(said: str, otherwise: str) -> str:
    """The last line of what a program said, which is the error; `otherwise` if it said nothing."""
    return (said.strip().splitlines() or [otherwise])[-1]


def kill(programs: Iterable[subprocess.Popen[str]]) -> None:
    """End programs at once and close their pipes."""
    for program in programs:
        program.kill()
        program.communicate()
