"""The sound system that the options of rtsep-monitor name, and what they ask of it."""

from __future__ import annotations

import argparse
from typing import Any

from rtsep.cli.monitor_arguments import JACK, check_backend, device_latency
from rtsep.devices.backend import Backend
from rtsep.live.device_adapter import MIX, MIX_AND_STEMS, STEMS


def make_backend(args: argparse.Namespace, stems: tuple[str, ...]) -> tuple[Backend[Any], str]:
    """The backend of ``--backend``, and what its streams are to be given, see DeviceAdapter.

    stems: all that can be given out. Raises UsageError for options that the backend does not know.
    """
    check_backend(args)
    if args.backend == JACK:
        from rtsep.devices.graph.graph_backend import GraphBackend

        graph = GraphBackend(
            None, args.input_device, args.output_device,
            block=args.blocksize, stems=stems if args.all_stems else (),
        )  # fmt: skip
        return graph, MIX_AND_STEMS if args.all_stems else MIX
    from rtsep.devices.choice import DeviceSettings
    from rtsep.devices.open import PortAudioBackend

    settings = DeviceSettings(
        args.input_device, args.output_device, args.hostapi, args.samplerate, args.channels,
        None if args.all_stems else args.channels, args.blocksize,
        device_latency(args.device_latency), args.one_clock,
    )  # fmt: skip
    channels_out = 2 * len(stems) if args.all_stems else 2
    return PortAudioBackend(settings, channels_out), STEMS if args.all_stems else MIX


def device_list(args: argparse.Namespace) -> str:
    """The devices, or ports, of ``--backend``, a line each."""
    if args.backend == JACK:
        from rtsep.devices.graph.graph_backend import graph_ports

        return graph_ports()
    from rtsep.devices.portaudio import device_list as portaudio_list

    return portaudio_list()
