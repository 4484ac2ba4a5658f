"""What the processes of the control have in common: the pipes to the main process, and the states.

What the two say to each other, in lines:

    to this process                        from it
      its settings, as JSON                  listening LINES   to the person, as a list in JSON
      state TEXT      asked for before       unable TEXT       it cannot listen, and ends
      reply CLIENT TEXT                      state             tell the state of now
                                             do CLIENT TEXT    a command that was checked, as JSON
                                             say TEXT          for the person

The main process tells a state only when asked to, so that it never waits for one who does not read.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from rtsep.control.protocol import Command
from rtsep.system.scheduling import is_real_time, set_ordinary

# States per second, to all clients.
STATES_PER_S = 15
# Open sockets and files: more connections have to wait.
_MOST_FILES = 128


def tell(word: str, text: str = "") -> None:
    """Tell the main process; it may be gone, which standard input tells as well."""
    with contextlib.suppress(BrokenPipeError, ValueError):
        sys.stdout.write(f"{word} {text}\n" if text else f"{word}\n")
        sys.stdout.flush()


def tell_listening(lines: Sequence[str]) -> None:
    """Tell the main process that clients can come, and the person where."""
    tell("listening", json.dumps(lines))


def tell_command(client: int, command: Command, number: int | None = None) -> None:
    """Tell the main process what a client wants; number: what the client calls it by."""
    text = json.dumps({"id": number, "name": command.name, "arguments": command.arguments})
    tell(f"do {client}", text)


def say(line: str) -> None:
    """Tell the person a line."""
    tell("say", line)


def run_child(serve: Callable[[dict[str, Any]], None]) -> None:
    """Be such a process: `serve` gets the settings, and returns when the main process has ended."""
    for name in ("SIGINT", "SIGHUP"):  # for the main process, which then closes the pipe
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if is_real_time():
        set_ordinary()
    _limit_files()
    # What strangers send is no news.
    logging.disable(logging.CRITICAL)
    settings = sys.stdin.readline()
    if settings:  # or the program has ended before it could begin
        serve(json.loads(settings))
    # At once: Python's own end would wait for the thread that reads standard input.
    os._exit(0)


class ServingChild(ABC):
    """A process that serves clients by asyncio, and asks for states while any of them looks on."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        # Whether the state that was asked for has come.
        self._has_come = asyncio.Event()
        self._arrival = asyncio.Event()

    @abstractmethod
    def is_looked_at(self) -> bool:
        """Whether there is anybody to show states to."""

    @abstractmethod
    def show(self, state: str) -> None:
        """Show all clients a state, a text of JSON."""

    @abstractmethod
    def answer(self, client: int, text: str) -> None:
        """Pass a reply on, a text of JSON, if the client is still there."""

    async def serve(self) -> None:
        """Work until the main process closes the pipe, or ends."""
        threading.Thread(target=self._read, daemon=True).start()
        asking = asyncio.create_task(self._ask_for_states())
        await self._ended.wait()
        asking.cancel()

    def note_arrival(self) -> None:
        """Somebody has come, who waits for a state."""
        self._arrival.set()

    async def _ask_for_states(self) -> None:
        """Ask for STATES_PER_S in a second while anybody is there; for each when the last has come."""
        while True:
            if not self.is_looked_at():
                self._arrival.clear()
                await self._arrival.wait()
            self._has_come.clear()
            tell("state")
            await asyncio.gather(self._has_come.wait(), asyncio.sleep(1 / STATES_PER_S))

    def _read(self) -> None:
        """In a thread: what the main process says."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            for line in sys.stdin:
                self._loop.call_soon_threadsafe(self._take, line.rstrip("\n"))
            self._loop.call_soon_threadsafe(self._ended.set)

    def _take(self, line: str) -> None:
        word, _, text = line.partition(" ")
        if word == "state":
            self.show(text)
            self._has_come.set()
        elif word == "reply":
            number, _, text = text.partition(" ")
            self.answer(int(number), text)


def _limit_files() -> None:
    if sys.platform != "win32":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        allowed = _MOST_FILES if most == resource.RLIM_INFINITY else min(_MOST_FILES, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))
