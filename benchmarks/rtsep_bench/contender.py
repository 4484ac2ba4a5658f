"""What every contender of the peers' comparison does, whatever it computes its nets with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsep_bench.net_case import read_case, read_magnitudes


class Contender(ABC):
    """The nets of one case, loaded and ready to run. Subclasses load them in `__init__`.

    folder: as written by net_case.write_case.

    Each net runs on one thread; nets at the same time run on threads of Python, each inside the
    runtime's own call, as four stems would in a program.
    """

    def __init__(self, folder: Path):
        self.case = read_case(folder)
        self.magnitudes = read_magnitudes(folder)
        self._pool = None
        if self.case.threads > 1:
            self._pool = ThreadPoolExecutor(self.case.threads, initializer=self.prepare_thread)
        self.prepare_thread()

    def run(self) -> None:
        """Compute every net of the case once: what is timed."""
        nets = range(len(self.case.nets))
        if self._pool is None:
            for net in nets:
                self.run_net(net)
        else:
            # list: an exception of a thread is to be raised here.
            list(self._pool.map(self.run_net, nets))

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def prepare_thread(self) -> None:  # noqa: B027 - most have nothing to prepare
        """Called once on each thread that runs nets."""

    @abstractmethod
    def run_net(self, net: int) -> None:
        """Compute one net on this thread, on `self.magnitudes` in the runtime's own layout."""

    @abstractmethod
    def masks(self, net: int) -> NDArray[np.float32]:
        """What `run` computed for one net: (frames, 2, bins)."""


def from_nchw(masks: np.ndarray) -> NDArray[np.float32]:
    """(1, 2, frames, bins) to (frames, 2, bins)."""
    return np.asarray(masks)[0].transpose(1, 0, 2)


def to_nchw(magnitudes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(frames, bins, 2) to (1, 2, frames, bins), contiguous."""
    return np.ascontiguousarray(magnitudes.transpose(2, 0, 1)[np.newaxis])
