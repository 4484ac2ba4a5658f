"""What the routing is asked to do."""

from __future__ import annotations

from dataclasses import dataclass

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

    @property
    def is_heard(self) -> bool:
        """Whether the mix is played here, and not only offered as a microphone."""
        return self.stems != (MICROPHONE,)
