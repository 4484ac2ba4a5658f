"""The sound system that the options of rtsep-monitor or rtsep-play name, and what they ask of it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rtsep.cli.routing_arguments import option_of
from rtsep.cli.shared_arguments import device_latency
from rtsep.devices.backend import JACK, PULSE, Backend, PlaybackBackend
from rtsep.devices.route import PIPEWIRE, Route
from rtsep.errors import UsageError
from rtsep.live.priority import REAL_TIME

if TYPE_CHECKING:
    from rtsep.devices.pulse.buffers import PulseBuffers

# What only PortAudio has a use for, and what the graph has none for besides.
_PORTAUDIO_ONLY = ("hostapi", "one_clock")
_NOT_IN_A_GRAPH = (*_PORTAUDIO_ONLY, "samplerate", "channels")


def make_backend(args: argparse.Namespace, stems: Sequence[str]) -> tuple[Backend[Any], str]:
    """The backend of ``--backend``, and what its streams are to be given, see DeviceAdapter.

    stems: all that can be given out. Raises UsageError for options that the backend does not know.
    """
    if args.backend == JACK:
        return _graph(args, stems)
    if args.backend == PULSE:
        return _pulse(args, stems)
    return _portaudio(args, stems)


def make_playback(args: argparse.Namespace) -> PlaybackBackend[Any]:
    """The backend of ``--backend`` for rtsep-play; raises as `make_backend`."""
    if args.backend == JACK:
        from rtsep.devices.graph.graph_playback import GraphPlayback

        _check(args, _NOT_IN_A_GRAPH)
        return GraphPlayback(args.output_device, args.blocksize)
    if args.backend == PULSE:
        from rtsep.devices.pulse.playback import PulsePlayback

        _check(args, _PORTAUDIO_ONLY)
        return PulsePlayback(args.output_device, args.samplerate, _pulse_buffers(args))
    from rtsep.devices.choice import DeviceSettings
    from rtsep.devices.playback import PortAudioPlayback

    settings = DeviceSettings(
        output_device=args.output_device, hostapi=args.hostapi, sample_rate=args.samplerate,
        block=args.blocksize, device_latency=device_latency(args.device_latency),
    )  # fmt: skip
    return PortAudioPlayback(settings)


def make_routed_backend(args: argparse.Namespace, route: Route, offered: Sequence[str]) -> Any:
    """The backend that plays along a route: the graph on PipeWire, PulseAudio's own streams there.

    offered: stems that get nodes of their own. Its attribute `route` may be replaced.

    Raises UsageError where the server has no such backend.
    """
    if args.backend == JACK and route.server != PIPEWIRE:
        raise UsageError(
            "--backend jack reaches no streams of PulseAudio: leave it out, or run PipeWire"
        )
    if args.backend == PULSE and route.server == PIPEWIRE:
        # A sink of PipeWire that nobody plays to yet sends its listeners nothing.
        raise UsageError("--backend pulse reaches no streams of PipeWire: leave it out")
    if route.server == PIPEWIRE:
        from rtsep.devices.graph.graph_backend import GraphBackend

        return GraphBackend(route, block=args.blocksize, stems=offered)
    from rtsep.devices.pulse.backend import PulseBackend

    return PulseBackend(route, buffers=_pulse_buffers(args))


def priority_of(args: argparse.Namespace) -> str:
    """The priority asked for; on devices the session goes first, where it may."""
    return REAL_TIME if args.priority is None else str(args.priority)


def device_list(args: argparse.Namespace) -> str:
    """The devices, or ports, of ``--backend``, a line each."""
    if args.backend == JACK:
        from rtsep.devices.graph.graph_backend import graph_ports

        return graph_ports()
    if args.backend == PULSE:
        from rtsep.devices.pulse.listing import server_devices

        return server_devices().listing
    from rtsep.devices.portaudio import device_list as portaudio_list

    return portaudio_list()


def _graph(args: argparse.Namespace, stems: Sequence[str]) -> tuple[Backend[Any], str]:
    from rtsep.devices.graph.graph_backend import GraphBackend
    from rtsep.live.device_adapter import MIX, MIX_AND_STEMS

    _check(args, _NOT_IN_A_GRAPH)
    graph = GraphBackend(
        None, args.input_device, args.output_device,
        block=args.blocksize, stems=stems if args.all_stems else (),
    )  # fmt: skip
    return graph, MIX_AND_STEMS if args.all_stems else MIX


def _pulse(args: argparse.Namespace, stems: Sequence[str]) -> tuple[Backend[Any], str]:
    from rtsep.devices.pulse.backend import PulseBackend
    from rtsep.devices.pulse.ends import PulseSettings
    from rtsep.live.device_adapter import MIX, STEMS

    _check(args, _PORTAUDIO_ONLY)
    settings = PulseSettings(
        args.input_device, args.output_device, args.samplerate, args.channels,
        2 * len(stems) if args.all_stems else args.channels or 2,
    )  # fmt: skip
    return PulseBackend(None, settings, _pulse_buffers(args)), STEMS if args.all_stems else MIX


def _pulse_buffers(args: argparse.Namespace) -> PulseBuffers:
    from rtsep.devices.pulse.buffers import PulseBuffers

    if args.blocksize:
        raise UsageError("--blocksize is not for PulseAudio: give --device-latency in seconds")
    latency = device_latency(args.device_latency)
    return PulseBuffers() if isinstance(latency, str) else PulseBuffers.of_latency(latency)


def _portaudio(args: argparse.Namespace, stems: Sequence[str]) -> tuple[Backend[Any], str]:
    from rtsep.devices.choice import DeviceSettings
    from rtsep.devices.open import PortAudioBackend
    from rtsep.live.device_adapter import MIX, STEMS

    settings = DeviceSettings(
        args.input_device, args.output_device, args.hostapi, args.samplerate, args.channels,
        None if args.all_stems else args.channels, args.blocksize,
        device_latency(args.device_latency), args.one_clock,
    )  # fmt: skip
    channels_out = 2 * len(stems) if args.all_stems else 2
    return PortAudioBackend(settings, channels_out), STEMS if args.all_stems else MIX


def _check(args: argparse.Namespace, unknown: Sequence[str]) -> None:
    for name in unknown:
        if getattr(args, name, None):  # rtsep-play has not all of them
            raise UsageError(
                f"{option_of(name)} means nothing to --backend {args.backend}: leave it out"
            )
