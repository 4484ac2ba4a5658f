"""The contender rtsep: packed weights per net, one state per thread."""

from __future__ import annotations

from pathlib import Path
from queue import SimpleQueue

import numpy as np

from rtsep.nets.kind import State
from rtsep.nets.kinds import kind_of
from rtsep.nets.precision import find_precision
from rtsep_bench.contenders import HALF_TOLERANCE, Contender
from rtsep_bench.net_case import weights_file
from rtsep_kernels.precision import AUTO


class RtsepContender(Contender):
    """rtsep's own net in float32, as it separates files."""

    asked = "f32"

    def __init__(self, folder: Path):
        super().__init__(folder)
        case, config = self.case, self.case.config
        self.precision = find_precision(self.asked, paced=True, config=config).precision
        kind = kind_of(config)
        self._nets = []
        for name in case.nets:
            # One array at a time, as the programs read them from mapped files.
            with np.load(weights_file(folder, name)) as arrays:
                self._nets.append(kind.net(config, arrays, self.precision))
        # A thread takes a state, runs a net in it, and gives it back, as rtsep.offline.segments does.
        self._states: SimpleQueue[State] = SimpleQueue()
        for _ in range(case.threads):
            self._states.put(kind.state(config, case.frames, self.precision))
        stems = (len(config.net_stems),) if kind.together else ()
        shape = *stems, case.frames, 2, case.bins
        self._masks = [np.zeros(shape, np.float32) for _ in case.nets]

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
