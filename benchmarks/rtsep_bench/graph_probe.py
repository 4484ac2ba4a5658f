"""Impulses through a graph, sent and heard inside it by JACK clients: exact to the sample.

Two clients, so that none hears what it sends: the program between them would close a circle, in which a
graph delays by a cycle. They count samples by the graph's clock, which is the same in a cycle for all.
"""

from __future__ import annotations

import os
import queue
import random
import time

import numpy as np
from numpy.typing import NDArray

from rtsep.devices.graph import libjack
from rtsep.devices.graph.graph_client import GraphClient
from rtsep.errors import RtsepError
from rtsep_bench.heard import IMPULSE_LEVEL, Heard, tone

SENDER, LISTENER = "bench_sender", "bench_listener"
# The graph counts samples in 32 bits.
WRAPS = 1 << 32
CALIBRATION_S, MOST_CALIBRATIONS = 0.5, 10
# PipeWire runs clients of one group in one cycle from the start, whichever sinks they are linked to.
_ONE_GROUP = '{ node.group = "rtsep_bench" }'


class GraphProbe:
    """The two clients, for the time of a `with` block.

    Attributes
    ----------
    heard : Heard
        What came in at the listener's first input, after `update`, by the graph's clock.
    sent_s : list of float
        When impulses were sent, by that clock.
    xruns : int
        Those that the clients were told of. Writer: JACK's threads.

    Raises
    ------
    RtsepError
        If no server answers.
    MissingLibraryError
        If the JACK library is not installed.
    """

    def __init__(self) -> None:
        library = libjack.load(libjack.find_server())
        os.environ["PIPEWIRE_PROPS"] = _ONE_GROUP
        try:
            self._sender = GraphClient(library, SENDER)
            self._listener = GraphClient(library, LISTENER)
        finally:
            del os.environ["PIPEWIRE_PROPS"]
        self.rate = self._sender.rate
        self.outputs = [self._sender.jack.outports.register(f"out_{k}") for k in (1, 2)]
        self.inputs = [self._listener.jack.inports.register(f"in_{k}") for k in (1, 2)]
        self.heard = Heard(self.rate)
        self.xruns = 0
        self._random = random.Random(0)
        # Writers: `send` and `play_tone`. Reader, which takes what it finds: the sender's callback.
        self._wanted: queue.SimpleQueue[float] = queue.SimpleQueue()
        self._tone = False
        # Writer: the sender's callback. Reader: `update`.
        self._sent: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.sent_s: list[float] = []
        # Writer: the listener's callback. Reader: `update`.
        self._blocks: queue.SimpleQueue[tuple[int, float, NDArray[np.float32]]] = (
            queue.SimpleQueue()
        )
        self._first: int | None = None
        self._sender.set_process(self._play)
        self._listener.set_process(self._listen)
        self._sender.jack.set_xrun_callback(self._count_xrun)

    def __enter__(self) -> GraphProbe:
        self._listener.jack.activate()
        self._sender.jack.activate()
        return self

    def __exit__(self, *_error: object) -> None:
        for client in (self._sender, self._listener):
            client.close()

    def calibrate(self) -> None:
        """Raise RtsepError unless impulses from client to client take no time at all.

        One that does is enough: a busy machine is a cycle late now and then.
        """
        self.connect([port.name for port in self.inputs], sending=True)
        time.sleep(CALIBRATION_S)
        for _ in range(MOST_CALIBRATIONS):
            self.send()
            time.sleep(CALIBRATION_S)
            self.update()
            took_s = [heard - sent for sent, heard in zip(self.sent_s, self.heard.impulses_s)]
            if took_s and round(took_s[-1] * self.rate) == 0:
                break
        else:
            raise RtsepError(
                "the graph's clients do not share a clock: impulses from one to the other took"
                f" {', '.join(f'{1000 * took:.3f} ms' for took in took_s) or 'for ever'}"
            )
        self.send_to([])

    def ports(self, client: str, end: str) -> list[str]:
        """Names of the audio ports of `client` whose own name begins with `end`, sorted.

        A graph orders ports as they were made; left comes before right in their names, too.
        """
        pattern = f"^{client}[^:]*:{end}"
        return sorted(port.name for port in self._sender.jack.get_ports(pattern, is_audio=True))

    def connect(self, names: list[str], *, sending: bool) -> None:
        """Connect the sender to these inputs, or these outputs to the listener, where they are not.

        Raises RtsepError where the server refuses, as for ports whose client is not active yet.
        """
        for ours, name in zip(self.outputs if sending else self.inputs, names):
            pair = (ours.name, name) if sending else (name, ours.name)
            self._sender.connect(*pair)

    def send_to(self, names: list[str]) -> None:
        """Connect the sender to these inputs alone. Raises RtsepError."""
        for ours in self.outputs:
            for other in ours.connections:
                self._sender.disconnect(ours.name, other.name)
        self.connect(names, sending=True)

    def heard_s(self) -> list[float]:
        """When impulses were heard, by the clock of `sent_s`."""
        return list(self.heard.impulses_s)

    def play_tone(self, wanted: bool) -> None:
        """Play the steady tone from now on, or no longer."""
        self._tone = wanted

    def send(self) -> None:
        """Send an impulse in the next cycle, anywhere in it."""
        self._wanted.put(self._random.random())

    def update(self) -> None:
        """Take over what the callbacks have noted since the last time."""
        while not self._sent.empty():
            self.sent_s.append(self._clock_s(self._sent.get()))
        while not self._blocks.empty():
            frame, came_s, block = self._blocks.get()
            self.heard.add(self._clock_s(frame), came_s, block)

    def _clock_s(self, frame: int) -> float:
        """Seconds since the first frame that was looked at, or before it."""
        if self._first is None:
            self._first = frame
        turned = (frame - self._first) % WRAPS
        return (turned - WRAPS if turned > WRAPS // 2 else turned) / self.rate

    def _play(self, frames: int) -> None:
        first = self._sender.jack.last_frame_time
        block = tone(self.rate, first, frames) if self._tone else np.zeros(frames, np.float32)
        if not self._wanted.empty():
            at = int(self._wanted.get() * frames)
            block[at] = IMPULSE_LEVEL
            self._sent.put(first + at)
        for port in self.outputs:
            port.get_array()[:] = block

    def _listen(self, frames: int) -> None:
        first = self._listener.jack.last_frame_time
        self._blocks.put((first, time.monotonic(), self.inputs[0].get_array().copy()))

    def _count_xrun(self, _delayed_us: float) -> None:
        self.xruns += 1
