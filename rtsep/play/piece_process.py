"""A process that makes pieces, so that the sound never waits for the networks in Python's lock.

Importing them takes the lock for up to 60 ms at a time, and on a busy machine running them, too; in the
player's own process that would be heard. The two talk in lines of JSON: the settings first, then orders,
each answered when it is done. Until the settings come it imports, then it loads the networks and runs
them once: started early, it answers the first order as fast as the others.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rtsep.errors import RtsepError
from rtsep.system.child_program import command

if TYPE_CHECKING:
    from rtsep.play.piece_maker import PieceMaker, PieceOrder
    from rtsep.play.stem_cache import StemSettings

END_S = 5.0


def start_process() -> subprocess.Popen[str]:
    """Start a process that makes pieces; a PieceProcess tells it which, and ends it."""
    return subprocess.Popen(
        command("rtsep.play.piece_process"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
        # A Ctrl-C at the terminal is for the player alone.
        start_new_session=os.name == "posix",
    )  # fmt: skip


def drop_process(process: subprocess.Popen[str]) -> None:
    """End a process that has no order; nothing again for one that has ended."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        with contextlib.suppress(OSError):
            pipe.close()


class PieceProcess:
    """Has pieces made by a process, which is started with the first one. One user at a time.

    Parameters
    ----------
    settings : StemSettings
    jobs : int
        Nets computed at the same time.
    process : Popen, optional
        One that `start_process` has started already.
    """

    def __init__(
        self, settings: StemSettings, jobs: int, process: subprocess.Popen[str] | None = None
    ):
        self._orders = {"settings": asdict(settings), "jobs": jobs}
        self._process = process
        if process is not None:
            self._say(self._orders)

    def make(self, order: PieceOrder) -> None:
        """See MakesPieces; raises RtsepError where the process cannot do it, or has ended."""
        if self._process is None:
            self._process = start_process()
            self._say(self._orders)
        self._say(asdict(order))
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RtsepError(
                f"the process that separates has ended with status {self._process.wait()}: start again"
            )
        error = json.loads(line)["error"]
        if error is not None:
            raise RtsepError(error)

    def drop(self) -> None:
        """End a process that nothing was ordered from; the next order starts another one."""
        if self._process is not None:
            drop_process(self._process)
            self._process = None

    def close(self) -> None:
        """End the process; it finishes a piece in the making."""
        process = self._process
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def _say(self, message: Any) -> None:
        assert self._process is not None and self._process.stdin is not None
        # One that has died is told by the end of its answers.
        with contextlib.suppress(OSError):
            print(json.dumps(message), file=self._process.stdin, flush=True)


def main() -> None:
    """The process: make what is ordered until there are no more orders."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # whatever libraries print
    # Where these are installed Numba and pyFFTW import them, half a second of it, for what is not used.
    sys.modules.update(dict.fromkeys(("scipy", "dask")))  # type: ignore[arg-type]
    from rtsep.play.piece_maker import PieceMaker, import_all
    from rtsep.play.stem_cache import StemSettings
    from rtsep.weights.library import model_named

    import_all()
    orders = json.loads(sys.stdin.readline())
    settings = StemSettings(**orders["settings"])
    with contextlib.ExitStack() as stack:
        maker = PieceMaker(model_named(settings.model), settings, orders["jobs"])
        stack.callback(maker.close)
        with contextlib.suppress(RtsepError):  # the first order is told of it
            maker.warm_up()
        for line in sys.stdin:
            error = _error_of(maker, json.loads(line))
            print(json.dumps({"error": error}), file=answers, flush=True)


def _error_of(maker: PieceMaker, order: dict[str, Any]) -> str | None:
    from rtsep.play.piece_maker import PieceOrder

    try:
        maker.make(PieceOrder(**order))
    except RtsepError as error:
        return str(error)
    except OSError as error:
        return f"cannot keep stems: {error.strerror}: make room on the disk"
    return None


if __name__ == "__main__":
    main()
