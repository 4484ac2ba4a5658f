"""What faults do to the machine, as far as one program goes: cores, memory, disks. Linux, root."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from rtsep.errors import RtsepError
from rtsep_bench.memory import rss_mb

# Before the program's threads and the server's, which have less.
HOG_PRIORITY = 50
_HOG = "import sys\nprint('begun', flush=True)\nwhile True: pass"
# Takes all there is, a MB at a time, until the kernel ends it; it offers itself before it enters.
_OFFERED = 'echo 1000 > /proc/self/oom_score_adj; echo 0 > "$0" && exec "$@"'
_EATER = "kept = []\nwhile True: kept.append(bytearray(1 << 20))"
# What is left beside the program's own memory, and so often it is taken.
SPARE_BYTES, AGAIN_S = 16 << 20, 0.2
CGROUPS = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))
CLOSING = 50
FULL_MB, DISK_MB = 2, 64


class NotHere(RtsepError):
    """This machine does not let the fault be made."""


def core_of_worker(process: int) -> int:
    """The core on which the thread of a process that has worked most ran last."""
    most, core = -1, 0
    for stat in Path(f"/proc/{process}/task").glob("*/stat"):
        fields = stat.read_text().rpartition(")")[2].split()
        worked = int(fields[11]) + int(fields[12])
        if worked > most:
            most, core = worked, int(fields[36])
    return core


@contextlib.contextmanager
def hog(core: int) -> Iterator[None]:
    """A program that has a core for itself and never rests. Raises NotHere."""
    words = ["chrt", "--fifo", str(HOG_PRIORITY), "taskset", "-c", str(core)]
    # Ended by a clock of its own too, should this program not come to it.
    with subprocess.Popen(
        ["timeout", "-s", "KILL", "5", *words, sys.executable, "-c", _HOG],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    ) as program:  # fmt: skip
        try:
            assert program.stdout is not None
            if program.stdout.readline().strip() != b"begun":
                raise NotHere("no leave to run a program at SCHED_FIFO 50")
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, 9)


class MemoryGroup:
    """A cgroup of its own, from the construction to `close`. Raises NotHere where none can be made.

    Attributes
    ----------
    enter : tuple of str
        What to put in front of a command to run it in the group.
    """

    def __init__(self) -> None:
        self._folder = _memory_group()
        self._is_first = (self._folder / "memory.limit_in_bytes").exists()
        self._processes = self._folder / "cgroup.procs"
        self.enter = ("sh", "-c", 'echo 0 > "$0" && exec "$@"', str(self._processes))

    @contextlib.contextmanager
    def little_left(self, process: int) -> Iterator[None]:
        """What `process`, in the group, has not taken yet, another program takes, again and again.

        The kernel then looks for memory to take back in the group, and ends that program. Of the two it
        ends the larger one, by all that it has mapped, also where that is not the group's; with a limit
        of that much, that is the one which has offered itself.
        """
        limit = "memory.limit_in_bytes" if self._is_first else "memory.max"
        ended = threading.Event()
        eaters: list[subprocess.Popen[bytes]] = []

        def eat() -> None:
            while not ended.wait(AGAIN_S):
                offered = ["sh", "-c", _OFFERED, str(self._processes)]
                words = [*offered, sys.executable, "-c", _EATER]
                with subprocess.Popen(words, stderr=subprocess.DEVNULL) as program:
                    eaters[:] = [program]

        eating = threading.Thread(target=eat)
        allowed = round(1e6 * (rss_mb(process) or 0.0)) + SPARE_BYTES
        (self._folder / limit).write_text(str(allowed))
        eating.start()
        try:
            yield
        finally:
            # Without a limit the last one would take the machine's: it ends first.
            ended.set()
            while eating.is_alive():
                for program in eaters:
                    program.kill()
                eating.join(AGAIN_S)
            (self._folder / limit).write_text("-1" if self._is_first else "max")

    def close(self) -> None:
        """Remove it, once what ran in it has ended."""
        for _ in range(CLOSING):
            with contextlib.suppress(OSError):
                self._folder.rmdir()
                return
            time.sleep(AGAIN_S)


def _memory_group() -> Path:
    for root in CGROUPS:
        group = root / f"rtsep-{uuid.uuid4().hex[:8]}"
        with contextlib.suppress(OSError):
            group.mkdir()
            if (group / "memory.limit_in_bytes").exists() or (group / "memory.max").exists():
                return group
            group.rmdir()
    raise NotHere("no leave to make a cgroup that limits memory")


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of FULL_MB in `folder`, for the time of a `with` block. Raises NotHere."""
    folder.mkdir()
    _command("mount", "-t", "tmpfs", "-o", f"size={FULL_MB}m", "tmpfs", str(folder))
    try:
        yield
    finally:
        _command("umount", "--lazy", str(folder))


@contextlib.contextmanager
def own_disk(folder: Path) -> Iterator[None]:
    """A file system of DISK_MB in `folder`, which can be `frozen`. Raises NotHere."""
    folder.mkdir()
    image = folder.with_suffix(".image")
    with image.open("wb") as file:
        file.truncate(DISK_MB << 20)
    _command("mkfs.ext4", "-q", "-F", str(image))
    _command("mount", "-o", "loop", str(image), str(folder))
    try:
        yield
    finally:
        _command("umount", "--lazy", str(folder))


@contextlib.contextmanager
def frozen(folder: Path) -> Iterator[None]:
    """Let a file system take nothing: who writes to it waits. Raises NotHere."""
    _command("fsfreeze", "--freeze", str(folder))
    try:
        yield
    finally:
        _command("fsfreeze", "--unfreeze", str(folder))


def _command(*words: str) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True)
    except FileNotFoundError:
        raise NotHere(f"{words[0]} is not installed") from None
    if done.returncode:
        raise NotHere(f"{' '.join(words)}: {done.stderr.strip()}")
