"""The output that a song is heard on, which may go away and come back.

playing  - output stops ->  gone: the song stands still
   ^                       |
   +----- opened anew -----+   at once, later less often, until patience ends
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rtsep.devices.backend import Output, PlaybackBackend
from rtsep.devices.patience import Patience
from rtsep.errors import RtsepError
from rtsep.live.priority import audio_first
from rtsep.play.session import PlaySession


class SoundOutput:
    """A session on an output of any backend. For the main thread.

    Parameters
    ----------
    session : PlaySession
    backend : PlaybackBackend
    output : Output
        What `backend.find` has found.
    patience_s : float
        How long an output that has gone is waited for.
    say : callable
        Is told, in a line, that it has gone or come back.

    Raises
    ------
    RtsepError
        Where it cannot be opened.
    """

    def __init__(
        self,
        session: PlaySession,
        backend: PlaybackBackend[Any],
        output: Output,
        *,
        patience_s: float = 0.0,
        say: Callable[[str], None] = lambda line: None,
    ):
        self._session, self._backend, self._output, self._say = session, backend, output, say
        self._patience = Patience(patience_s, say)
        self._is_open = False
        self._open(output)

    def start(self) -> None:
        """Begin to play. Raises RtsepError where the device stops before its first block."""
        with audio_first():
            self._stream.start()

    def tick(self, now_s: float) -> None:
        """Look whether the output is there, or is there again; `now_s` of the monotonic clock.

        Raises RtsepError where the callback has failed, and where the output has gone for good.
        """
        if self._is_open:
            self._stream.check()
            if not self._stream.active:
                self._is_open = False
                self._patience.begin(now_s, self._stream.close)
        elif self._patience.is_due(now_s):
            self._try_again(now_s)

    def close(self) -> bool:
        """Release it; False where the sound system does not let go of one that has gone."""
        was_open, self._is_open = self._is_open, False
        return self._stream.close() if was_open else True

    def _open(self, output: Output) -> None:
        player = self._session.deck.player
        player.begin_anew()
        with audio_first():
            self._stream = self._backend.open(output, player.process, self._count_xruns)
        self._is_open, self._output = True, output

    def _count_xruns(self, _flags: object) -> None:
        self._session.xruns += 1

    def _try_again(self, now_s: float) -> None:
        try:
            self._open(self._backend.find(self._output))
            self.start()
        except RtsepError as error:
            self.close()
            self._patience.go_on(now_s, error)
            return
        self._say(f"the audio device is back: {self._output.name}, {self._output.rate} Hz")
