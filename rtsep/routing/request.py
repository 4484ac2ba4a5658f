"""What the routing is asked to do, and the ends that the audio must then connect."""

from __future__ import annotations

from dataclasses import dataclass, field

# What `stems` holds in place of stems where a microphone is offered.
MICROPHONE = "microphone"


@dataclass(frozen=True)
class RoutingRequest:
    """What to make of the sound server.

    Attributes
    ----------
    apps
        Names of applications, whole or in part, whose streams are filtered; none: all streams.
    capture
        Make the sink "rtsep" and move streams to it. Without it only `stems` are made, and the
        sound comes from `input`.
    output
        The sink to play to, by a part of its name or description. None: the server's default one,
        which is followed when it changes.
    input
        Without `capture`: the source to record from, by a part of its name or description. None:
        the default one.
    stems
        Sources to offer to other programs, one for each name.
    """

    apps: tuple[str, ...] = ()
    capture: bool = True
    output: str | None = None
    input: str | None = None
    stems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ends:
    """What the audio stream must connect, by the sound server's own names.

    Attributes
    ----------
    server
        "pipewire" or "pulseaudio".
    source, source_rate
        What to record from, and its rate in samples per second.
    sink, sink_rate
        Where to play the mix; None and 0 if it is played nowhere.
    stem_nodes
        The node (PipeWire) or sink (PulseAudio) that takes each stem. On PulseAudio all stems share
        one sink with two channels for each, in the order of this dictionary.
    """

    server: str
    source: str
    source_rate: int
    sink: str | None
    sink_rate: int
    stem_nodes: dict[str, str] = field(default_factory=dict)
