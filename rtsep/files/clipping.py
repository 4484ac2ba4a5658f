"""What does not fit into the integer samples of an output: counted, for every kind of writer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class ClippingCounter:
    """A base of writers that limit samples to full scale.

    clipped_samples: samples that were beyond full scale. peak: the greatest absolute value so far; full
    scale is 1.
    """

    clipped_samples = 0
    peak = 0.0

    def _count_clipping(self, block: NDArray[np.float32]) -> None:
        """Count in a block, (samples, channels) float32."""
        if block.size:
            magnitudes = np.abs(block)
            self.peak = max(self.peak, float(magnitudes.max()))
            self.clipped_samples += int(np.count_nonzero(magnitudes > 1.0))
