"""Which ends of a sound server a stream connects, by the server's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PIPEWIRE, PULSEAUDIO = "pipewire", "pulseaudio"


@dataclass(frozen=True)
class Route:
    """Where a server's sound is taken from and given to; all have two channels, left and right.

    Parameters
    ----------
    server : str
        PIPEWIRE or PULSEAUDIO.
    source : str
        The source to record from: the monitor of a sink (``rtsep.monitor``), or a microphone. A stream
        of the PulseAudio protocol takes it.
    source_rate : int
        Its samples per second.
    sink : str or None
        The sink that the mix is played to; None where it goes to a node of `stem_nodes` alone.
    sink_rate : int
        Samples per second of what is played.
    stem_nodes : mapping of str to str
        By stem, the server's node that its sound goes to. PipeWire has a node of two channels for each.
        PulseAudio has one sink for all, with a pair of channels per stem in the order of the mapping.
    source_node : str or None
        PipeWire: the node whose output ports a client of the graph connects in place of `source`; None
        where it is the node of that name.
    """

    server: str
    source: str
    source_rate: int
    sink: str | None
    sink_rate: int
    stem_nodes: Mapping[str, str] = field(default_factory=dict)
    source_node: str | None = None
