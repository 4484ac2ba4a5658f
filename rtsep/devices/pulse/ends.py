"""Which source and sink of the server were meant, and whether they are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rtsep.devices.backend import Ends
from rtsep.devices.pulse.listing import ServerDevice, ServerDevices
from rtsep.devices.route import Route
from rtsep.errors import RtsepError, UsageError

PAIR = 2


@dataclass(frozen=True)
class PulseSettings:
    """What was asked for where no route says it; None is the server's default.

    source, sink: name, or part of a name or description. sample_rate: of both. channels_in,
    channels_out: of the blocks.
    """

    source: str | None = None
    sink: str | None = None
    sample_rate: int | None = None
    channels_in: int | None = None
    channels_out: int | None = None


@dataclass(frozen=True)
class PulseEnds(Ends):
    """A source and a sink.

    Parameters
    ----------
    source, sink : str
        The server's names.
    monitored : str
        The sink whose sound `source` gives; empty for a microphone.
    stem_sink : str or None
        The sink of the block's channels behind the first two; None where all go to `sink`.
    far_ahead : frozenset of str
        The server's sinks that have rendered what they are to play for long, see listing.py.
    """

    source: str
    sink: str
    monitored: str = ""
    stem_sink: str | None = None
    far_ahead: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def stem_channels(self) -> int:
        """Channels for `stem_sink`."""
        return self.channels_out - PAIR if self.stem_sink is not None else 0


def ends_of_route(route: Route, present: ServerDevices) -> PulseEnds:
    """The ends of a route. Raises RtsepError where one of them is not there."""
    stem_sinks = set(route.stem_nodes.values())
    if len(stem_sinks) > 1:
        raise UsageError(
            f"PulseAudio has one sink for all stems: got {', '.join(sorted(stem_sinks))}"
        )
    stem_sink = stem_sinks.pop() if stem_sinks else None
    pairs = len(route.stem_nodes)
    sink = route.sink
    if sink is None:
        if stem_sink is None:
            raise UsageError("the route leads nowhere: give it a sink, or nodes for stems")
        sink, stem_sink = stem_sink, None
    else:
        pairs += 1
    source = _there(route.source, present.sources, "source")
    target = _there(sink, present.sinks, "sink")
    if stem_sink is not None:
        _there(stem_sink, present.sinks, "sink")
    return PulseEnds(
        source.description, target.description, route.source_rate, route.sink_rate,
        PAIR, PAIR * pairs, source.name, target.name, source.monitored, stem_sink,
        present.far_ahead,
    )  # fmt: skip


def ends_of_settings(settings: PulseSettings, present: ServerDevices) -> PulseEnds:
    """The ends that were meant.

    Raises UsageError naming candidates for an unknown or ambiguous name, and where the sink would be
    heard by the source.
    """
    source = _meant(settings.source, present.default_source, present.sources, "input")
    sink = _meant(settings.sink, present.default_sink, present.sinks, "output")
    if source.monitored == sink.name:
        raise UsageError(
            f"{source.name!r} is what {sink.name!r} plays, so rtsep would hear itself: choose "
            "another -i or -o"
        )
    return PulseEnds(
        source.description,
        sink.description,
        settings.sample_rate or source.rate,
        settings.sample_rate or sink.rate,
        settings.channels_in or min(PAIR, source.channels),
        settings.channels_out or PAIR,
        source.name,
        sink.name,
        source.monitored,
        far_ahead=present.far_ahead,
    )


def sink_meant(wanted: str | None, present: ServerDevices) -> ServerDevice:
    """The sink of that name, by default the server's; raises as `ends_of_settings`."""
    return _meant(wanted, present.default_sink, present.sinks, "output")


def _there(name: str, devices: Sequence[ServerDevice], kind: str) -> ServerDevice:
    for device in devices:
        if device.name == name:
            return device
    raise RtsepError(f"there is no {kind} {name!r} (present: {_listing(devices)})")


def _meant(
    wanted: str | None, default: str, devices: Sequence[ServerDevice], kind: str
) -> ServerDevice:
    name = default if wanted is None else wanted
    exact = [device for device in devices if name in (device.name, device.description)]
    matches = exact or [
        device
        for device in devices
        if name.lower() in device.name.lower() or name.lower() in device.description.lower()
    ]
    if len(matches) == 1:
        return matches[0]
    if wanted is None:
        raise RtsepError(f"there is no default {kind}: name one (present: {_listing(devices)})")
    if not matches:
        raise UsageError(f"no {kind} device {wanted!r}: choose from {_listing(devices)}")
    raise UsageError(f"{kind} device {wanted!r} is ambiguous: choose one of {_listing(matches)}")


def _listing(devices: Sequence[ServerDevice]) -> str:
    return "; ".join(device.name for device in devices) or "none at all"
