"""The ways into a program from outside, each of which a process of its own serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from typing import Any

from rtsep.control.access import make_token
from rtsep.control.address import Address
from rtsep.errors import UsageError


@dataclass(frozen=True)
class Way:
    """One way in.

    Attributes
    ----------
    name : str
        As the person is told of it.
    module : str
        The program of its process.
    settings : mapping
        What that is told, beside what it is the way into.
    token : str, optional
        What clients must know.
    """

    name: str
    module: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    token: str | None = None


def page_way(address: Address, with_picture: bool = False) -> Way:
    """The page and the WebSocket; raises UsageError where a package is missing.

    with_picture: draw the address for a phone's camera, if phones can reach it.
    """
    _require("the control", "control", {"aiohttp": "aiohttp", "segno": "segno"})
    settings = {
        "address": asdict(address),
        "with_picture": with_picture and not address.is_loopback,
    }
    token = None if address.is_loopback else make_token()
    return Way("control", "rtsep.control.server_process", settings, token)


def osc_way(address: Address) -> Way:
    """OSC over UDP; raises UsageError where its package is missing."""
    _require("OSC", "osc", {"pythonosc": "python-osc"})
    return Way("osc", "rtsep.control.osc.process", {"address": asdict(address)})


def midi_way(
    port: str, map_path: str, controls: Sequence[Mapping[str, Any]], learn: Sequence[str]
) -> Way:
    """A MIDI input.

    Parameters
    ----------
    port : str
        Part of its name; nothing for the first one there is.
    map_path : str
        Where what is learned is kept.
    controls : sequence of mapping
        What each control of the device does: those of `MidiControl`.
    learn : sequence of str
        Commands for which the controls are touched next, one after the other.
    """
    settings = {"port": port, "map": map_path, "controls": list(controls), "learn": list(learn)}
    return Way("midi", "rtsep.control.midi.process", settings)


def _require(what: str, extra: str, packages: Mapping[str, str]) -> None:
    """Raise UsageError for packages, by module, that are missing."""
    missing = [package for module, package in packages.items() if find_spec(module) is None]
    if missing:
        raise UsageError(f"{what} needs {' and '.join(missing)}: pip install 'rtsep[{extra}]'")
