"""The engine driven from an array or file in place of a device: as fast as it goes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from rtsep.realtime.engine import Engine


def run_unpaced(
    engine: Engine, blocks: Iterable[NDArray[np.float32]]
) -> Iterator[NDArray[np.float32]]:
    """Push stereo blocks of any length through a started engine; yield as many samples each.

    blocks: (samples, 2) float32. Yields (samples, engine.output_channels) float32, delayed by
    engine.plan.latency_samples. The workers are waited for, so no mask is ever late.
    """
    for block in blocks:
        out = np.zeros((len(block), engine.output_channels), np.float32)
        # At most one hop is completed between two waits.
        for at in range(0, len(block), engine.plan.hop):
            engine.wait_for_workers()
            part = slice(at, at + engine.plan.hop)
            engine.process(block[part], out[part])
        yield out
