"""The sound system that the options of rtsep-monitor name, and what they ask of it."""

from __future__ import annotations

import argparse
from typing import Any

from rtsep.cli.monitor_arguments import PULSE, device_latency
from rtsep.devices.backend import Backend
from rtsep.errors import UsageError


def make_backend(args: argparse.Namespace, channels_out: int) -> Backend[Any]:
    """The backend of ``--backend``; channels_out: wanted of the output where nothing else is said.

    Raises UsageError for options that it does not know.
    """
    if args.backend == PULSE:
        return _pulse(args, channels_out)
    from rtsep.devices.choice import DeviceSettings
    from rtsep.devices.open import PortAudioBackend

    settings = DeviceSettings(
        args.input_device, args.output_device, args.hostapi, args.samplerate, args.channels,
        None if args.all_stems else args.channels, args.blocksize,
        device_latency(args.device_latency), args.one_clock,
    )  # fmt: skip
    return PortAudioBackend(settings, channels_out)


def _pulse(args: argparse.Namespace, channels_out: int) -> Backend[Any]:
    from rtsep.devices.pulse.backend import PulseBackend
    from rtsep.devices.pulse.ends import PulseSettings
    from rtsep.devices.pulse.stream import PulseBuffers

    if args.hostapi or args.one_clock:
        raise UsageError("--hostapi and --one-clock are PortAudio's: leave out --backend pulse")
    if not args.all_stems:
        channels_out = args.channels or channels_out
    latency = device_latency(args.device_latency)
    if args.blocksize:
        raise UsageError("--blocksize is not for --backend pulse: give --device-latency in seconds")
    return PulseBackend(
        None,
        PulseSettings(
            args.input_device, args.output_device, args.samplerate, args.channels, channels_out
        ),
        PulseBuffers() if isinstance(latency, str) else PulseBuffers.of_latency(latency),
    )


def device_list(backend: str) -> str:
    """What can be named with -i and -o, line by line."""
    if backend == PULSE:
        from rtsep.devices.pulse.listing import server_devices

        return server_devices().listing
    from rtsep.devices.portaudio import device_list

    return device_list()
