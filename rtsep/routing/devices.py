"""The virtual devices: a sink that players play to, and a source for each stem.

Rate, channels and positions are given in full, because programs such as OBS record only from devices
that have them. The owner stands among the properties, so that a later rtsep knows what was left
behind. On PipeWire the sink is a process beside this one, see loopback.py; all else are modules of the
server.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from rtsep.errors import RtsepError, UsageError
from rtsep.routing import loopback
from rtsep.routing.loopback import Loopback
from rtsep.routing.owner import Owner
from rtsep.routing.request import RoutingRequest
from rtsep.routing.server import ModuleRefused, SoundServer

SINK = "rtsep"
# PulseAudio's carrier of all stems.
STEMS_SINK = "rtsep_stems"
_STEREO = "channel_map=front-left,front-right"


def stem_source(stem: str) -> str:
    """The name of a stem's source."""
    return f"rtsep_{stem}"


def is_ours(name: str) -> bool:
    """Whether a device is one of rtsep's, or the monitor of one."""
    return name == SINK or name.startswith((f"{SINK}.", f"{SINK}_"))


def names(request: RoutingRequest, server: SoundServer) -> list[str]:
    """The names of the devices that a request needs."""
    stems = [stem_source(stem) for stem in request.stems]
    carrier = [STEMS_SINK] if stems and not server.is_pipewire else []
    return [*([SINK] if request.capture else []), *carrier, *stems]


def make_sink(server: SoundServer, owner: Owner, rate: int) -> Loopback | None:
    """Make the sink that players play to, at `rate` samples per second.

    Returns the process that holds it, on PipeWire.
    """
    if server.is_pipewire:
        return Loopback(SINK, rate, owner, lambda: has_sink(server))
    arguments = (
        f"sink_name={SINK} format=float32le rate={rate} {_STEREO}"
        f" sink_properties={_properties('rtsep', owner)}"
    )
    _load_null_sink(server, arguments)
    return None


def has_sink(server: SoundServer) -> bool:
    """Whether the sink that players play to is there."""
    return any(sink.name == SINK for sink in server.sinks())


def make_sources(
    server: SoundServer, owner: Owner, stems: Sequence[str], rate: int
) -> dict[str, str]:
    """Make a source for each stem; returns the device that takes the sound of each."""
    if not stems:
        return {}
    if server.is_pipewire:
        for stem in stems:
            _load_null_sink(
                server,
                f"media.class=Audio/Source/Virtual sink_name={stem_source(stem)} rate={rate}"
                f" {_STEREO} sink_properties={_properties(f'rtsep {stem}', owner)}",
            )
        return {stem: stem_source(stem) for stem in stems}
    channels = [f"aux{n}" for n in range(2 * len(stems))]
    _load_null_sink(
        server,
        f"sink_name={STEMS_SINK} format=float32le rate={rate} channels={len(channels)}"
        f" channel_map={','.join(channels)} sink_properties={_properties('rtsep stems', owner)}",
    )
    for n, stem in enumerate(stems):
        server.load(
            "module-remap-source",
            f"source_name={stem_source(stem)} master={STEMS_SINK}.monitor channels=2 {_STEREO}"
            f" master_channel_map={','.join(channels[2 * n : 2 * n + 2])} remix=no"
            f" source_properties={_properties(f'rtsep {stem}', owner)}",
        )
    return {stem: STEMS_SINK for stem in stems}


def unload(server: SoundServer, owner: Owner) -> None:
    """Remove the devices of an owner, the last made first."""
    for module in reversed(server.modules()):
        if Owner.named_in(module.argument or "") == owner:
            server.unload(module.index)
    for sink in server.sinks():
        if loopback.owner_of(sink) == owner:
            loopback.remove(sink)


def owners(server: SoundServer) -> list[Owner]:
    """All owners of devices on the server."""
    found = [Owner.named_in(module.argument or "") for module in server.modules()]
    found += [loopback.owner_of(sink) for sink in server.sinks()]
    return list(dict.fromkeys(owner for owner in found if owner is not None))


def check_free(server: SoundServer, wanted: Sequence[str]) -> None:
    """Raise an error of one line if a name is taken, by another rtsep or by anything else."""
    for module in server.modules():
        words = (module.argument or "").split()
        for name in wanted:
            if f"sink_name={name}" in words or f"source_name={name}" in words:
                remedy = f"with `pactl unload-module {module.index}`"
                raise _taken(name, Owner.named_in(module.argument), remedy)
    for device in [*server.sinks(), *server.sources()]:
        if device.name in wanted:
            raise _taken(device.name, loopback.owner_of(device), "first")


def _taken(name: str, owner: Owner | None, remedy: str) -> RtsepError:
    if owner is not None:
        return RtsepError(
            f"another rtsep offers the device {name} already (process {owner.main.number}): end it"
            " first"
        )
    return UsageError(f"there is a device {name} that rtsep did not make: remove it {remedy}")


def _load_null_sink(server: SoundServer, arguments: str) -> None:
    if not server.is_pipewire:
        # PulseAudio then renders 50 ms ahead at most, in place of 2 s. Older versions do not know it.
        with contextlib.suppress(ModuleRefused):
            server.load("module-null-sink", f"{arguments} norewinds=1")
            return
    server.load("module-null-sink", arguments)


def _properties(description: str, owner: Owner) -> str:
    return f"'device.description=\"{description}\" {owner}'"
