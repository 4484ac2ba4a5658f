"""A stream of blocks between an input and an output, whichever sound system brings them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsep.errors import RtsepError

if TYPE_CHECKING:
    from rtsep.devices.backend import Ends

Process: TypeAlias = Callable[[NDArray[np.float32], NDArray[np.float32]], object]


class Xruns(NamedTuple):
    """Whether sound was lost (overflow) or missing (underflow), named as PortAudio's flags are."""

    input_overflow: bool
    input_underflow: bool
    output_overflow: bool
    output_underflow: bool


class AudioStream:
    """Open ends that call `process(block, out)` for every block of the output.

    Parameters
    ----------
    process : callable
        Takes (samples, channels_in) and fills (samples, channels_out), float32; called on the sound
        system's thread. If it raises, the input is passed on instead and the cause is kept in
        `failure`.
    on_xruns : callable
        Called on that thread, too, when samples were lost or missing, with PortAudio's flags or an
        `Xruns`.

    Attributes
    ----------
    failure : BaseException or None
        What `process` has raised.
    on_bad_samples : callable
        To be set before `start`; called on that thread with the number of instants (or 0) that had to
        be mended where `process` does not see them.
    """

    def __init__(self, process: Process, on_xruns: Callable[[object], None]):
        self.failure: BaseException | None = None
        self._process, self._on_xruns = process, on_xruns
        self.on_bad_samples: Callable[[int], None] = lambda instants: None

    # --- for a sound system to say --------------------------------------------------------------

    @property
    def latency_s(self) -> tuple[float, float]:
        """Seconds from the input's socket to `process`, and from there to the output's."""
        raise NotImplementedError

    @property
    def active(self) -> bool:
        """Whether blocks come and go."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin to play. Raises RtsepError where that fails."""
        raise NotImplementedError

    def close(self) -> bool:
        """Stop and release both ends; False where the sound system has not let go of them in seconds.

        Asked again, it says whether it has by now, and does not wait.
        """
        raise NotImplementedError

    @property
    def sound_flows(self) -> bool:
        """Whether what comes in is heard already: two clocks are watched for a while before."""
        return self.active

    @property
    def measured_latency_s(self) -> float | None:
        """Seconds from socket to socket by the system's clocks, mean so far; None where it has none."""
        return None

    @property
    def lengthened_s(self) -> float:
        """Seconds of sound that are kept beyond those at first, since it ran out again and again."""
        return 0.0

    @property
    def remarks(self) -> list[str]:
        """Lines for the person, on what is particular about these ends."""
        return []

    def stats(self) -> dict[str, float]:
        """What the sound system adds to the statistics; from any thread."""
        return {}

    def tell_latency(self, process_latency_s: float) -> None:
        """Tell the sound system, and through it the players, how much later `process` gives a sample.

        Called before `start` and whenever it has changed, from the main thread. Nothing where the
        sound system does not ask.
        """

    def reroute(self, ends: Ends) -> bool:
        """Go over to other ends of the same format without a stop; False where that cannot be done."""
        return False

    # --- of all of them -------------------------------------------------------------------------

    def check(self) -> None:
        """Raise RtsepError where `process` has failed."""
        if self.failure is not None:
            raise RtsepError(f"the audio callback failed: {self.failure!r}")

    def _run(self, block: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        if self.failure is None:
            try:
                self._process(block, out)
                return
            except BaseException as error:
                self.failure = error
        # Dry: whatever channels both sides have.
        out[:] = block[:, :1] if block.shape[1] else 0.0

    def _let_go(self) -> None:
        """Forget who plays through this stream: the two may hold each other.

        Nobody shall stay with them until the garbage collector comes by.
        """
        self._process = lambda block, out: None
        self._on_xruns = lambda flags: None
        self.on_bad_samples = lambda instants: None
