"""The sound around a fault on JACK: the tone into the graph, and how loud it comes back.

    python -m rtsep_bench.fault_graph

plays it by the client SENDER and hears LISTENER, which rtsep-monitor connects with its own ports. Of
each cycle one RECORD comes out. A byte on standard input, BAD or GOOD, has it play NaN or the tone from
then on. It waits for the server, and ends with it.
"""

from __future__ import annotations

import os
import queue
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping

import numpy as np

from rtsep.errors import RtsepError
from rtsep_bench import child
from rtsep_bench.fault_sound import Again, level
from rtsep_bench.graph_probe import GraphProbe
from rtsep_bench.heard import Level, tone

MODULE = "rtsep_bench.fault_graph"
# A Level.
RECORD = struct.Struct("<ddd")
BAD, GOOD = b"b", b"g"
AGAIN_S = 0.1


class GraphEnds(Again):
    """The program beside; levels: of all cycles, whose writer is its thread."""

    def __init__(self, environ: Mapping[str, str]):
        super().__init__(child.command(MODULE), environ)
        self.levels: list[Level] = []
        self._is_bad = False

    @property
    def is_bad(self) -> bool:
        """Whether NaN is played in place of the tone."""
        return self._is_bad

    @is_bad.setter
    def is_bad(self, wanted: bool) -> None:
        self._is_bad = wanted
        if self._program is not None:
            self._say(self._program)

    def _say(self, program: subprocess.Popen[bytes]) -> None:
        assert program.stdin is not None
        program.stdin.write(BAD if self._is_bad else GOOD)
        program.stdin.flush()

    def _use(self, program: subprocess.Popen[bytes]) -> None:
        assert program.stdout is not None
        self._say(program)
        while len(record := program.stdout.read(RECORD.size)) == RECORD.size:
            self.levels.append(Level(*RECORD.unpack(record)))


class _ToneProbe(GraphProbe):
    """Plays the tone, or NaN while `is_bad`; `levels` are those of all cycles."""

    def __init__(self) -> None:
        self.is_bad = False
        # Writer: the listener's callback. Reader: `_write`.
        self.levels: queue.SimpleQueue[Level] = queue.SimpleQueue()
        super().__init__()
        for client in (self._sender, self._listener):
            client.jack.set_shutdown_callback(lambda _status, _reason: os._exit(1))

    def _play(self, frames: int) -> None:
        first = self._sender.jack.last_frame_time
        block = tone(self.rate, first, frames)
        if self.is_bad:
            block[:] = np.nan
        for port in self.outputs:
            port.get_array()[:] = block

    def _listen(self, _frames: int) -> None:
        self.levels.put(level(self.inputs[0].get_array()))


def _probe() -> _ToneProbe:
    """Once there is a server."""
    while True:
        try:
            return _ToneProbe()
        except RtsepError:
            time.sleep(AGAIN_S)


def _write(probe: _ToneProbe) -> None:
    while True:
        sys.stdout.buffer.write(RECORD.pack(*probe.levels.get()))
        sys.stdout.buffer.flush()


def main() -> None:
    """Run in the child process."""
    # The callbacks are not to wait for the thread that writes.
    sys.setswitchinterval(0.0005)
    probe = _probe()
    with probe:
        threading.Thread(target=_write, args=(probe,), daemon=True).start()
        while byte := sys.stdin.buffer.read(1):
            probe.is_bad = byte == BAD
    os._exit(0)


if __name__ == "__main__":
    main()
