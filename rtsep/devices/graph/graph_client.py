"""A client of JACK, or of PipeWire through its libjack."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from rtsep.devices.graph.libjack import NO_SERVER, LibJack
from rtsep.devices.graph.uncancelled import uncancelled_call
from rtsep.devices.letting_go import CLOSE_S, LettingGo
from rtsep.errors import RtsepError

NAME = "rtsep"
# JACK's two ways of counting: from where the sound was taken, and to where it will be heard.
CAPTURE, PLAYBACK = 0, 1
# The server is asked again so often, at most, because a range has changed.
MOST_ROUNDS = 2
# Longer latencies are not told: some ten hours.
MOST_SAMPLES = 2**31 - 1
# JACK-Client lists names and then asks for each: how often to begin again as ports go in between.
_LISTINGS = 20
# What the node is called in mixers and patch bays of PipeWire.
_PROPERTIES = '{ application.name = "rtsep" node.description = "rtsep" }'
# PipeWire's libjack adds this to the serial number of a port, and gives the sum as UUID.
_UUID_MASK, _UUID_OFFSET = 0xFFFF_FFFF, 1


class GraphPort(NamedTuple):
    """A port as one client sees it: on PipeWire each client finds names of its own.

    uuid: the same for all clients.
    """

    name: str
    uuid: int
    is_input: bool
    is_physical: bool


def uuid_of(serial: int) -> int:
    """The UUID, as GraphPort has it, of the port of PipeWire with this serial number."""
    return serial + _UUID_OFFSET


def serial_of(uuid: int) -> int:
    """The inverse of uuid_of."""
    return uuid - _UUID_OFFSET


class GraphClient:
    """An open client.

    Parameters
    ----------
    library : LibJack
        Of the server.
    name : str
        Wanted; the server adds to it if it is taken.
    quantum : tuple of int, optional
        Samples per cycle that PipeWire is asked for, and the rate that they are counted at.

    Attributes
    ----------
    jack : jack.Client
        The client itself.

    Raises
    ------
    RtsepError
        If the server is not there or does not take it.
    """

    def __init__(self, library: LibJack, name: str = NAME, quantum: tuple[int, int] | None = None):
        self._library = library
        try:
            with _node_properties(quantum):
                self.jack = library.module.Client(name, no_start_server=True)
        except library.module.JackOpenError as error:
            if error.status.server_failed:
                raise RtsepError(NO_SERVER) from None
            raise RtsepError(f"{library.server} does not take another client ({error})") from None
        # The library keeps addresses alone.
        self._process_callback: Any = None
        self._latency_callback: Any = None
        # Connections and latencies are not changed at the same time.
        self._asking = threading.Lock()
        self._latencies_due = threading.Event()  # set by the server's thread
        self._latencies: threading.Thread | None = None
        self._is_closing = False
        self._leaving = LettingGo()

    def __enter__(self) -> GraphClient:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> bool:
        """Leave the server; False if that does not let go: see AudioStream.close."""
        if not self._is_closing:
            self._is_closing = True
            self._latencies_due.set()
            if self._latencies is not None:
                self._latencies.join(CLOSE_S)
        if self._leaving.has_come_of(self.jack.close):
            return True
        # JACK-Client would try again when the program ends.
        self.jack._ptr = self._library.module._ffi.NULL
        return False

    @property
    def is_open(self) -> bool:
        """Whether it can be asked: not after it has been closed."""
        return bool(self.jack._ptr)

    @property
    def rate(self) -> int:
        """Samples per second of the graph."""
        return int(self.jack.samplerate)

    def ports(self) -> list[GraphPort]:
        """All audio ports there are, in the server's order. Raises RtsepError if it does not say."""
        for _ in range(_LISTINGS):
            with contextlib.suppress(self._library.module.JackError):  # one left meanwhile
                return [
                    GraphPort(port.name, port.uuid & _UUID_MASK, port.is_input, port.is_physical)
                    for port in self.jack.get_ports(is_audio=True)
                ]
        raise RtsepError(f"{self._library.server} does not list its ports")

    def has_port(self, name: str) -> bool:
        """Whether a port is still there."""
        try:
            self.jack.get_port_by_name(name)
        except self._library.module.JackError:
            return False
        return True

    def connect(self, source: str, target: str) -> None:
        """Connect two ports, if they are not yet. Raises RtsepError."""
        error = self._library.module.JackErrorCode
        try:
            with self._asking:
                self.jack.connect(source, target)
        except error as refusal:
            if not self._are_connected(source, target):
                raise RtsepError(f"cannot connect {source} with {target} ({refusal})") from None

    def _are_connected(self, source: str, target: str) -> bool:
        """Whether two ports are, whosever they are; not if one has gone."""
        try:
            port = self.jack.get_port_by_name(source)
            return any(other.name == target for other in self.jack.get_all_connections(port))
        except self._library.module.JackError:
            return False

    def disconnect(self, source: str, target: str) -> None:
        """Undo that; nothing if one of them has gone."""
        try:
            with self._asking:
                self.jack.disconnect(source, target)
        except self._library.module.JackError:
            if self.has_port(source) and self.has_port(target):
                raise

    def set_process(self, cycle: Callable[[int], None]) -> None:
        """Call `cycle` with the samples of every cycle, on the graph's thread; before `activate`.

        Not by JACK-Client's own means: see uncancelled.py.
        """
        ffi, functions = self._library.ffi, self._library.functions

        def process(samples: int, _argument: object) -> int:
            cycle(samples)
            return 0

        self._process_callback = ffi.callback("process_callback", process)
        call = ffi.cast("process_callback", uncancelled_call())
        functions.jack_set_process_callback(
            self._library.client_pointer(self.jack),
            call,
            ffi.cast("void *", self._process_callback),
        )

    # --- latency --------------------------------------------------------------------------------

    def latency_range(self, port: Any, mode: int) -> tuple[int, int]:
        """The least and the most samples of CAPTURE or PLAYBACK latency at a port of JACK-Client's."""
        functions, pointer = self._library.functions, self._library.port_pointer(port)
        found = self._library.ffi.new("jack_latency_range_t *")
        functions.jack_port_get_latency_range(pointer, mode, found)
        return found.min, found.max

    def latency_by_name(self, name: str, mode: int) -> int:
        """The most samples of latency at a port; 0 if it has gone."""
        try:
            return self.latency_range(self.jack.get_port_by_name(name), mode)[1]
        except self._library.module.JackError:
            return 0

    def pass_latency_on(
        self,
        captures: Sequence[Any],
        plays: Sequence[Any],
        through: Callable[[], int],
    ) -> None:
        """Tell the ports' latencies from now on.

        Parameters
        ----------
        captures : sequence of jack.OwnPort
            Inputs: what comes out was captured as much earlier as what comes in, and `through()` more.
        plays : sequence of jack.OwnPort
            Outputs: what comes in is heard as much later as what comes out, and `through()` more.
        through : callable
            Samples from input to output; called on the server's thread.
        """
        ffi, functions = self._library.ffi, self._library.functions
        due = self._latencies_due

        def tell(_mode: int, _argument: object) -> None:
            due.set()

        self._latency_callback = ffi.callback("latency_callback", tell)
        functions.jack_set_latency_callback(
            self._library.client_pointer(self.jack), self._latency_callback, ffi.NULL
        )
        self._latencies = threading.Thread(
            target=self._keep_latencies, args=(captures, plays, through),
            name="rtsep latencies", daemon=True,
        )  # fmt: skip
        self._latencies.start()

    def _keep_latencies(
        self, captures: Sequence[Any], plays: Sequence[Any], through: Callable[[], int]
    ) -> None:
        """Set the ranges whenever the server has asked, on a thread of its own.

        PipeWire's libjack (0.3.65) asks while this client waits for a connection to be made, and then
        never wakes up again if it is answered at once.
        """
        told: dict[int, tuple[int, int]] = {}
        rounds = 0
        while True:
            self._latencies_due.wait()
            self._latencies_due.clear()
            with self._asking:
                if self._is_closing:
                    return
                before = dict(told)
                outputs = list(self.jack.outports)
                for mode, from_ports, to_ports in (
                    (CAPTURE, captures, outputs), (PLAYBACK, plays, captures),
                ):  # fmt: skip
                    ranges = [self.latency_range(port, mode) for port in from_ports]
                    # Without captures the sound begins here.
                    least = min((least for least, _ in ranges), default=0) + through()
                    most = max((most for _, most in ranges), default=0) + through()
                    told[mode] = min(least, MOST_SAMPLES), min(most, MOST_SAMPLES)
                    self._set_latency(to_ports, mode, *told[mode])
                # Who stands behind in the graph may have been asked already. In a circle of clients the
                # ranges grow with every round.
                rounds = rounds + 1 if told != before else 0
                if 0 < rounds <= MOST_ROUNDS:
                    self._recompute()

    def _set_latency(self, ports: Sequence[Any], mode: int, least: int, most: int) -> None:
        given = self._library.ffi.new("jack_latency_range_t *", (least, most))
        for port in ports:
            pointer = self._library.port_pointer(port)
            self._library.functions.jack_port_set_latency_range(pointer, mode, given)

    def recompute_latencies(self) -> None:
        """Have the server ask all clients anew."""
        with self._asking:
            self._recompute()
        self._latencies_due.set()

    def _recompute(self) -> None:
        pointer = self._library.client_pointer(self.jack)
        self._library.functions.jack_recompute_total_latencies(pointer)


@contextlib.contextmanager
def _node_properties(quantum: tuple[int, int] | None) -> Iterator[None]:
    """What PipeWire's libjack reads from the environment, if the person has not set it."""
    wanted = {"PIPEWIRE_PROPS": _PROPERTIES}
    if quantum is not None and "PIPEWIRE_QUANTUM" not in os.environ:
        wanted["PIPEWIRE_LATENCY"] = "{}/{}".format(*quantum)
    added = [name for name in wanted if name not in os.environ]
    os.environ.update({name: wanted[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
