"""The program of the process that listens to a MIDI device.

    python -m rtsep.control.midi.process

 some thread of JACK's or the system's        main thread
   message -> queue                  ---->      actions.py -> do COMMAND
 a thread that reads standard input             state? <- for a fader, where the value stands
   line    -> queue                  ---->      once a second: is the device there?

A process of its own: in JACK's graph it is a client like any other, for which the program's audio does
not wait.
"""

from __future__ import annotations

import contextlib
import json
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

from rtsep.control.child import run_child, say, tell, tell_command, tell_listening
from rtsep.control.midi.actions import Actions, State
from rtsep.control.midi.events import Event, read_event
from rtsep.control.midi.inputs import Device
from rtsep.control.midi.learning import Learning
from rtsep.control.midi.midi_map import read_control
from rtsep.control.rates import CLIENT_AT_ONCE, CLIENT_PER_S, Bucket
from rtsep.errors import RtsepError
from rtsep.live.process_settings import live_process

_LOOK_S = 1.0
# A state counts for so long; and so long it is waited for.
STATE_LASTS_S, _STATE_WAIT_S = 0.1, 0.5
_MOST_QUEUED = 1024
# Different lines that refusals may add.
_MOST_COMPLAINTS = 20
_CLIENT = 1


class _MainHasEnded(Exception):
    """The pipe to the main process is closed."""


class MidiProcess:
    """The device, what its controls do, and the pipes to the main process."""

    def __init__(self, settings: dict[str, Any]):
        # Messages as bytes, lines of the main process as str, None at their end.
        self._queue: queue.Queue[bytes | str | None] = queue.Queue(_MOST_QUEUED)
        # What came in while a state was waited for.
        self._held: list[bytes | str] = []
        self._state: State | None = None
        self._asked_s = 0.0
        self._complaints: set[str] = set()
        self._bucket = Bucket(CLIENT_PER_S, CLIENT_AT_ONCE)
        controls = [read_control(table) for table in settings["controls"]]
        self._has_controls = bool(controls)
        self._actions = Actions(controls, settings["greeting"]["commands"], self._ask, say)
        self._map = settings["map"]
        self._learning = Learning(settings["learn"], Path(self._map), say)
        self._device = Device(settings["port"], self._on_message, say)

    def run(self) -> None:
        """Work until the main process closes the pipe, or ends."""
        try:
            lines = [self._device.begin()]
        except RtsepError as error:
            tell("unable", str(error))
            return
        if (prompt := self._learning.prompt()) is not None:
            lines.append(prompt)
        elif not self._has_controls:
            lines.append(
                f"midi: no control does anything yet: learn some, or write {self._map}"
                " (docs/osc-and-midi.md)"
            )
        tell_listening(lines)
        threading.Thread(target=self._read, daemon=True).start()
        with contextlib.suppress(_MainHasEnded):
            self._work()
        self._device.close()

    def _work(self) -> None:
        look_s = time.monotonic() + _LOOK_S
        while True:
            for item in self._newest(self._next_items(look_s - time.monotonic())):
                self._take(item)
            if time.monotonic() >= look_s:
                self._device.look()
                look_s = time.monotonic() + _LOOK_S

    def _next_items(self, timeout_s: float) -> list[bytes | str]:
        """All that has come in; nothing after `timeout_s`."""
        items, self._held = self._held, []
        with contextlib.suppress(queue.Empty):
            if not items:
                items.append(self._get(max(0.0, timeout_s)))
            while True:
                items.append(self._get(0))
        return items

    def _newest(self, items: list[bytes | str]) -> list[bytes | str]:
        """Without the positions that a fader has left again."""
        kept: list[bytes | str] = []
        seen: set[bytes] = set()
        for item in reversed(items):
            if isinstance(item, bytes):
                event = read_event(item)
                if event is not None and self._actions.is_fader(event):
                    if item[:2] in seen:
                        continue
                    seen.add(item[:2])
            kept.append(item)
        return kept[::-1]

    def _take(self, item: bytes | str) -> None:
        if isinstance(item, bytes):
            event = read_event(item)
            if event is not None:
                self._act(event)
            return
        word, _, text = item.partition(" ")
        if word == "reply":
            why = json.loads(text.partition(" ")[2])["why"]
            if why not in self._complaints and len(self._complaints) < _MOST_COMPLAINTS:
                self._complaints.add(why)
                say(f"midi: {why}")

    def _act(self, event: Event) -> None:
        if not self._learning.is_over:
            learned = self._learning.take(event)
            if learned is not None:
                self._actions.add(learned)
                return
        command = self._actions.take(event)
        if command is not None:
            time.sleep(self._bucket.reserve())
            tell_command(_CLIENT, command)

    def _ask(self) -> State | None:
        """The state of now, or of a moment ago; None where it does not come."""
        now_s = time.monotonic()
        if self._state is not None and now_s - self._asked_s < STATE_LASTS_S:
            return self._state._replace(is_new=False)
        self._asked_s, ends_s = now_s, now_s + _STATE_WAIT_S
        tell("state")
        while (left_s := ends_s - time.monotonic()) > 0:
            try:
                item = self._get(left_s)
            except queue.Empty:
                break
            if isinstance(item, str) and item.startswith("state "):
                self._state = State(json.loads(item[6:]), is_new=True)
                return self._state
            self._held.append(item)
        return None

    def _get(self, timeout_s: float) -> bytes | str:
        """Raises queue.Empty, and _MainHasEnded."""
        item = self._queue.get(timeout=timeout_s) if timeout_s else self._queue.get_nowait()
        if item is None:
            raise _MainHasEnded
        return item

    def _on_message(self, message: bytes) -> None:
        """From a thread of the device's; what is too much is lost."""
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(message)

    def _read(self) -> None:
        """In a thread: what the main process says."""
        for line in sys.stdin:
            self._queue.put(line.rstrip("\n"))
        self._queue.put(None)


def _serve(settings: dict[str, Any]) -> None:
    # Else the graph's thread may wait for Python's lock past the end of its cycle, and JACK drops it.
    with live_process():
        MidiProcess(settings).run()


if __name__ == "__main__":
    run_child(_serve)
