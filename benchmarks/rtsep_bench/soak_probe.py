"""The song through a graph, round and round, and what is heard of it: a program beside the soak.

    python -m rtsep_bench.soak_probe SONG SINK EARS

SONG: a file of NumPy's, (samples, 2) float32 at the graph's rate. SINK, EARS: the sinks that it plays
into and hears, or `-` where rtsep-monitor connects this program's ports. Everything that is heard comes
out as records of HEADER and, of HEARD, the samples. It ends when its standard input does.
"""

from __future__ import annotations

import contextlib
import os
import queue
import struct
import sys
import threading
import time
from collections.abc import Iterator
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.errors import RtsepError
from rtsep_bench import child
from rtsep_bench.graph_probe import WRAPS, GraphProbe

MODULE = "rtsep_bench.soak_probe"
# Kind, samples, place on the song's clock, when it came on the monotonic clock.
HEADER = struct.Struct("<BIqd")
HEARD, PLAYER_MISSED = 0, 1
NO_SINK = "-"
CONNECT_S = 0.1
# Blocks that wait to be written: some ten seconds.
MOST_WAITING = 4096


class Record(NamedTuple):
    """What was heard, or that the player itself has missed a cycle; block: (samples, 2) float32."""

    kind: int
    at: int
    came_s: float
    block: NDArray[np.float32]


class SongProbe(GraphProbe):
    """Plays a song round and round, from sample 0 at the first cycle, and notes what is heard."""

    def __init__(self, song: NDArray[np.float32]):
        self._song = song
        self._base: int | None = None
        self._expected: int | None = None
        # Writers: the two callbacks. Reader: `records`.
        self._records: queue.Queue[Record] = queue.Queue(MOST_WAITING)
        super().__init__()

    def records(self) -> Iterator[Record]:
        """What was noted, as it comes; for ever."""
        while True:
            yield self._records.get()

    def _place(self, frame: int) -> int:
        """Samples since the song began; the graph counts in 32 bits."""
        if self._base is None:
            self._base = frame
            self._turns, self._newest = 0, 0
        turned = (frame - self._base) % WRAPS
        if turned < self._newest - WRAPS // 2:
            self._turns += 1
        elif turned > self._newest + WRAPS // 2:
            return turned + (self._turns - 1) * WRAPS
        self._newest = turned
        return turned + self._turns * WRAPS

    def _play(self, frames: int) -> None:
        first = self._place(self._sender.jack.last_frame_time)
        if self._expected is not None and first != self._expected:
            self._note(Record(PLAYER_MISSED, first, time.monotonic(), self._song[:0]))
        self._expected = first + frames
        places = np.arange(first, first + frames) % len(self._song)
        for channel, port in enumerate(self.outputs):
            port.get_array()[:] = self._song[places, channel]

    def _listen(self, frames: int) -> None:
        if self._base is None:
            return
        first = self._place(self._listener.jack.last_frame_time)
        block = np.stack([port.get_array() for port in self.inputs], axis=1)
        self._note(Record(HEARD, first, time.monotonic(), block))

    def _note(self, record: Record) -> None:
        # Where nobody reads any more there is nothing to be told either.
        with contextlib.suppress(queue.Full):
            self._records.put_nowait(record)


def read_records(pipe: IO[bytes]) -> Iterator[Record]:
    """What the program has written, to its end."""
    while len(header := pipe.read(HEADER.size)) == HEADER.size:
        kind, count, at, came_s = HEADER.unpack(header)
        block = np.frombuffer(pipe.read(8 * count), "<f4").reshape(-1, 2)
        yield Record(kind, at, came_s, block)


def _write(probe: SongProbe, pipe: IO[bytes]) -> None:
    for record in probe.records():
        block = record.block.astype("<f4")
        pipe.write(HEADER.pack(record.kind, len(block), record.at, record.came_s))
        pipe.write(block.tobytes())
        pipe.flush()


def main() -> None:
    """Run in the child process."""
    song, sink, ears = np.load(sys.argv[1]), sys.argv[2], sys.argv[3]
    # The callbacks are not to wait for the thread that writes.
    sys.setswitchinterval(0.0005)
    ended = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        ended.set()

    try:
        with SongProbe(song) as probe:
            threading.Thread(target=wait_for_the_end, daemon=True).start()
            threading.Thread(target=_write, args=(probe, sys.stdout.buffer), daemon=True).start()
            print(child.BEGUN, file=sys.stderr, flush=True)
            while not ended.wait(CONNECT_S):
                # What is not there yet, or no longer, is connected when it is.
                with contextlib.suppress(RtsepError):
                    if sink != NO_SINK:
                        probe.connect(probe.ports(sink, "playback"), sending=True)
                    if ears != NO_SINK:
                        probe.connect(probe.ports(ears, "monitor"), sending=False)
    except RtsepError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)
    os._exit(0)


if __name__ == "__main__":
    main()
