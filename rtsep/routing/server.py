"""The sound server: the connection to it, and its errors as rtsep's own.

PulseAudio and PipeWire's pipewire-pulse speak one protocol, which the library pulsectl speaks, too.
This module alone imports it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from rtsep.errors import MissingLibraryError, RtsepError, UsageError

CLIENT_NAME = "rtsep"
# PulseAudio's number for "none".
NONE = 0xFFFF_FFFF


class ServerLost(RtsepError):
    """The sound server has ended, or does not answer."""


class ModuleRefused(RtsepError):
    """The sound server does not load a module."""


class SoundServer:
    """A connection to the user's sound server.

    Raises MissingLibraryError without pulsectl or libpulse, ServerLost if there is no server. So
    does every method when the server ends.
    """

    def __init__(self) -> None:
        self._library = _pulsectl()
        self._pulse = self._library.Pulse(CLIENT_NAME, connect=False)
        self._changed = False
        try:
            # Without a timeout: pulsectl 24 would wait for all of it, also if the server answers.
            self._pulse.connect()
        except self._library.PulseError:
            self._pulse.close()
            raise ServerLost(
                "there is no PulseAudio and no PipeWire server to route sound through (pipewire-pulse"
                " must run; `pactl info` asks for it)"
            ) from None
        with self._asking():
            info = self._pulse.server_info()
        self.is_pipewire = "PipeWire" in info.server_name
        self.cookie: int = info.cookie

    def close(self) -> None:
        """End the connection."""
        self._pulse.close()

    def __enter__(self) -> SoundServer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def default_sink(self) -> str:
        """The name of the default sink."""
        with self._asking():
            return str(self._pulse.server_info().default_sink_name)

    def default_source(self) -> str:
        """The name of the default source."""
        with self._asking():
            return str(self._pulse.server_info().default_source_name)

    def sinks(self) -> list[Any]:
        """All sinks."""
        with self._asking():
            return list(self._pulse.sink_list())

    def sources(self) -> list[Any]:
        """All sources, monitors among them."""
        with self._asking():
            return list(self._pulse.source_list())

    def streams(self) -> list[Any]:
        """All streams that are played (sink inputs)."""
        with self._asking():
            return list(self._pulse.sink_input_list())

    def modules(self) -> list[Any]:
        """All modules."""
        with self._asking():
            return list(self._pulse.module_list())

    def load(self, module: str, arguments: str) -> int:
        """Load a module; returns its number. Raises ModuleRefused if the server does not."""
        try:
            with self._asking():
                return int(self._pulse.module_load(module, arguments))
        except self._library.PulseError:
            raise ModuleRefused(
                f"the sound server refuses to load {module}: it permits this program no modules, or"
                " does not know the module"
            ) from None

    def unload(self, module: int) -> None:
        """Unload a module that may be gone already."""
        with self._asking(), contextlib.suppress(self._library.PulseError):
            self._pulse.module_unload(module)

    def move(self, stream: int, sink: int) -> bool:
        """Move a stream; whether the server has done it (the stream may be gone, or tied down)."""
        try:
            with self._asking():
                self._pulse.sink_input_move(stream, sink)
        except self._library.PulseError:
            return False
        return True

    def remembered(self) -> dict[str, Any]:
        """The entries of PulseAudio's module-stream-restore; none where it is not loaded."""
        try:
            with self._asking():
                return {entry.name: entry for entry in self._pulse.stream_restore_list()}
        except self._library.PulseError:
            return {}

    def remember(self, entry: Any, sink: str | None) -> None:
        """Have module-stream-restore remember another sink, or none, in one of its entries."""
        entry.device = sink
        with self._asking(), contextlib.suppress(self._library.PulseError):
            self._pulse.stream_restore_write(entry, mode="replace")

    def subscribe(self) -> None:
        """Have `wait` note when sinks, sources, streams or the default devices change."""

        def note(_event: object) -> None:
            self._changed = True
            raise self._library.PulseLoopStop

        self._pulse.event_callback_set(note)
        with self._asking():
            self._pulse.event_mask_set("sink", "source", "sink_input", "server")

    def wait(self, timeout_s: float) -> bool:
        """Wait until something has changed, for `timeout_s` at most; whether something has."""
        if not self._changed:  # while something else was asked
            with self._asking():
                self._pulse.event_listen(timeout=timeout_s)
        changed, self._changed = self._changed, False
        return changed

    def wake(self) -> None:
        """From another thread: have `wait` end now, if it is waiting."""
        self._pulse.event_listen_stop()

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        """Raise ServerLost for whatever pulsectl raises when the connection breaks."""
        try:
            yield
        except (
            self._library.PulseError,
            self._library.PulseDisconnected,
            *_call_errors(),
        ) as error:
            if not self._pulse.connected:
                raise ServerLost("the sound server has ended") from None
            if not isinstance(error, self._library.PulseError):
                raise self._library.PulseOperationFailed(str(error)) from None
            raise
        if not self._pulse.connected:
            raise ServerLost("the sound server has ended")


def find(devices: list[Any], wanted: str, kind: str) -> Any:
    """The device whose name or description is `wanted` or has it in it, in any case of letters.

    kind: what to call it in an error.  Raises UsageError if there is none, or more than one.
    """
    tests: tuple[Callable[[str], bool], ...] = (
        lambda text: text == wanted,
        lambda text: wanted.lower() in text.lower(),
    )
    for fits in tests:
        found = [device for device in devices if fits(device.name) or fits(device.description)]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(device.name for device in found)
            raise UsageError(
                f"more than one {kind} is called {wanted!r}: {names}: name one in full"
            )
    names = ", ".join(device.name for device in devices) or "none"
    raise UsageError(f"there is no {kind} {wanted!r}; the sound server has: {names}")


def _pulsectl() -> Any:
    try:
        import pulsectl
    except ImportError:
        raise MissingLibraryError(
            "the package pulsectl is missing, which routes sound: `pip install pulsectl`"
        ) from None
    except OSError as error:  # libpulse.so.0 is not there
        raise MissingLibraryError(
            f"PulseAudio's library is missing ({error}): Debian, Ubuntu: apt install libpulse0;"
            " Fedora: dnf install pulseaudio-libs"
        ) from None
    for kind in (pulsectl.PulseSinkInfo, pulsectl.PulseSourceInfo):
        kind._init_from_struct = _keep_rate
    return pulsectl


def _keep_rate(device: Any, struct: Any) -> None:
    """Copy the rate of a device while it is there: pulsectl 24 keeps a view of libpulse's memory."""
    device.rate = int(struct.sample_spec.rate)


def _call_errors() -> tuple[type[Exception], ...]:
    # What libpulse itself refuses has a class that pulsectl does not name in its own interface.
    from pulsectl import _pulsectl

    return (_pulsectl.LibPulse.CallError,)
