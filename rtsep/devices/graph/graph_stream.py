"""A stream that is a client of the graph: its ports, its cycle, its connections.

    sources -> rtsep:in_1, in_2 -> process -> rtsep:out_1, out_2            -> sinks
                                           -> rtsep:vocals_1, vocals_2, ... -> sinks of the stems

All within one cycle of the graph: nothing is buffered, no clock is followed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from rtsep.devices.audio_stream import AudioStream, Process, Xruns
from rtsep.devices.backend import Ends
from rtsep.devices.clock_bridge import LONGEST_BLOCK
from rtsep.devices.graph.graph_client import CAPTURE, PLAYBACK, GraphClient, serial_of
from rtsep.devices.graph.graph_ends import GraphEnds
from rtsep.devices.graph.libjack import LibJack
from rtsep.devices.graph.pipewire_nodes import list_nodes
from rtsep.devices.route import PIPEWIRE
from rtsep.errors import RtsepError
from rtsep.system.memory import touched_zeros

# The graph's time jumps when nodes are connected, as another one may then lead it.
SETTLED_S = 0.5
# A graph without a cycle for so long has died: PipeWire's libjack (0.3.65) does not say that it has.
STANDS_STILL_S = 2.0
# A cycle that was missed: both what came in and what was to go out.
_MISSED = Xruns(True, False, False, True)


class GraphStream(AudioStream):
    """Ports named after what goes through them; see AudioStream.

    JACK knows one kind of xrun: a cycle that was not finished in time. Its input is lost and its output
    missing, so it is counted as `input_overflow` and as `output_underflow`, as PortAudio does.

    Parameters
    ----------
    library : LibJack
        Of the server.
    ends : GraphEnds
        What to connect.
    stems : sequence of str
        Whose sound stands behind the mix in what `process` fills.
    block : int
        Samples per cycle to ask PipeWire for; jackd decides by itself.
    process, on_xruns : callable
        As for AudioStream.

    Raises
    ------
    RtsepError
        If the server does not take the client.
    """

    def __init__(
        self,
        library: LibJack,
        ends: GraphEnds,
        stems: Sequence[str],
        block: int,
        process: Process,
        on_xruns: Callable[[object], None],
    ):
        super().__init__(process, on_xruns)
        self._library, self._ends, self._stems = library, ends, tuple(stems)
        self._client = GraphClient(library, quantum=(block, ends.output_rate))
        width = ends.channels_out // (1 + len(stems))
        jack = self._client.jack
        self._inputs = _register(jack.inports, "in", ends.channels_in)
        self._mix = _register(jack.outports, "out", width)
        self._stem_ports = {stem: _register(jack.outports, stem, width) for stem in stems}
        self._outputs = [
            *self._mix,
            *(port for ports in self._stem_ports.values() for port in ports),
        ]
        # writer and reader: the graph's thread. (samples, channels) float32; longer cycles go in pieces
        self._block = touched_zeros((LONGEST_BLOCK, ends.channels_in), np.float32)
        self._out = touched_zeros((LONGEST_BLOCK, ends.channels_out), np.float32)
        self._cycles = 0  # writer: the graph's thread
        self._seen_cycles, self._seen_s = -1, 0.0  # by the main thread, and when it last rose
        self._has_ended = False  # writers: the server's threads
        self._missed = False  # set by the server's thread, cleared by the graph's
        self._next_time = 0  # writer and reader: the graph's thread
        # Set where connections are made. writers: main thread, and the graph's counts it down.
        self._unsettled_samples = 0
        self._latency_samples = 0  # writer: main thread; reader: the server's
        self._connected: set[tuple[str, str]] = set()  # by this stream; source and target
        self._is_playing = False
        self._latency_s = 0.0, 0.0  # the last that was known
        # Cycles by which sources are older, and sinks play later, than they say.
        self._cycles_behind = 0, 0
        self._client.set_process(self._cycle)
        jack.set_xrun_callback(self._note_xrun)
        jack.set_shutdown_callback(self._end)
        jack.set_samplerate_callback(self._look_at_rate)
        self._client.pass_latency_on(
            self._inputs, self._mix if ends.sinks else self._outputs, lambda: self._latency_samples
        )

    # --- what a session asks --------------------------------------------------------------------

    @property
    def latency_s(self) -> tuple[float, float]:
        """What the connected ports say: how old sound is that they give, how soon it is heard.

        0 where these are programs' ports.
        """
        if self._client.is_open and not self._has_ended:
            cycle_s = self._client.jack.blocksize / self._ends.output_rate
            before, after = self._cycles_behind
            self._latency_s = (
                before * cycle_s + self._most_latency_s(self._inputs, self._ends.sources, CAPTURE),
                after * cycle_s + self._most_latency_s(self._mix, self._ends.sinks, PLAYBACK),
            )
        return self._latency_s

    @property
    def measured_latency_s(self) -> float:
        """The same: nothing else lies between, and the graph counts samples."""
        return sum(self.latency_s)

    def _most_latency_s(self, own: Sequence[Any], others: Sequence[int], mode: int) -> float:
        client = self._client
        samples = [client.latency_by_name(name, mode) for _, name in self._pairs(own, others)]
        return max(samples, default=0) / self._ends.output_rate

    @property
    def active(self) -> bool:
        """Whether the graph goes on and the ends are there.

        Whoever connects the ports otherwise, as in a patch bay, is welcome to: an end is lost when its
        port is gone and nothing else is in its place.
        """
        if self._has_ended or self._stands_still():
            return False
        return not any(self._is_lost(*pair) for pair in self._connected)

    def start(self) -> None:
        """Join the cycle and connect. Raises RtsepError."""
        try:
            self._client.jack.activate()
        except self._library.module.JackError as error:
            raise RtsepError(f"{self._library.server} does not let rtsep play ({error})") from None
        self._is_playing = True
        for pair in self._wanted(self._ends):
            self._connect(pair)
        self._client.recompute_latencies()
        self._look_at_leader()

    def close(self) -> bool:
        """Leave the graph; False if a server that stands still, or has died, does not let go."""
        if not self._client.close():
            return False
        self._let_go()
        return True

    @property
    def remarks(self) -> list[str]:
        """The graph, its cycle and the ports' names."""
        jack = self._client.jack
        server = "PipeWire" if self._library.server == PIPEWIRE else "JACK"
        names = ", ".join(port.shortname for port in (*self._inputs, *self._outputs))
        return [
            f"graph   {server}, {jack.blocksize} samples a cycle; ports of {jack.name}: {names}"
        ]

    def tell_latency(self, process_latency_s: float) -> None:
        """Ports before and behind have their latencies with this one added from now on."""
        self._latency_samples = round(process_latency_s * self._ends.output_rate)
        if self._is_playing:
            self._client.recompute_latencies()

    def reroute(self, ends: Ends) -> bool:
        """Connect the new ends, then disconnect the old ones: nothing is missing in between."""
        before = self._ends
        if not isinstance(ends, GraphEnds) or not self._is_playing or self._has_ended:
            return False
        if (ends.output_rate, ends.channels_in, ends.channels_out, bool(ends.sinks)) != (
            before.output_rate, before.channels_in, before.channels_out, bool(before.sinks),
        ):  # fmt: skip
            return False
        try:
            wanted = self._wanted(ends)
            for pair in wanted - self._connected:
                self._connect(pair)
        except RtsepError:
            return False
        for pair in self._connected - wanted:
            self._client.disconnect(*pair)
        self._connected, self._ends = wanted, ends
        self._client.recompute_latencies()
        self._look_at_leader()
        return True

    # --- connections ----------------------------------------------------------------------------

    def _wanted(self, ends: GraphEnds) -> set[tuple[str, str]]:
        """Source and target of every connection. Raises RtsepError if a port has gone."""
        pairs = {(name, own.name) for own, name in self._pairs(self._inputs, ends.sources)}
        sinks = [(self._mix, ends.sinks)]
        sinks += [(self._stem_ports[stem], ports) for stem, ports in ends.stem_sinks.items()]
        for ports, uuids in sinks:
            pairs |= {(own.name, name) for own, name in self._pairs(ports, uuids)}
        missing = len(ends.sources) + sum(len(uuids) for _, uuids in sinks) - len(pairs)
        if missing:
            raise RtsepError(
                f"{ends.input_name} or {ends.output_name} has gone meanwhile: connect it again"
            )
        return pairs

    def _look_at_leader(self) -> None:
        """Note by what an end is behind that leads the graph, now that all are linked."""
        if self._library.server != PIPEWIRE:
            return
        with contextlib.suppress(RtsepError):  # no answer: what the ends say stands
            nodes = list_nodes()

            def behind(uuids: Sequence[int]) -> int:
                return int(any(nodes.gives_a_cycle_later(serial_of(uuid)) for uuid in uuids))

            self._cycles_behind = behind(self._ends.sources), behind(self._ends.sinks)
            # Kept for the summary, which asks when the client has gone.
            self._latency_s = self.latency_s

    def _pairs(self, own: Sequence[Any], uuids: Sequence[int]) -> Iterator[tuple[Any, str]]:
        """Ports of this stream with the names of those they go to; a single one goes to all."""
        names = {port.uuid: port.name for port in self._client.ports()}
        for index, uuid in enumerate(uuids):
            if uuid in names:
                yield own[min(index, len(own) - 1)], names[uuid]

    def _connect(self, pair: tuple[str, str]) -> None:
        self._unsettled_samples = round(SETTLED_S * self._ends.output_rate)
        self._client.connect(*pair)
        self._connected.add(pair)

    def _stands_still(self) -> bool:
        now_s, cycles = time.monotonic(), self._cycles
        if cycles != self._seen_cycles or not self._is_playing:
            self._seen_cycles, self._seen_s = cycles, now_s
        return now_s - self._seen_s > STANDS_STILL_S

    def _is_lost(self, source: str, target: str) -> bool:
        client, name = self._client, self._client.jack.name
        own, other = (source, target) if source.startswith(f"{name}:") else (target, source)
        if client.has_port(other):
            return False
        return not client.jack.get_port_by_name(own).connections

    # --- the server's threads -------------------------------------------------------------------

    def _cycle(self, samples: int) -> None:
        """Called once a cycle, on the graph's thread."""
        self._cycles += 1
        self._look_at_time(samples)
        # Views of the server's buffers, which may be others in each cycle. JACK-Client's own
        # `get_array` imports NumPy each time.
        inputs = [port.get_buffer() for port in self._inputs]
        outputs = [port.get_buffer() for port in self._outputs]
        if any(len(buffer) < 4 * samples for buffer in (*inputs, *outputs)):
            return  # JACK has thrown this client out, as where it was stopped: `_end` is told next
        taken = [np.frombuffer(buffer, np.float32) for buffer in inputs]
        given = [np.frombuffer(buffer, np.float32) for buffer in outputs]
        for begin in range(0, samples, LONGEST_BLOCK):
            piece = slice(begin, min(begin + LONGEST_BLOCK, samples))
            block, out = self._block[: piece.stop - begin], self._out[: piece.stop - begin]
            for channel, array in enumerate(taken):
                block[:, channel] = array[piece]
            self._run(block, out)
            for channel, array in enumerate(given):
                array[piece] = out[:, channel]

    def _look_at_time(self, samples: int) -> None:
        """Count an xrun that the server has told of or, on PipeWire, that its time shows.

        PipeWire's libjack (0.3.65) calls nobody for an xrun. Its time then jumps ahead.
        """
        now = self._client.jack.last_frame_time
        jumped = now > self._next_time and self._library.server == PIPEWIRE
        self._next_time = now + samples
        if self._unsettled_samples > 0:
            self._unsettled_samples -= samples
            self._missed = False
        elif self._missed or jumped:
            self._missed = False
            self._on_xruns(_MISSED)

    def _note_xrun(self, _delayed_us: float) -> None:
        self._missed = True

    def _end(self, _status: object, _reason: str) -> None:
        self._has_ended = True

    def _look_at_rate(self, rate: int) -> None:
        """Another rate needs other resamplers: the session opens the ends anew."""
        if rate != self._ends.output_rate:
            self._has_ended = True


def _register(ports: Any, name: str, count: int) -> list[Any]:
    return [ports.register(f"{name}_{number}") for number in range(1, count + 1)]
