"""What was changed on the sound server, in a file, so that any later process can change it back.

Written by the routing process before each change; read by whoever puts things back, which is the main
process if the routing process was killed, and the next rtsep if both were.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rtsep.routing.owner import Owner
from rtsep_kernels.user_cache import user_cache


@dataclass
class Journal:
    """The state before rtsep, of one server.

    Attributes
    ----------
    cookie
        The server's own number; the numbers of streams mean something only there.
    streams
        By stream: what to give it back. PulseAudio: {"sink": name}, or {} for the default one.
        PipeWire: the metadata that rtsep sets, if it had them.
    remembered
        PulseAudio: by the name of an entry of module-stream-restore, the sink that it named.
    """

    cookie: int
    streams: dict[str, dict[str, str]] = field(default_factory=dict)
    remembered: dict[str, str | None] = field(default_factory=dict)

    def write(self, owner: Owner) -> None:
        """Put it into the owner's file. A user without a home, or with a full disk, has none."""
        path = _path(owner)
        if path is None:
            return
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_text(json.dumps(asdict(self)), encoding="utf-8")
            part.replace(path)


def read(owner: Owner, cookie: int) -> Journal:
    """The owner's journal, without the streams of another server; an empty one if it has none."""
    path = _path(owner)
    if path is not None:
        with contextlib.suppress(OSError, ValueError, TypeError):
            journal = Journal(**json.loads(path.read_text(encoding="utf-8")))
            if journal.cookie != cookie:
                journal = Journal(cookie, {}, journal.remembered)
            return journal
    return Journal(cookie)


def remove(owner: Owner) -> None:
    """Forget the owner's journal: everything is as before."""
    path = _path(owner)
    if path is not None:
        with contextlib.suppress(OSError):
            path.unlink()


def owners() -> list[Owner]:
    """All owners of a journal, also those whose processes are gone."""
    folder = _folder()
    found = [] if folder is None else [Owner.named_in(path.name) for path in folder.glob("*.json")]
    return [owner for owner in found if owner is not None]


def _path(owner: Owner) -> Path | None:
    folder = _folder()
    return None if folder is None else folder / f"{owner}.json"


def _folder() -> Path | None:
    cache = user_cache()
    return None if cache is None else cache / "routing"
