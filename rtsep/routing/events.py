"""What the routing process tells, one line of JSON each.

`Ready` or `Refused` answers the request; the others come at any time after `Ready`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

from rtsep.devices.route import Route


@dataclass(frozen=True)
class Ready:
    """The devices are made; no stream is moved yet."""

    route: Route


@dataclass(frozen=True)
class Refused:
    """The request cannot be met; the process has ended, and nothing is left behind."""

    line: str
    is_usage: bool


@dataclass(frozen=True)
class OutputChanged:
    """The mix must be played to another sink from now on."""

    route: Route


@dataclass(frozen=True)
class StreamsChanged:
    """Which applications are filtered now, and which of those asked for play nothing yet."""

    names: tuple[str, ...]
    awaited: tuple[str, ...]


@dataclass(frozen=True)
class ServerGone:
    """The sound server has ended; the routing process waits for it."""


@dataclass(frozen=True)
class ServerBack:
    """The sound server is back, and the devices are made anew; streams wait for `capture`."""

    route: Route


@dataclass(frozen=True)
class Failed:
    """Something could not be done, in one line; the rest goes on."""

    line: str


Event = Ready | Refused | OutputChanged | StreamsChanged | ServerGone | ServerBack | Failed
_KINDS: dict[str, Callable[..., Event]] = {
    kind.__name__: kind
    for kind in (Ready, Refused, OutputChanged, StreamsChanged, ServerGone, ServerBack, Failed)
}


def to_line(event: Event) -> str:
    """The event as one line of JSON."""
    return json.dumps({"event": type(event).__name__, **asdict(event)})


def from_line(line: str | bytes) -> Event:
    """The event that `to_line` has written."""
    fields = json.loads(line)
    kind = _KINDS[fields.pop("event")]
    if "route" in fields:
        fields["route"] = Route(**fields["route"])
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
    return kind(**values)
