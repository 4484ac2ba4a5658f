"""Samples that are no sound: replaced where a file is read, and told."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep.files.remarks import Remark


class Mended:
    """Replaces the bad samples of a stream, block by block, and remembers the first and how many.

    count: instants at which a channel was bad.
    """

    def __init__(self) -> None:
        self.count = 0
        self._first_sample = 0
        self._first_value = 0.0
        self._before: NDArray[np.float32] | None = None

    def mend(self, block: NDArray[np.float32], first_sample: int) -> None:
        """Replace what is bad in a block.

        block: (samples, channels) float32.  first_sample: the number of its first sample.
        """
        from rtsep.dsp.bad_samples import LIMIT, mend  # here: kernels take their time to load

        if self._before is None:
            self._before = np.zeros(block.shape[1], np.float32)
        with np.errstate(invalid="ignore"):
            good = np.abs(block) <= LIMIT
        if good.all():
            self._before[:] = block[-1]
            return
        if not self.count:
            row, channel = np.argwhere(~good)[0]
            self._first_sample, self._first_value = first_sample + row, block[row, channel]
        self.count += mend(block, self._before)

    def remarks(self, sample_rate: int) -> list[Remark]:
        """What was replaced; nothing if nothing was."""
        if not self.count:
            return []
        what = "1 sample that is" if self.count == 1 else f"{self.count} samples that are"
        first_s = self._first_sample / sample_rate
        text = (
            f"has {what} no sound, the first at {first_s:.3f} s ({self._first_value:g}):"
            " replaced by a line between the neighbours"
        )
        return [Remark(text, True)]
