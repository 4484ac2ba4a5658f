"""The contender rtsep: packed weights per net, one state per thread."""

from __future__ import annotations

from pathlib import Path
from queue import SimpleQueue

import numpy as np

from rtsep.nets.unet import UNet, UNetState
from rtsep_bench.contenders import HALF_TOLERANCE, Contender
from rtsep_bench.net_case import read_arrays
from rtsep_kernels.precision import AUTO, choose_precision


class RtsepContender(Contender):
    """rtsep's own U-Net in float32, as it separates files."""

    asked = "f32"

    def __init__(self, folder: Path):
        super().__init__(folder)
        case, precision = self.case, choose_precision(self.asked).precision
        self.precision = precision
        self._nets = [UNet(case.config, read_arrays(folder, stem), precision) for stem in case.nets]
        # A thread takes a state, runs a net in it, and gives it back, as rtsep.offline.segments does.
        self._states: SimpleQueue[UNetState] = SimpleQueue()
        for _ in range(case.threads):
            self._states.put(UNetState(case.frames, case.bins, precision))
        self._masks = [np.zeros((case.frames, 2, case.bins), np.float32) for _ in case.nets]

    def run_net(self, net: int) -> None:
        """See Contender."""
        state = self._states.get()
        try:
            state.run(self._nets[net], self.magnitudes, self._masks[net])
        finally:
            self._states.put(state)

    def masks(self, net: int) -> np.ndarray:
        """See Contender."""
        return self._masks[net]


class RtsepAutoContender(RtsepContender):
    """The same in the precision that this processor is fastest in, as it runs live."""

    asked, tolerance = AUTO, HALF_TOLERANCE
