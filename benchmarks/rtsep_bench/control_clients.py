"""The clients of `rtsep-bench control`: they look on, change gains, and switch the bypass now and then.

    python -m rtsep_bench.control_clients URL WAY CLIENTS CHANGES_PER_S DURATION_S STEMS...

prints as JSON what they have seen: `states` (of each client, a second), `changes` (sent and answered),
`refused`, `switched` (when the bypass was, on the monotonic clock, and to what), and the stream's
counters in the `first` and the `last` state. A process of its own, as phones are.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp

from rtsep_bench.control_switches import WEBSOCKET, Switch, switching

if TYPE_CHECKING:
    _Socket = aiohttp.ClientWebSocketResponse[bool]

MODULE = "rtsep_bench.control_clients"
# Far enough apart for the sound of one to be over before the next.
SWITCH_S = (0.4, 0.8)
# For the answers to the last changes.
LAST_S = 0.5


@dataclass
class Seen:
    """What the clients have seen together."""

    states: list[int] = field(default_factory=list)
    sent: int = 0
    answered: int = 0
    refused: int = 0
    switched: list[tuple[float, bool]] = field(default_factory=list)
    first: dict[str, Any] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)


async def _look_on(socket: _Socket, seen: Seen, number: int) -> None:
    async for message in socket:
        told = json.loads(message.data)
        if told["type"] == "state":
            seen.states[number] += 1
            seen.first = seen.first or told["stream"]
            seen.last = told["stream"]
        elif told["type"] == "done":
            seen.answered += 1
        elif told["type"] == "refused":
            seen.refused += 1


async def _change(
    socket: _Socket, seen: Seen, per_s: float, until_s: float,
    stems: Sequence[str],
) -> None:  # fmt: skip
    """Move faders by hardly anything, so that the bypass is told by its level."""
    chance = random.Random(0)
    next_s = time.monotonic()
    while next_s < until_s:
        await asyncio.sleep(max(0.0, next_s - time.monotonic()))
        db = -6 + 0.05 * math.sin(5 * next_s)
        await socket.send_json(
            {"do": "gain", "stem": chance.choice(stems), "db": db, "id": seen.sent}
        )
        seen.sent += 1
        next_s += 1 / per_s


async def _switch(socket: _Socket, switch: Switch | None, seen: Seen, until_s: float) -> None:
    """Switch the bypass by `switch`, or else by the socket."""
    chance = random.Random(1)
    on = False
    while time.monotonic() < until_s:
        await asyncio.sleep(chance.uniform(*SWITCH_S))
        on = not on
        seen.switched.append((time.monotonic(), on))
        if switch is None:
            await socket.send_json({"do": "bypass", "on": on})
        else:
            switch(on)
    # The last one is to be heard, too.
    await asyncio.sleep(SWITCH_S[0])
    await socket.send_json({"do": "bypass", "on": False})


async def run(
    url: str, switch: Switch | None, clients: int, changes_per_s: float, duration_s: float,
    stems: Sequence[str],
) -> Seen:  # fmt: skip
    """Be so many clients for so long; changes_per_s: of all together."""
    seen = Seen(states=[0] * clients)
    async with aiohttp.ClientSession() as session:
        sockets = [await session.ws_connect(url) for _ in range(clients)]
        until_s = time.monotonic() + duration_s
        looking = [
            asyncio.create_task(_look_on(socket, seen, number))
            for number, socket in enumerate(sockets)
        ]
        busy = [_switch(sockets[0], switch, seen, until_s)]
        if changes_per_s:
            busy += [
                _change(socket, seen, changes_per_s / clients, until_s, stems) for socket in sockets
            ]
        await asyncio.gather(*busy)
        await asyncio.sleep(LAST_S)
        for task in looking:
            task.cancel()
        for socket in sockets:
            await socket.close()
    return seen


def main() -> None:
    """Run in the child process."""
    url, way, clients, changes_per_s, duration_s, *stems = sys.argv[1:]
    port = urlsplit(url).port
    assert port is not None
    with nullcontext() if way == WEBSOCKET else switching(way, port) as switch:
        seen = asyncio.run(
            run(url, switch, int(clients), float(changes_per_s), float(duration_s), stems)
        )
    print(json.dumps(vars(seen)))


if __name__ == "__main__":
    main()
