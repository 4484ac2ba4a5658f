"""The contender rtsep: packed weights per net, one state per thread."""

from __future__ import annotations

from pathlib import Path
from queue import SimpleQueue

import numpy as np

from rtsep.nets.unet import UNet, UNetState
from rtsep_bench.contenders import Contender
from rtsep_bench.net_case import read_arrays


class RtsepContender(Contender):
    """rtsep's own U-Net."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        case = self.case
        self._nets = [UNet(case.config, read_arrays(folder, stem)) for stem in case.nets]
        # A thread takes a state, runs a net in it, and gives it back, as rtsep.offline.segments does.
        self._states: SimpleQueue[UNetState] = SimpleQueue()
        for _ in range(case.threads):
            self._states.put(UNetState(case.frames, case.bins))
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
