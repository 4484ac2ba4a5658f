"""Which streams are filtered, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtsep.routing.owner import Owner
from rtsep.routing.server import CLIENT_NAME, NONE

# Short signals of the desktop, whose delay would be heard and whose entry in PulseAudio's memory is
# shared by all programs; and speech for those who cannot see the screen, which must not disappear.
ROLES_LEFT_ALONE = ("event", "notification", "a11y", "accessibility")
_NAMES = ("application.name", "application.process.binary", "media.name", "node.name")


def label(stream: Any) -> str:
    """What to call the application of a stream."""
    values = (stream.proplist.get(name) for name in _NAMES)
    return next((value for value in values if value), stream.name)


def is_asked_for(stream: Any, apps: Sequence[str]) -> bool:
    """Whether a stream is of one of the applications; of any, except for roles, if none is named."""
    if not apps:
        return stream.proplist.get("media.role", "").lower() not in ROLES_LEFT_ALONE
    return any(is_of(stream, app) for app in apps)


def is_of(stream: Any, app: str) -> bool:
    """Whether `app` is in one of the names of a stream's application, in any case of letters."""
    return any(app.lower() in stream.proplist.get(name, "").lower() for name in _NAMES[:3])


def may_be_moved(stream: Any, owner: Owner | None) -> bool:
    """Whether a stream is sound of an application at all, and not rtsep's own.

    Left alone are the streams of modules and of filters (loopbacks, echo cancellers, equalizers):
    a filter that plays into rtsep's sink could close a loop. Also those that their application
    links by itself, as a patch bay does.
    """
    properties = stream.proplist
    if properties.get("application.name") == CLIENT_NAME:
        return False
    if owner is not None:
        ours = {str(owner.main.number), str(owner.routing.number)}
        if properties.get("application.process.id") in ours:
            return False
    if stream.client == NONE:
        return False
    if any(name in properties for name in ("node.link-group", "pulse.module.id")):
        return False
    return (
        properties.get("node.autoconnect", "true") != "false"
        and properties.get("node.dont-reconnect", "false") != "true"
    )
