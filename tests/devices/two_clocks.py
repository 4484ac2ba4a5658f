"""Two simulated audio devices, each on its own clock with threads that are late, and a ClockBridge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtsep.devices.clock_bridge import ClockBridge

# The output's first block, by true time.
OUTPUT_BEGINS_S = 0.0123
# Threads are late by so much in the mean, and at most.
LATE_S, LATEST_S = 0.0006, 0.0019


@dataclass(frozen=True)
class Device:
    """rate: nominal samples per second. ppm: its error. burst: blocks that come at once."""

    rate: int
    block: int
    ppm: float = 0.0
    burst: int = 1

    @property
    def true_rate(self) -> float:
        return self.rate * (1 + 1e-6 * self.ppm)

    @property
    def most_s(self) -> float:
        return self.block * self.burst / self.rate


@dataclass
class Run:
    """What was heard, (samples, channels) by the output's clock, and the bridge that it came by."""

    bridge: ClockBridge
    heard: np.ndarray
    drift_ppm: np.ndarray


def run(source: Device, target: Device, sound, seconds, *, channels=2, seed=0, pauses=()) -> Run:
    """Play `sound(seconds)`, a function of the input's nominal time, from one device to the other.

    pauses: (device, begin, end): in this time, in seconds, the device's blocks do not happen at all.
    """
    rng = np.random.default_rng(seed)
    bridge = ClockBridge(source.rate, target.rate, channels, source.most_s, target.most_s)
    writes = _times(source, seconds, rng, at_end=True)
    reads = OUTPUT_BEGINS_S + _times(target, seconds - OUTPUT_BEGINS_S, rng, at_end=False)
    heard = np.zeros((len(reads) * target.block, channels), np.float32)
    drift_ppm = np.zeros(len(reads))
    written = 0
    for turn, read_s in enumerate(reads):
        while written < len(writes) and writes[written] <= read_s:
            if not _paused(source, writes[written], pauses):
                first = written * source.block
                samples = np.arange(first, first + source.block) / source.rate
                bridge.write(sound(samples).astype(np.float32), writes[written])
            written += 1
        if not _paused(target, read_s, pauses):
            bridge.read(heard[turn * target.block : (turn + 1) * target.block], read_s)
        drift_ppm[turn] = bridge.drift_ppm
    return Run(bridge, heard, drift_ppm)


def _times(device: Device, seconds: float, rng, *, at_end: bool) -> np.ndarray:
    """When each block is handed over: with its burst, and a little late."""
    blocks = np.arange(int(seconds * device.true_rate / device.block))
    burst = blocks // device.burst + (1 if at_end else 0)
    late_s = np.minimum(rng.exponential(LATE_S, len(blocks)), LATEST_S)
    times_s = burst * device.burst * device.block / device.true_rate + late_s
    return np.maximum.accumulate(times_s)


def _paused(device: Device, now_s: float, pauses) -> bool:
    return any(device is paused and begin <= now_s < end for paused, begin, end in pauses)
