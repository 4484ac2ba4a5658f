"""Measures songs in processes of their own, so that all cores work and a song that fails ends no other.

    python -m rtsep_bench.quality_child

reads cases from standard input, a line of JSON each, and writes lines of JSON: {"row": ...} for each
setting, {"failed": reason} for what cannot be measured, {"end": true} after each case.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import Any, TextIO

from rtsep.errors import RtsepError
from rtsep.nets.kind import Net
from rtsep.nets.kinds import net_names
from rtsep.nets.registry import ModelConfig
from rtsep.weights.load_nets import load_nets
from rtsep_bench import child, quality_case
from rtsep_bench.quality_case import Case
from rtsep_bench.report import Row
from rtsep_kernels.precision import Precision

MODULE = "rtsep_bench.quality_child"
# Processes stand beside each other: one thread each for the linear algebra of NumPy.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class CaseError(RtsepError):
    """A song, or one setting of it, that cannot be measured; the text is the reason."""


def measure_here(case: Case) -> Iterator[Row | CaseError]:
    """Yield a row, or the reason why there is none, for each setting; one reason for a whole song."""
    try:
        for found in quality_case.measure(case, _nets):
            yield found if isinstance(found, Row) else CaseError(str(found))
    except RtsepError as error:
        yield CaseError(str(error))


class Child:
    """A process that measures cases one after the other. Used by one thread; `kill` by any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._program: subprocess.Popen[str] | None = None
        self._killed = False
        # A pipe that nobody reads while the process works could fill up.
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by `close`

    def measure(self, case: Case) -> Iterator[Row | CaseError]:
        """As `measure_here`; a process that dies is the reason for the rest of its case."""
        try:
            program = self._running()
        except CaseError as error:
            yield error
            return
        assert program.stdin is not None and program.stdout is not None
        try:
            print(json.dumps(case.as_json()), file=program.stdin, flush=True)
            for line in program.stdout:
                message = json.loads(line)
                if "end" in message:
                    return
                yield _found(message)
        except (OSError, ValueError):  # it ended before it could read, or in the middle of a line
            pass
        yield CaseError(f"its process ended: {self._last_words(program)}")

    def kill(self) -> None:
        """End the process at once; it is not started again, and `measure` says that it has ended."""
        with self._lock:
            self._killed = True
            if self._program is not None:
                self._program.kill()

    def close(self) -> None:
        """Let go of everything, after `kill` and once no thread is in `measure` any more."""
        if self._program is not None:
            child.kill([self._program])
        self._complaints.close()

    def _running(self) -> subprocess.Popen[str]:
        with self._lock:
            if self._killed:
                raise CaseError("the run was ended")
            if self._program is None:
                self._complaints.seek(0)
                self._complaints.truncate()
                self._program = subprocess.Popen(
                    child.command(MODULE), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    stderr=self._complaints, text=True, env={**os.environ, **ONE_THREAD},
                )  # fmt: skip
            return self._program

    def _last_words(self, program: subprocess.Popen[str]) -> str:
        status = program.wait()
        with self._lock:
            if self._killed:
                return "the run was ended"
            child.kill([program])
            self._program = None
        self._complaints.seek(0)
        return child.last_line(self._complaints.read(), f"exit status {status}, perhaps for memory")


def main() -> None:
    """Run in the child process."""
    # Ctrl-C reaches all processes of a terminal: it is for the parent, which ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whatever else is printed goes where errors go.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    cases: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(cases,), daemon=True).start()
    while True:
        case = Case.from_json(json.loads(cases.get()))
        for found in measure_here(case):
            if isinstance(found, Row):
                _answer(answers, {"row": found.as_json()})
            else:
                _answer(answers, {"failed": str(found)})
        _answer(answers, {"end": True})


def _listen(cases: queue.Queue[str]) -> None:
    for line in sys.stdin:
        cases.put(line)
    # The parent has gone, and nobody waits for what is being measured.
    os._exit(0)


def _answer(answers: TextIO, message: dict[str, Any]) -> None:
    print(json.dumps(message), file=answers, flush=True)


def _found(message: dict[str, Any]) -> Row | CaseError:
    return Row.from_json(message["row"]) if "row" in message else CaseError(message["failed"])


_loaded: dict[tuple[str, Precision], dict[str, Net]] = {}


def _nets(config: ModelConfig, precision: Precision) -> dict[str, Net]:
    if (config.name, precision) not in _loaded:
        loaded = load_nets(config, precision=precision)
        _loaded[config.name, precision] = dict(zip(net_names(config), loaded, strict=True))
    return _loaded[config.name, precision]


if __name__ == "__main__":
    main()
