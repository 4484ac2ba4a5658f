"""Which rows (frames) of every layer feed the mask rows that will be heard.

A run of a live stream needs the masks of a few frames only. Walking back through the net from those
rows gives the rows of each layer that have any influence on them; computing no others leaves the
result as it is, bit for bit, because every row is computed the same way whatever the range.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep.nets.buffers import LEVELS
from rtsep_kernels.thin import MASK_DILATION, MASK_PADDING, MASK_TAPS

Range = tuple[int, int]


def _clip(rows: Range, count: int) -> Range:
    return max(0, rows[0]), min(count, rows[1])


def _hull(a: Range, b: Range) -> Range:
    return min(a[0], b[0]), max(a[1], b[1])


def _upconv_input(rows: Range) -> Range:
    """Input rows of an upconvolution: row o sees o / 2 - 1 and o / 2, an odd one o / 2 + 1 too."""
    first, last = rows[0], rows[1] - 1
    return (first >> 1) - 1, (last >> 1) + (last & 1) + 1


def _conv_input(rows: Range) -> Range:
    """Input rows of a convolution: row r sees 2 r - 1 to 2 r + 3."""
    return 2 * rows[0] - 1, 2 * rows[1] + 2


def rows_for(frames: int, first: int, stop: int) -> NDArray[np.int64]:
    """Rows of every layer's output that mask rows `first` to `stop` - 1 depend on.

    Parameters
    ----------
    frames : int
        T.
    first, stop : int

    Returns
    -------
    (13, 2) int64
        [layer][first, stop), in the order of unet.LAYERS.
    """
    reach = MASK_DILATION * (MASK_TAPS - 1) - MASK_PADDING
    # Decoder: up[n] are the rows of level n that the layers above level n need.
    up = [_clip((first - MASK_PADDING, stop + reach), frames)]
    for level in range(1, LEVELS + 1):
        up.append(_clip(_upconv_input(up[-1]), frames >> level))
    # Encoder: the skip's rows, and what the next convolution sees.
    conv = [(0, 0)] * (LEVELS + 1)
    conv[LEVELS] = up[LEVELS]
    for level in range(LEVELS - 1, 0, -1):
        seen = _clip(_conv_input(conv[level + 1]), frames >> level)
        conv[level] = _hull(up[level], seen)
    ups = [up[level] for level in range(LEVELS - 1, -1, -1)]
    return np.array([*conv[1:], *ups, (first, stop)], np.int64)


def clean_stops(frames: int) -> list[int]:
    """First row of each level, 0 to 5, that has seen what stands behind the newest frame.

    The rows before it, but for row 0, which has seen the zeros before the window, are what they would
    be in a window without end.

    Parameters
    ----------
    frames : int
        Those that have come in.
    """
    stops = [frames]
    for _ in range(1, LEVELS):
        # Row r sees 2 r + 3 at most, which must lie before the stop of the level below.
        stops.append(max(0, (stops[-1] - 2) // 2))
    return stops
