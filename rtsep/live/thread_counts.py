"""What the kernel counts of an audio thread, read by another one: the audio thread is not disturbed."""

from __future__ import annotations

from pathlib import Path

from rtsep.system.scheduling import IS_LINUX

# How often it is read, as a thread that has gone says no more.
LOOK_S = 1.0
# Places in /proc/PID/task/TID/stat, behind the name in brackets: minor and major page faults.
_MINOR, _MAJOR = 7, 9
_SWITCHES = "nonvoluntary_ctxt_switches:"


class ThreadCounts:
    """Sums over the audio threads of a session, which come one after another. One user: the main thread.

    Counted from the first look at each: its start has page faults of its own. Nothing elsewhere than on
    Linux.
    """

    def __init__(self) -> None:
        self._thread: int | None = None
        self._begin = self._newest = (0, 0, 0)
        self._before = (0, 0, 0)  # of the threads that have gone
        self._looked_s = 0.0

    def look(self, thread: int | None, now_s: float) -> None:
        """Read what is counted of `thread`, by its number, if it is time to; None: there is none yet."""
        if thread is None or not IS_LINUX:
            return
        if thread == self._thread and now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        try:
            counted = _read(Path(f"/proc/self/task/{thread}"))
        except OSError:  # it has gone
            return
        if thread != self._thread:
            self._before = self._sums()
            self._thread, self._begin = thread, counted
        self._newest = counted

    def stats(self) -> dict[str, int]:
        """As `rtsep-monitor --stats` writes it."""
        return dict(zip(("page_faults", "major_page_faults", "involuntary_switches"), self._sums()))

    def _sums(self) -> tuple[int, int, int]:
        minor, major, switches = (
            before + newest - begin
            for before, newest, begin in zip(self._before, self._newest, self._begin)
        )
        return minor, major, switches


def _read(task: Path) -> tuple[int, int, int]:
    fields = (task / "stat").read_text().rpartition(")")[2].split()
    status = (task / "status").read_text()
    switches = int(status.rpartition(_SWITCHES)[2].split()[0])
    return int(fields[_MINOR]), int(fields[_MAJOR]), switches
