"""What follows from the counters of a live engine: times, and the statistics that programs write."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rtsep.constants import SAMPLE_RATE
from rtsep.live import RATIO
from rtsep.live.live_engine import LiveEngine
from rtsep.live.plans.notation import spell
from rtsep_kernels.precision import Precision


class StreamFigures:
    """What follows from an engine's counters. A base of every LiveEngine."""

    @property
    def played_s(self: LiveEngine) -> float:
        """Seconds of audio that have passed, in whole hops."""
        return self.counters.hops * self.plan.hop / SAMPLE_RATE

    @property
    def block_ms(self: LiveEngine) -> float:
        """Mean time between two callbacks, in milliseconds; 0 before the first."""
        callbacks = self.callback_durations.count
        return 1000 * self.played_s / callbacks if callbacks else 0.0

    @property
    def precision(self: LiveEngine) -> Precision:
        """That of the nets, which is the same for all."""
        return self.workers[0].net.precision

    def stats(self: LiveEngine) -> dict[str, Any]:
        """What the stream has counted so far, as `rtsep-monitor --stats` writes it; from any thread."""
        return {
            "stems": list(self.stems),
            "ratio": self.masking == RATIO,
            "precision": self.precision,
            "latency_samples": self.plan.latency_samples,
            "hops": self.counters.hops,
            "late_masks": self.counters.late_masks,
            "waited_s": self.counters.waited_s,
            "bad_samples": self.counters.bad_samples,
            "nonfinite_blocks": self.counters.nonfinite_blocks,
            "xruns": dict(self.counters.xruns),
            "xrun_times_s": self.counters.xrun_times_s.newest(),
            "late_mask_times_s": self.counters.late_mask_times_s.newest(),
            "callback_ms": self.callback_durations.summary(),
            "callback_own_ms": self.callback_durations.own_summary(),
            "block_ms": self.block_ms,
            "worker_ms": {worker.stem: worker.durations.summary() for worker in self.workers},
            "deadline_ms": self.plan.deadline_ms,
            "plan": asdict(self.plan) | {"spelling": spell(self.plan)},
        }
