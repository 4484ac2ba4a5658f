"""Which devices were meant, and the format that they will be opened with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from rtsep.devices.backend import Ends, Output
from rtsep.devices.portaudio import reason, refusals, sounddevice
from rtsep.errors import RtsepError, UsageError

# As sounddevice describes one: name, index, hostapi, channels and rates.
PortAudioDevice: TypeAlias = dict[str, Any]

# One server, one clock, whichever of its clients is chosen.
ONE_CLOCK_HOSTAPIS = ("JACK Audio Connection Kit",)


@dataclass(frozen=True)
class DeviceSettings:
    """What was asked for on the command line; None is the system's default.

    input_device, output_device: number or part of a name. sample_rate: of both devices. block:
    samples per block, 0 lets PortAudio choose. device_latency: seconds, or ``low`` or ``high``.
    one_clock: the two are one piece of hardware, whatever they are called.
    """

    input_device: str | None = None
    output_device: str | None = None
    hostapi: str | None = None
    sample_rate: int | None = None
    channels_in: int | None = None
    channels_out: int | None = None
    block: int = 0
    device_latency: float | str = "high"
    one_clock: bool = False


@dataclass(frozen=True)
class Devices(Ends):
    """A pair of PortAudio's devices and the format they will be opened with.

    Parameters
    ----------
    input_index, output_index : int
        PortAudio's numbers.
    one_clock : bool
        Both sides are one device, or share their server's clock; then the rates are the same.
    """

    input_index: int
    output_index: int
    one_clock: bool


@dataclass(frozen=True)
class DeviceOutput(Output):
    """An output of PortAudio's alone, and the format it will be opened with; index: its number."""

    index: int


def choose_output(settings: DeviceSettings) -> DeviceOutput:
    """Find the output alone and check that it takes the format; else as `choose_devices`."""
    target = _find(settings.output_device, settings.hostapi, "output")
    rate = int(settings.sample_rate or target["default_samplerate"])
    channels = settings.channels_out or min(2, target["max_output_channels"])
    _check_format("output", target, channels, rate)
    return DeviceOutput(target["name"], rate, channels, target["index"])


def choose_devices(settings: DeviceSettings, channels_out: int) -> Devices:
    """Find the devices and check that they take the format.

    channels_out: channels wanted when none were asked for. The rate is the one asked for, else each
    device's own; one device for both sides has the rate of its output.

    Raises UsageError naming candidates for an unknown or ambiguous device, and what the device takes
    for an impossible format.
    """
    source = _find(settings.input_device, settings.hostapi, "input")
    target = _find(settings.output_device, settings.hostapi, "output")
    one_hostapi = source["hostapi"] == target["hostapi"]
    if settings.one_clock and not one_hostapi:
        raise UsageError(
            f"--one-clock: {source['name']!r} and {target['name']!r} belong to two host APIs: choose "
            "them with --hostapi"
        )
    one_clock = (
        settings.one_clock
        or source["index"] == target["index"]
        or (one_hostapi and _hostapi_name(source) in ONE_CLOCK_HOSTAPIS)
    )
    output_rate = int(settings.sample_rate or target["default_samplerate"])
    input_rate = int(settings.sample_rate or source["default_samplerate"])
    if one_clock:
        input_rate = output_rate
    channels_in = settings.channels_in or min(2, source["max_input_channels"])
    channels_out = settings.channels_out or min(channels_out, target["max_output_channels"])
    _check_format("input", source, channels_in, input_rate)
    _check_format("output", target, channels_out, output_rate)
    return Devices(
        source["name"], target["name"], input_rate, output_rate, channels_in, channels_out,
        source["index"], target["index"], one_clock,
    )  # fmt: skip


def check_number(asked: str | None, name: str, name_before: str) -> None:
    """Raise RtsepError where a number that was asked for stands for another device by now."""
    if asked is not None and asked.isdigit() and name != name_before:
        raise RtsepError(f"device {asked} is {name!r} now, not {name_before!r}")


def _check_format(kind: str, device: PortAudioDevice, channels: int, rate: int) -> None:
    sd = sounddevice()
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
            f"({reason(error)}): its own rate is {device['default_samplerate']:g} Hz; choose "
            "another --samplerate or --channels"
        ) from None


def _hostapi_name(device: PortAudioDevice) -> str:
    return sounddevice().query_hostapis(device["hostapi"])["name"]


def _find(wanted: str | None, hostapi: str | None, kind: str) -> PortAudioDevice:
    sd = sounddevice()
    with refusals("the audio devices cannot be listed: restart the sound server"):
        devices = [d for d in sd.query_devices() if d[f"max_{kind}_channels"] > 0]
    if hostapi is not None:
        devices = _of_hostapi(devices, hostapi)
    listing = "; ".join(f"{d['index']} {d['name']}" for d in devices) or "none at all"
    if wanted is None:
        default = _default_index(hostapi, kind)
        wanted = str(default)
        if default < 0:
            raise RtsepError(f"there is no {kind} device: connect one (present: {listing})")
    if wanted.isdecimal():
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


def _of_hostapi(devices: list[PortAudioDevice], hostapi: str) -> list[PortAudioDevice]:
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
