"""A network that is shown the same frames in several ways, and the mean of what it says.

A net's mask is not quite the mask of the sound: it also depends on where the sound's partials fall on
the grid of its strides, and on how much of the past stands in the window. Shown the spectrum moved by a
bin, or a longer window, it errs in another way, and the mean errs less (docs/experiments.md has the
figures). A view is one such way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.nets.kind import LiveState, Net
from rtsep.nets.kinds import kind_of
from rtsep.nets.registry import ModelConfig
from rtsep.nets.sliding import SlidingWindow
from rtsep.nets.view import View
from rtsep_kernels.jit import kernel
from rtsep_kernels.precision import Precision
from rtsep_kernels.records import Array


class _Shown(NamedTuple):
    """A view at work. written: what the net writes; wanted: the rows (stems, stride, 2, F) of it."""

    window: SlidingWindow
    state: LiveState
    written: NDArray[np.float32]
    wanted: NDArray[np.float32]


class SlidingViews:
    """The buffers of one net that is shown all of some views. One user at a time.

    Parameters
    ----------
    config : ModelConfig
        Of the nets that are going to run.
    views : sequence of View
    stride, extrapolated, precision
        As for sliding.SlidingWindow and SlidingState.
    look_ahead : int
        Frames that came in after the newest one whose masks are wanted.
    """

    def __init__(
        self,
        config: ModelConfig,
        views: Sequence[View],
        stride: int,
        look_ahead: int,
        extrapolated: int,
        precision: Precision = "f32",
    ):
        self.views = tuple(views)
        kind, bins = kind_of(config), config.bins
        stems = len(config.net_stems) if kind.together else 1
        self._shown: list[_Shown] = []
        for frames, shift in views:
            stop = frames - extrapolated - look_ahead
            window = SlidingWindow(frames, bins, stride, stop - stride, stop, extrapolated, shift)
            # writer: the net; reader: `_add_masks`, both in `run`
            masks = np.zeros((stems, frames, 2, bins), np.float32)
            self._shown.append(
                _Shown(
                    window,
                    kind.live_state(config, window, precision),
                    # A net that computes a single stem knows no axis of stems.
                    masks if kind.together else masks[0],
                    masks[:, window.first : window.stop],
                )
            )

    def run(
        self,
        net: Net,
        magnitudes: NDArray[np.float32],
        gains: NDArray[np.float32],
        stop: int,
        masks: NDArray[np.float32],
        between: Callable[[], object] = lambda: None,
    ) -> int:
        """Compute the wanted masks of the windows whose newest frame is `stop` - 1.

        Releases the GIL; allocates nothing that grows.

        Parameters
        ----------
        net, magnitudes, gains
            As for SlidingState.run.
        stop : int
            Grows from run to run.
        masks : (stems, stride, 2, F) float32
            Overwritten: the mean over the views. Where the models' stems share a softmax these are
            logits.
        between : callable
            Called between two views.

        Returns
        -------
        int
            The first frame that was read. If the ring was overwritten meanwhile: `reset`.
        """
        masks[:] = 0.0
        weight = np.float32(1 / len(self.views))
        first_read = stop
        for number, (window, state, written, wanted) in enumerate(self._shown):
            if number:
                between()
            start = stop - window.real_frames
            first_read = min(first_read, state.run(net, magnitudes, gains, start, written))
            for stem in range(len(masks)):
                _add_masks(wanted[stem], window.shift, weight, masks[stem])
        return first_read

    def reset(self) -> None:
        """Forget everything, as SlidingState.reset."""
        for shown in self._shown:
            shown.state.reset()

    @property
    def phases(self) -> int:
        """Runs until only what a slide needs is computed in every view."""
        return max(shown.state.phases for shown in self._shown)

    @property
    def nbytes(self) -> int:
        """Memory held by the buffers, in bytes."""
        return sum(shown.state.nbytes + shown.written.nbytes for shown in self._shown)


@kernel
def _add_masks(masks: Array, shift: int, weight: np.float32, out: Array) -> None:
    """Add `weight` times the masks of a view to `out`, each to the bin that it was computed for.

    A bin that the view does not show gets the mask of the nearest one that it does.

    masks, out: (rows, channels, bins) float32.
    """
    rows, channels, bins = out.shape
    for row in range(rows):
        for c in range(channels):
            for f in range(bins):
                seen = min(max(f - shift, 0), bins - 1)
                out[row, c, f] += weight * masks[row, c, seen]
