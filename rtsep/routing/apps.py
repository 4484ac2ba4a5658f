"""What plays at the moment, for a list to choose from."""

from __future__ import annotations

from dataclasses import dataclass

from rtsep.routing import streams
from rtsep.routing.devices import SINK
from rtsep.routing.put_back import clean_up
from rtsep.routing.server import SoundServer


@dataclass(frozen=True)
class App:
    """A stream that is played.

    Attributes
    ----------
    name, binary
        What the application calls itself, and its program; empty if it does not say.
    title
        What the stream is called.
    sink
        The description of the sink that it plays to.
    is_filtered
        Whether that is rtsep's.
    """

    name: str
    binary: str
    title: str
    sink: str
    is_filtered: bool


def list_apps() -> list[App]:
    """The streams that rtsep could filter, by name.

    What an earlier rtsep has left behind is put back first. Raises RtsepError without a server.
    """
    with SoundServer() as server:
        clean_up(server)
        sinks = {sink.index: sink for sink in server.sinks()}
        apps = [
            App(
                streams.label(stream),
                stream.proplist.get("application.process.binary", ""),
                stream.proplist.get("media.name", stream.name),
                sinks[stream.sink].description if stream.sink in sinks else "",
                stream.sink in sinks and sinks[stream.sink].name == SINK,
            )
            for stream in server.streams()
            if streams.may_be_moved(stream, None)
        ]
    return sorted(apps, key=lambda app: (app.name.lower(), app.title))
