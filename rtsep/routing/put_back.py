"""Putting everything back: at the end, after a crash, and what an earlier rtsep has left behind.

One function for all cases. It needs the names of the devices, the owner in their properties, and the
journal, and nothing that the process knew which made them.
"""

from __future__ import annotations

import time

from rtsep.routing import devices, journal
from rtsep.routing.moves import moves_of
from rtsep.routing.owner import Owner
from rtsep.routing.server import SoundServer

# How long a routing process may need whose main process has ended.
_PATIENCE_S = 3.0
_POLL_S = 0.05


def put_back(server: SoundServer, owner: Owner) -> None:
    """Give back the streams that an owner has moved, and remove its devices.

    What is done already, or was never done, does no harm. Raises ServerLost.
    """
    moves_of(server).put_back(journal.read(owner, server.cookie))
    devices.unload(server, owner)
    journal.remove(owner)


def clean_up(server: SoundServer) -> None:
    """Put back what the owners have left behind whose processes are gone."""
    for owner in _owners(server):
        ends = time.monotonic() + _PATIENCE_S
        while not owner.main.is_alive() and owner.is_alive() and time.monotonic() < ends:
            time.sleep(_POLL_S)  # its routing process is at it
        if not owner.is_alive():
            put_back(server, owner)


def _owners(server: SoundServer) -> list[Owner]:
    return list(dict.fromkeys([*devices.owners(server), *journal.owners()]))
