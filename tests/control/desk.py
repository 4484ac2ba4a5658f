"""A program under control without its sound: a mixer, a song's transport, and the real server beside."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import numpy as np

from rtsep.control.address import Address
from rtsep.control.control import Control
from rtsep.control.mixing import MixCommands
from rtsep.control.protocol import LOOPBACK
from rtsep.control.ways import Way, page_way
from rtsep.live.mixer import MixControls

STEMS = ("vocals", "drums")
# Until something that comes at once has come, on an overloaded machine.
PATIENCE_S = 30.0


class Desk(MixCommands):
    """A mixer of two stems; with a song, what rtsep-play adds to it."""

    def __init__(self) -> None:
        mixed = SimpleNamespace(stems=STEMS, gains=np.zeros(2, np.float32), bypass=False)
        levels_dbfs = {"vocals": -20.0, "drums": -30.0, "mix": -18.0}
        super().__init__(MixControls(mixed, dict.fromkeys(STEMS, 1.0)), lambda: levels_dbfs)
        self.plan = "low"

    def do_plan(self, name: str) -> None:
        self.plan = name

    def state(self) -> dict[str, Any]:
        stream = {
            "model": "spleeter:2stems", "plan": "64/1/1/1", "plan_choice": self.plan,
            "plans": ["low", "balanced"], "latency_ms": 92.9, "played_s": 61.0,
            "hops": 1000, "late_masks": 3, "xruns": 0, "bad_samples": 0, "lost_s": 0.0,
        }  # fmt: skip
        return {**super().state(), "stream": stream}


class PlayingDesk(Desk):
    """With a song."""

    def __init__(self) -> None:
        super().__init__()
        self.song = {
            "song": "<b>Song</b>", "song_number": 1, "songs": 2, "playing": False, "waiting": False,
            "position_s": 31.0, "duration_s": 200.0, "done_s": [[0, 100]], "loop_s": None,
            "loop_mark_s": None, "tempo_percent": 100.0, "key_semitones": 0, "tuning_cents": 0.0,
            "count_in_beats": 0, "count_in_bpm": 120.0,
        }  # fmt: skip

    def do_play(self, on: bool | None = None) -> None:
        self.song["playing"] = not self.song["playing"] if on is None else on

    def do_seek(self, position_s: float) -> None:
        self.song["position_s"] = position_s

    def do_skip(self, seconds: float) -> None:
        self.song["position_s"] += seconds

    def do_mark_loop(self) -> None:
        self.song["loop_mark_s"] = self.song["position_s"]

    def do_tempo(self, percent: float) -> None:
        self.song["tempo_percent"] = percent

    def do_key(self, semitones: int) -> None:
        self.song["key_semitones"] = semitones

    def do_tuning(self, cents: float) -> None:
        self.song["tuning_cents"] = cents

    def do_song(self, number: int) -> None:
        self.song["song_number"] = number

    def state(self) -> dict[str, Any]:
        return {**super().state(), "transport": self.song}


class Served:
    """A control that runs. said: lines for the person. url: of the page, with the token."""

    def __init__(self, control: Control, desk: Desk, said: list[str], lines: list[str]):
        self.control, self.desk, self.said, self.lines = control, desk, said, lines
        self.url = lines[0].removeprefix("control ")
        self.port = urlsplit(self.url).port
        self.token = urlsplit(self.url).fragment

    def socket_url(self, version: int = 1, token: str | None = None) -> str:
        token = self.token if token is None else token
        return f"ws://127.0.0.1:{self.port}/v{version}?token={token}"


@contextlib.contextmanager
def serving(way: Way, desk: Desk) -> Iterator[tuple[Control, list[str], list[str]]]:
    """Let clients in by one way until the end of the block; a thread does what a main thread does.

    Yields the control, what it said of where it is, and what it says from then on.
    """
    said: list[str] = []
    ended = threading.Event()
    with Control([way], said.append) as control:
        lines = control.begin(desk, "rtsep-test")

        def work() -> None:
            while not ended.is_set():
                control.wait(0.05)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield control, lines, said
        finally:
            ended.set()
            thread.join()


@contextlib.contextmanager
def served(desk: Desk | None = None, host: str = LOOPBACK, port: int = 0) -> Iterator[Served]:
    """Serve a desk to phones until the end of the block."""
    desk = desk or Desk()
    with serving(page_way(Address(host, port)), desk) as (control, lines, said):
        yield Served(control, desk, said, lines)


def talk(work: Callable[[aiohttp.ClientSession], Awaitable[None]]) -> None:
    """Run what clients do; it fails if that takes too long."""

    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            await asyncio.wait_for(work(session), PATIENCE_S)

    asyncio.run(run())


async def told(
    socket: aiohttp.ClientWebSocketResponse, wanted: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """The next message that is wanted."""
    while True:
        message = json.loads((await socket.receive()).data)
        if wanted(message):
            return message


def is_reply(message: dict[str, Any]) -> bool:
    return message["type"] in ("done", "refused")
