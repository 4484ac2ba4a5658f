"""A network that runs on a sliding window as a whole: each run computes all of it.

For nets of which nothing is kept from run to run, because their layers see the whole window, or because
nobody has written down what could be kept (sliding.py does so for Spleeter's U-Net).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtsep.nets.sliding import SlidingWindow
from rtsep_kernels.jit import kernel
from rtsep_kernels.records import Array

if TYPE_CHECKING:
    from rtsep.nets.kind import State

NET_CHANNELS = 2


@kernel
def gather(
    magnitudes: Array, gains: Array, start: int, extrapolated: int, shift: int, window: Array
) -> None:
    """Fill the window that begins with frame `start`; frames before the stream's first are silent.

    magnitudes, gains: a ring, see WholeWindowState.run.  window: (T, F, 2) float32, whose last
    `extrapolated` frames are made as in forward.NewFrames; its bin f is bin f + `shift` of the
    magnitudes, silence beyond them. Real-time safe.
    """
    frames, bins, channels = window.shape
    real_frames = frames - extrapolated
    for row in range(real_frames):
        frame = start + row
        if frame < 0:
            window[row] = np.float32(0.0)
            continue
        source = frame % magnitudes.shape[0]
        gain = gains[source]
        for f in range(bins):
            inside = 0 <= f + shift < bins
            for c in range(channels):
                seen = magnitudes[source, f + shift, c] if inside else np.float32(0.0)
                window[row, f, c] = gain * seen
    newest = real_frames - 1
    for i in range(extrapolated):
        for f in range(bins):
            for c in range(channels):
                held, image = window[newest, f, c], window[newest - i, f, c]
                window[newest + 1 + i, f, c] = np.float32(0.5) * (held + image)


class WholeWindowState:
    """The buffers of one net that runs on a window that slides. One user at a time.

    Parameters
    ----------
    window : SlidingWindow
        Its rows `first` to `stop` are wanted; all are computed.
    state : State
        Of the net, for windows of T frames.
    """

    def __init__(self, window: SlidingWindow, state: State):
        self.window, self._state = window, state
        # writer and reader: `run`, in one thread
        self._frames = np.zeros((window.frames, window.bins, NET_CHANNELS), np.float32)
        self._frames.fill(0.0)  # memory is there before the sound starts

    def run(
        self,
        net: Any,
        magnitudes: NDArray[np.float32],
        gains: NDArray[np.float32],
        start: int,
        masks: NDArray[np.float32],
    ) -> int:
        """Compute the masks of the window that begins with frame `start`.

        Releases the GIL; allocates nothing that grows.

        Parameters
        ----------
        net
            Of the kind that the state is for.
        magnitudes : (ring rows, F, 2) float32
            A ring, frame t in row t modulo its length.
        gains : (ring rows,) float32
            One for each row of the ring.
        start : int
            May be negative.
        masks : (T, 2, F) float32, or (stems, T, 2, F)
            Written, all of them.

        Returns
        -------
        int
            The first frame that was read.
        """
        window = self.window
        gather(magnitudes, gains, start, window.extrapolated, window.shift, self._frames)
        self._state.run(net, self._frames, masks)
        return start

    def reset(self) -> None:
        """Nothing is kept, so there is nothing to forget."""

    @property
    def phases(self) -> int:
        """Every run is like the first."""
        return 1

    @property
    def nbytes(self) -> int:
        """Memory held by the buffers, in bytes."""
        return self._state.nbytes + self._frames.nbytes
