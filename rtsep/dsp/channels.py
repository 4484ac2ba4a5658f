"""Mono and stereo: the nets hear two channels, a mono stream keeps its one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep.errors import UsageError

NET_CHANNELS = 2


def check_channels(channels: int) -> int:
    """Return `channels`.

    Raises
    ------
    UsageError
        Unless it is 1 or 2.
    """
    whole = isinstance(channels, (int, np.integer)) and not isinstance(channels, bool)
    if not whole or channels not in (1, NET_CHANNELS):
        raise UsageError(f"audio must have 1 or 2 channels: got {channels!r}; mix it down first")
    return int(channels)


def to_stereo(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """(samples, 1 or 2) -> (samples, 2) float32; a mono block is heard on both sides."""
    return block if block.shape[1] == NET_CHANNELS else np.repeat(block, NET_CHANNELS, axis=1)


def from_stereo(block: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """(samples, 2) -> (samples, channels) float32; the mean of both sides for mono."""
    return block if channels == NET_CHANNELS else block.mean(axis=1, keepdims=True)
