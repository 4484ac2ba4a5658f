"""Audio devices through PortAudio: the only place that imports sounddevice."""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsep.errors import MissingLibraryError, RtsepError, UsageError

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


@dataclass(frozen=True)
class DeviceSettings:
    """What was asked for on the command line; None is the system's default.

    input_device, output_device: number or part of a name. block: samples per block, 0 lets PortAudio
    choose. device_latency: seconds, or ``low`` or ``high``.
    """

    input_device: str | None = None
    output_device: str | None = None
    hostapi: str | None = None
    sample_rate: int | None = None
    channels_in: int | None = None
    channels_out: int | None = None
    block: int = 0
    device_latency: float | str = "high"


@dataclass(frozen=True)
class Devices:
    """A pair of devices and the format they will be opened with."""

    input_index: int
    output_index: int
    input_name: str
    output_name: str
    sample_rate: int
    channels_in: int
    channels_out: int


def choose_devices(settings: DeviceSettings, channels_out: int) -> Devices:
    """Find the devices and check that they take the format.

    channels_out: channels wanted when none were asked for. Raises UsageError naming candidates for
    an unknown or ambiguous device, and what the device takes for an impossible format.
    """
    sd = sounddevice()
    source = _find(settings.input_device, settings.hostapi, "input")
    target = _find(settings.output_device, settings.hostapi, "output")
    rate = int(settings.sample_rate or target["default_samplerate"])
    chosen_in = settings.channels_in or min(2, source["max_input_channels"])
    chosen_out = settings.channels_out or min(channels_out, target["max_output_channels"])
    for kind, device, channels in (
        ("input", source, chosen_in),
        ("output", target, chosen_out),
    ):
        limit = device[f"max_{kind}_channels"]
        if channels > limit:
            raise UsageError(
                f"{device['name']!r} has {limit} {kind} channels: got --channels {channels}"
            )
        check = sd.check_input_settings if kind == "input" else sd.check_output_settings
        try:
            check(device=device["index"], channels=channels, dtype="float32", samplerate=rate)
        except (sd.PortAudioError, ValueError) as error:
            raise UsageError(
                f"{kind} device {device['name']!r} does not take {channels} channels at {rate} Hz "
                f"({_reason(error)}): its own rate is {device['default_samplerate']:g} Hz; choose "
                "another --samplerate or --channels"
            ) from None
    return Devices(
        source["index"], target["index"], source["name"], target["name"], rate, chosen_in,
        chosen_out,
    )  # fmt: skip


def _find(wanted: str | None, hostapi: str | None, kind: str):
    sd = sounddevice()
    devices = [d for d in sd.query_devices() if d[f"max_{kind}_channels"] > 0]
    if hostapi is not None:
        devices = _of_hostapi(devices, hostapi)
    listing = "; ".join(f"{d['index']} {d['name']}" for d in devices) or "none at all"
    if wanted is None:
        default = _default_index(hostapi, kind)
        wanted = str(default)
        if default < 0:
            raise RtsepError(f"there is no {kind} device: connect one (present: {listing})")
    if wanted.isdigit():
        matches = [d for d in devices if d["index"] == int(wanted)]
    else:
        matches = [d for d in devices if wanted.lower() in d["name"].lower()]
        exact = [d for d in matches if d["name"].lower() == wanted.lower()]
        matches = exact or matches
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise UsageError(f"no {kind} device {wanted!r}: choose from {listing}")
    several = "; ".join(f"{d['index']} {d['name']}" for d in matches)
    raise UsageError(f"{kind} device {wanted!r} is ambiguous: choose one by number: {several}")


def _of_hostapi(devices, hostapi: str):
    apis = sounddevice().query_hostapis()
    matches = [i for i, api in enumerate(apis) if hostapi.lower() in api["name"].lower()]
    if len(matches) != 1:
        names = ", ".join(api["name"] for api in apis)
        raise UsageError(f"no single host API matches {hostapi!r}: choose one of {names}")
    return [d for d in devices if d["hostapi"] == matches[0]]


def _default_index(hostapi: str | None, kind: str) -> int:
    sd = sounddevice()
    if hostapi is None:
        return sd.default.device[0 if kind == "input" else 1]
    for api in sd.query_hostapis():
        if hostapi.lower() in api["name"].lower():
            return api[f"default_{kind}_device"]
    return -1


def _reason(error: Exception) -> str:
    return str(error.args[0]) if error.args else str(error)


class DuplexStream:
    """An open pair of devices that calls `process(block, out)` for every block.

    process: (samples, channels_in) and (samples, channels_out) float32; called on PortAudio's audio
        thread. If it raises, the input is passed on instead and the cause is kept in `failure`.
    on_status: called with PortAudio's flags when a block reports an overflow or underflow.

    Raises RtsepError where the devices cannot be opened.
    """

    def __init__(
        self,
        devices: Devices,
        settings: DeviceSettings,
        process: Callable[[NDArray[np.float32], NDArray[np.float32]], None],
        on_status: Callable[[object], None],
    ):
        sd = sounddevice()
        self.failure: BaseException | None = None
        self._process, self._on_status = process, on_status
        self._begun = False  # writer: audio thread
        try:
            self._stream = sd.Stream(
                device=(devices.input_index, devices.output_index),
                channels=(devices.channels_in, devices.channels_out),
                samplerate=devices.sample_rate,
                blocksize=settings.block,
                latency=settings.device_latency,
                dtype="float32",
                callback=self._callback,
            )
        except sd.PortAudioError as error:
            raise RtsepError(
                f"cannot open {devices.input_name!r} and {devices.output_name!r} together: "
                f"{_reason(error)}; choose other devices or another --hostapi"
            ) from None

    @property
    def latency_s(self) -> tuple[float, float]:
        """What PortAudio says of the input's and the output's latency, in seconds."""
        return self._stream.latency

    @property
    def active(self) -> bool:
        """Whether the devices are running."""
        return bool(self._stream.active)

    def start(self) -> None:
        """Begin to play. Raises RtsepError where the devices stop before the first block."""
        for _ in range(START_ATTEMPTS):
            self._stream.start()
            ends = time.monotonic() + FIRST_BLOCK_S
            while self.active and not self._begun and time.monotonic() < ends:
                time.sleep(0.01)
            if self._begun or self.active:
                return
            self._stream.abort()
        raise RtsepError(
            f"the audio device stopped {START_ATTEMPTS} times before its first block: choose "
            "another --blocksize or --device-latency"
        )

    def close(self) -> None:
        """Stop and release the devices; a device that has gone does not matter any more."""
        closing = threading.Thread(target=self._release, name="rtsep closing", daemon=True)
        closing.start()
        closing.join(CLOSE_S)
        if closing.is_alive():
            # PortAudio waits for a server that has died, and would do so again at exit.
            atexit.unregister(sounddevice()._exit_handler)

    def _release(self) -> None:
        try:
            self._stream.abort()
            self._stream.close()
        except sounddevice().PortAudioError as error:
            print(f"closing the devices: {_reason(error)}", file=sys.stderr)

    def _callback(self, indata, outdata, _frames, _time, status) -> None:
        self._begun = True
        if status:
            self._on_status(status)
        if self.failure is None:
            try:
                self._process(indata, outdata)
                return
            except BaseException as error:
                self.failure = error
        # Dry: whatever channels both sides have.
        outdata[:] = indata[:, :1]
