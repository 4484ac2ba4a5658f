"""Streams of audio devices through PortAudio: the only place that imports sounddevice."""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsep.audio.clock_bridge import LONGEST_BLOCK, ClockBridge
from rtsep.errors import MissingLibraryError, RtsepError

if TYPE_CHECKING:
    from rtsep.audio.devices import Devices, DeviceSettings

Process: TypeAlias = Callable[[NDArray[np.float32], NDArray[np.float32]], None]

INSTALL = (
    "the PortAudio library is not installed: Debian/Ubuntu `apt install libportaudio2`, Fedora "
    "`dnf install portaudio`, macOS `brew install portaudio`, Windows `pip install --force-reinstall "
    "sounddevice` (its wheel brings it)"
)

# Longest that closing a device may take before it is left behind: its buffers, generously.
CLOSE_S = 3.0
# PortAudio on ALSA and PulseAudio gives up now and then before the first block (some one start in a
# hundred on a busy machine), and plays when started again. What a first block may take, and how often.
FIRST_BLOCK_S = 1.0
START_ATTEMPTS = 3


def sounddevice():
    """The module; raises MissingLibraryError naming the package of each system."""
    try:
        import sounddevice as module
    except OSError as error:
        raise MissingLibraryError(f"{INSTALL} ({error})") from None
    return module


def device_list() -> str:
    """All devices, one per line, with their numbers and channels."""
    return str(sounddevice().query_devices())


def reason(error: Exception) -> str:
    """PortAudio's own words for what went wrong."""
    return str(error.args[0]) if error.args else str(error)


def open_stream(
    devices: Devices, settings: DeviceSettings, process: Process, on_xruns: Callable[[object], None]
) -> DeviceStream:
    """One stream where both sides have one clock and PortAudio takes them together, else two.

    Raises RtsepError where the devices cannot be opened.
    """
    if not devices.one_clock:
        return BridgedStream(devices, settings, process, on_xruns)
    try:
        return DuplexStream(devices, settings, process, on_xruns)
    except RtsepError as refused:
        try:
            return BridgedStream(devices, settings, process, on_xruns)
        except RtsepError:
            raise refused from None


def check_running(stream: DeviceStream) -> None:
    """Raise RtsepError where the callback has failed or the devices have stopped."""
    if stream.failure is not None:
        raise RtsepError(f"the audio callback failed: {stream.failure!r}")
    if not stream.active:
        raise RtsepError("the audio device has stopped: reconnect it and start again")


class DeviceStream:
    """Open devices that call `process(block, out)` for every block of the output.

    process: (samples, channels_in) and (samples, channels_out) float32; called on PortAudio's audio
        thread. If it raises, the input is passed on instead and the cause is kept in `failure`.
    on_xruns: called on that thread, too, when samples were lost or missing, with PortAudio's flags or
        an `Xruns`.
    """

    def __init__(self, process: Process, on_xruns: Callable[[object], None]):
        self.failure: BaseException | None = None
        self._process, self._on_xruns = process, on_xruns
        # PortAudio's streams, in the order in which they start.
        self._streams: list = []
        self._begun: list[bool] = []  # whether a first block has come; writers: audio threads

    @property
    def latency_s(self) -> tuple[float, float]:
        """Seconds from the input's socket to `process`, and from there to the output's."""
        raise NotImplementedError

    @property
    def remarks(self) -> list[str]:
        """Lines for the person, on what is particular about these devices."""
        return []

    @property
    def active(self) -> bool:
        """Whether the devices are running."""
        return all(bool(stream.active) for stream in self._streams)

    def stats(self) -> dict[str, float]:
        """What the devices add to the statistics; from any thread."""
        return {}

    def start(self) -> None:
        """Begin to play. Raises RtsepError where a device stops before its first block."""
        for index, stream in enumerate(self._streams):
            self._start(index, stream)

    def close(self) -> None:
        """Stop and release the devices; a device that has gone does not matter any more."""
        closing = threading.Thread(target=self._release, name="rtsep closing", daemon=True)
        closing.start()
        closing.join(CLOSE_S)
        if closing.is_alive():
            # PortAudio waits for a server that has died, and would do so again at exit.
            atexit.unregister(sounddevice()._exit_handler)

    def _open(self, kind: str, names: str, **options) -> None:
        """Add a stream of sounddevice's class `kind`; those before it are closed if it is refused."""
        sd = sounddevice()
        try:
            self._streams.append(getattr(sd, kind)(dtype="float32", **options))
        except sd.PortAudioError as error:
            self._release()
            raise RtsepError(
                f"cannot open {names}: {reason(error)}; choose other devices or another --hostapi"
            ) from None
        self._begun.append(False)

    def _start(self, index: int, stream) -> None:
        for _ in range(START_ATTEMPTS):
            stream.start()
            ends = time.monotonic() + FIRST_BLOCK_S
            while stream.active and not self._begun[index] and time.monotonic() < ends:
                time.sleep(0.01)
            if self._begun[index] or stream.active:
                return
            stream.abort()
        raise RtsepError(
            f"the audio device stopped {START_ATTEMPTS} times before its first block: choose "
            "another --blocksize or --device-latency"
        )

    def _release(self) -> None:
        for stream in self._streams:
            try:
                stream.abort()
                stream.close()
            except sounddevice().PortAudioError as error:
                print(f"closing the devices: {reason(error)}", file=sys.stderr)

    def _run(self, block: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        if self.failure is None:
            try:
                self._process(block, out)
                return
            except BaseException as error:
                self.failure = error
        # Dry: whatever channels both sides have.
        out[:] = block[:, :1]


class DuplexStream(DeviceStream):
    """Both sides in one stream of PortAudio's: the least latency."""

    def __init__(
        self,
        devices: Devices,
        settings: DeviceSettings,
        process: Process,
        on_xruns: Callable[[object], None],
    ):
        super().__init__(process, on_xruns)
        self._open(
            "Stream",
            f"{devices.input_name!r} and {devices.output_name!r} together",
            device=(devices.input_index, devices.output_index),
            channels=(devices.channels_in, devices.channels_out),
            samplerate=devices.output_rate,
            blocksize=settings.block,
            latency=settings.device_latency,
            callback=self._callback,
        )

    @property
    def latency_s(self) -> tuple[float, float]:
        """What PortAudio says of the input's and the output's latency, in seconds."""
        return self._streams[0].latency

    def _callback(self, indata, outdata, _frames, _time, status) -> None:
        self._begun[0] = True
        if status:
            self._on_xruns(status)
        self._run(indata, outdata)


class Xruns(NamedTuple):
    """Whether sound was lost (overflow) or missing (underflow), named as PortAudio's flags are."""

    input_overflow: bool
    input_underflow: bool
    output_overflow: bool
    output_underflow: bool


class BridgedStream(DeviceStream):
    """Two streams, each on its device's clock: the input's drift against the output is followed.

    `process` runs on the output's clock and at its rate. The input's overflows and underflows are
    those of its device and those of the ring in between.
    """

    def __init__(
        self,
        devices: Devices,
        settings: DeviceSettings,
        process: Process,
        on_xruns: Callable[[object], None],
    ):
        super().__init__(process, on_xruns)
        for kind, index, name, channels, rate, callback in (
            ("Input", devices.input_index, devices.input_name, devices.channels_in,
             devices.input_rate, self._on_input),
            ("Output", devices.output_index, devices.output_name, devices.channels_out,
             devices.output_rate, self._on_output),
        ):  # fmt: skip
            self._open(
                f"{kind}Stream", f"the {kind.lower()} device {name!r}", device=index,
                channels=channels, samplerate=rate, blocksize=settings.block,
                latency=settings.device_latency, callback=callback,
            )  # fmt: skip
        # What a device hands over or asks for at once is a block, or all that its buffers hold.
        most_in_s, most_out_s = (
            max(settings.block / rate, stream.latency)
            for rate, stream in zip((devices.input_rate, devices.output_rate), self._streams)
        )
        self._clocks = ClockBridge(
            devices.input_rate, devices.output_rate, devices.channels_in, most_in_s, most_out_s
        )
        # writer and reader: output's thread
        self._block = np.zeros((LONGEST_BLOCK, devices.channels_in), np.float32)
        # writer: input's thread; reader: output's. How often the device has said so.
        self._device_overflows = self._device_underflows = 0
        self._told = (0, 0)

    @property
    def latency_s(self) -> tuple[float, float]:
        """From a sample's arrival to `process`, with all that buffers and clocks need, and onwards."""
        return self._clocks.delay_s, self._streams[1].latency

    @property
    def remarks(self) -> list[str]:
        """That there are two clocks, and what following them costs."""
        return [
            f"clocks  input and output have clocks of their own: the drift is followed, "
            f"{1000 * self._clocks.delay_s:.1f} ms lie in between"
        ]

    def stats(self) -> dict[str, float]:
        """The drift: how much faster the input's clock runs than the output's, in 1e-6."""
        return {"clock_drift_ppm": round(self._clocks.drift_ppm, 2)}

    def _on_input(self, indata, _frames, _time, status) -> None:
        now_s = time.perf_counter()
        self._begun[0] = True
        if status:
            self._device_overflows += bool(status.input_overflow)
            self._device_underflows += bool(status.input_underflow)
        self._clocks.write(indata, now_s)

    def _on_output(self, outdata, frames, _time, status) -> None:
        now_s = time.perf_counter()
        self._begun[1] = True
        for start in range(0, frames, LONGEST_BLOCK):
            out = outdata[start : start + LONGEST_BLOCK]
            block = self._block[: len(out)]
            self._clocks.read(block, now_s)
            self._run(block, out)
        overflows = self._device_overflows + self._clocks.overflows
        underflows = self._device_underflows + self._clocks.underflows
        if status or (overflows, underflows) != self._told:
            self._on_xruns(
                Xruns(
                    overflows > self._told[0],
                    underflows > self._told[1],
                    bool(status.output_overflow),
                    bool(status.output_underflow),
                )
            )
            self._told = (overflows, underflows)
