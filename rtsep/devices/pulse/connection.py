"""A client of the server, and the one thread on which libpulse runs.

That thread is Python's own, so that a callback finds its state of Python in place, and every call of
libpulse is made on it, so that no lock is held while sound waits. Other threads hand it tasks.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from rtsep.devices.pulse.libpulse import (
    CONTEXT_FAILED,
    CONTEXT_NOAUTOSPAWN,
    CONTEXT_READY,
    libpulse,
)
from rtsep.errors import RtsepError

NAME = "rtsep"
# What an overloaded server may take for an answer, and the thread to end.
ANSWER_S = 5.0
CLOSE_S = 3.0
POLL_S = 0.002
# Messages of the server that are taken before sound is given: a guard, there are a few as a rule.
MOST_AT_ONCE = 64

Result = TypeVar("Result")


class Connection:
    """A connection to the server that the environment names.

    Raises RtsepError where there is none.

    Attributes
    ----------
    failure : BaseException or None
        What a callback has raised. Writer: the loop's thread; readers: any.
    """

    def __init__(self) -> None:
        self.pulse = libpulse()
        self.context: Any = None
        self.failure: BaseException | None = None
        self._loop = self.pulse.lib.pa_mainloop_new()
        # writer: any thread; reader: the loop's thread
        self._tasks: deque[Callable[[], object]] = deque()
        # Called when everything that the server had sent has been taken; for the loop's thread.
        self.rounds: list[Callable[[], None]] = []
        self._ends = False
        # writer: the loop's thread; readers: any
        self._state, self._error = 0, 0
        self._keep: list[Any] = []  # cffi's callbacks live as long as somebody holds them
        self._thread = threading.Thread(target=self._run, name="rtsep pulse", daemon=True)
        self._thread.start()
        try:
            self.wait(lambda: self._state >= CONTEXT_READY, "an answer of the sound server")
            if not self.alive:
                raise RtsepError(
                    f"no PulseAudio server: {self.pulse.reason(self._error)}; start pulseaudio or "
                    "pipewire-pulse"
                )
        except RtsepError:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether the server is there."""
        return self._state == CONTEXT_READY and self._thread.is_alive()

    @property
    def is_leaving(self) -> bool:
        """Whether it has been closed, even if its thread has not ended."""
        return self._ends

    def call(self, task: Callable[[], Result]) -> Result:
        """Run `task` on the loop's thread and give its result, or raise its error."""
        future: Future[Result] = Future()

        def run() -> None:
            try:
                future.set_result(task())
            except Exception as error:
                future.set_exception(error)

        self._tasks.append(run)
        if not self._wake_until(future.done, ANSWER_S):
            raise self._no_answer("a call")
        return future.result()

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait on the calling thread until `condition` holds. Raises RtsepError naming `what`."""
        ends_s = time.monotonic() + ANSWER_S
        while not condition():
            if time.monotonic() > ends_s:
                raise self._no_answer(what)
            time.sleep(POLL_S)

    def close(self) -> bool:
        """Leave the server; False where the thread does not end: see AudioStream.close."""
        timeout_s = 0.0 if self._ends else CLOSE_S
        self._ends = True
        if not self._wake_until(lambda: not self._thread.is_alive(), timeout_s):
            return False
        self.pulse.lib.pa_mainloop_free(self._loop)
        self._keep.clear()
        self.rounds.clear()
        return True

    def callback(self, signature: str, function: Callable[..., None]) -> Any:
        """`function` as a C callback that lives as long as the connection."""
        made = self.pulse.ffi.callback(signature, function, onerror=self._on_failure)
        self._keep.append(made)
        return made

    def take_back(self, sink: str) -> None:
        """Have a sink forget what it has rendered and not played; for the loop's thread.

        It is suspended and goes on at once.
        """
        for suspended in (1, 0):
            operation = self.pulse.lib.pa_context_suspend_sink_by_name(
                self.context, sink.encode(), suspended, self.pulse.ffi.NULL, self.pulse.ffi.NULL
            )
            if operation != self.pulse.ffi.NULL:
                self.pulse.lib.pa_operation_unref(operation)

    def error(self) -> str:
        """What went wrong last; for the loop's thread."""
        return self.pulse.reason(self.pulse.lib.pa_context_errno(self.context))

    def _wake_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wake the loop until `condition` holds; False where it does not in time.

        Again and again: libpulse forgets being woken before it begins to wait.
        """
        ends_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > ends_s:
                return False
            self.pulse.lib.pa_mainloop_wakeup(self._loop)
            time.sleep(POLL_S)
        return True

    def _no_answer(self, what: str) -> RtsepError:
        return RtsepError(f"waited {ANSWER_S:g} s in vain for {what}: restart the sound server")

    def _run(self) -> None:
        ffi, lib = self.pulse
        properties = lib.pa_proplist_new()
        lib.pa_proplist_sets(properties, b"application.name", NAME.encode())
        self.context = lib.pa_context_new_with_proplist(
            lib.pa_mainloop_get_api(self._loop), NAME.encode(), properties
        )
        lib.pa_proplist_free(properties)
        lib.pa_context_set_state_callback(
            self.context, self.callback("pa_context_notify_cb_t", self._on_state), ffi.NULL
        )
        refused = lib.pa_context_connect(self.context, ffi.NULL, CONTEXT_NOAUTOSPAWN, ffi.NULL)
        if refused < 0:
            self._error, self._state = lib.pa_context_errno(self.context), CONTEXT_FAILED
        while not self._ends and lib.pa_mainloop_iterate(self._loop, 1, ffi.NULL) >= 0:
            for _ in range(MOST_AT_ONCE):
                if lib.pa_mainloop_iterate(self._loop, 0, ffi.NULL) <= 0:
                    break
            try:
                for serve in self.rounds:
                    serve()
            except Exception as error:
                self.failure = error
            while self._tasks:
                self._tasks.popleft()()
        lib.pa_context_set_state_callback(self.context, ffi.NULL, ffi.NULL)
        lib.pa_context_disconnect(self.context)
        lib.pa_context_unref(self.context)
        # What is still to be sent, such as the streams' end, is sent by then.
        self._state = CONTEXT_FAILED

    def _on_failure(self, _kind: Any, error: BaseException, _trace: Any) -> None:
        self.failure = error

    def _on_state(self, context: Any, _user: Any) -> None:
        state = self.pulse.lib.pa_context_get_state(context)
        if state >= CONTEXT_FAILED:
            self._error = self.pulse.lib.pa_context_errno(context)
        self._state = state
