"""What everything around the engine needs of it: `Engine` and `AdaptiveEngine` both are one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rtsep.live.plans.ladder import Rung
from rtsep.live.plans.plan import StreamPlan
from rtsep.live.stats import Counters, Durations
from rtsep.live.worker import Worker
from rtsep.nets.registry import ModelConfig
from rtsep_kernels.precision import Precision


class LiveEngine(Protocol):
    """One stereo stream at 44.1 kHz through the nets of one model; see engine.Engine.

    Engine is one, and AdaptiveEngine, a row of them. `process` belongs to one thread, the audio thread;
    `gains` and `bypass` are written by whoever controls the mix. `warm_up`, `start`, `stop` and
    `wait_for_workers` are for any other thread, one at a time, all else for any.
    """

    # Pass the input in place of the mix. writer: whoever controls the mix; reader: audio thread
    bypass: bool

    @property
    def gains(self) -> NDArray[np.float32]:
        """(stems,) float32, linear, written in place; writer and reader as of `bypass`."""
        ...

    @property
    def config(self) -> ModelConfig:
        """The model."""
        ...

    @property
    def plan(self) -> StreamPlan:
        """The plan; that of now where it may change."""
        ...

    @property
    def offers(self) -> Mapping[str, Sequence[Rung]]:
        """What `ask_for` takes, and the plans that each name stands for; none if it is fixed."""
        ...

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of what is given out."""
        ...

    @property
    def masking(self) -> str:
        """``ratio`` or ``independent``, see session.MASKING."""
        ...

    @property
    def precision(self) -> Precision:
        """That of the nets."""
        ...

    @property
    def output_channels(self) -> int:
        """Channels of `process`'s output: two of the mix, and two per stem where these are given out."""
        ...

    @property
    def workers(self) -> Sequence[Worker]:
        """One per net that runs."""
        ...

    @property
    def counters(self) -> Counters:
        """Of the whole stream."""
        ...

    @property
    def callback_durations(self) -> Durations:
        """How long each callback took, as noted by whoever makes the callbacks."""
        ...

    @property
    def samples_to_hop(self) -> int:
        """Samples until the hop that is being collected is complete."""
        ...

    @property
    def played_s(self) -> float:
        """Seconds of audio that have passed, in whole hops."""
        ...

    @property
    def block_ms(self) -> float:
        """Mean time between two callbacks, in milliseconds; 0 before the first."""
        ...

    def warm_up(self) -> None:
        """Compile and touch everything: nothing may be done for the first time later on."""
        ...

    def start(self) -> None:
        """Begin to work, warmed up."""
        ...

    def stop(self, *, wait: bool = True) -> None:
        """End all threads; wait: until they have ended."""
        ...

    def ask_for(self, name: str) -> None:
        """Go over to one of `offers` soon; raises UsageError where there is none of that name."""
        ...

    def process(
        self, block: NDArray[np.float32], out: NDArray[np.float32], wait_until_s: float = 0.0
    ) -> None:
        """Take a block and give as many samples; see Engine.process."""
        ...

    def wait_for_workers(self, timeout_s: float = 60.0) -> None:
        """Wait until every run submitted so far is finished; see Engine.wait_for_workers."""
        ...

    def check(self) -> None:
        """Raise RtsepError where a thread of the engine has failed."""
        ...

    def levels_dbfs(self) -> dict[str, float]:
        """Level of each stem before its gain, and of the ``mix`` as heard, in dBFS."""
        ...

    def stats(self) -> dict[str, Any]:
        """What the stream has counted so far, as `rtsep-monitor --stats` writes it."""
        ...


def process_timed(engine: LiveEngine, block: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """`engine.process` as a callback: how long it took is noted."""
    begun = time.perf_counter()
    engine.process(block, out)
    engine.callback_durations.add(time.perf_counter() - begun)


def process_unpaced(
    engine: LiveEngine, block: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """As `process_timed`, but wait for the workers before every hop, so that no mask is late.

    The waiting is not counted. For sound that nobody paces, such as a file's. Raises RtsepError where a
    worker has failed.
    """
    done = 0
    while done < len(block):
        engine.wait_for_workers()
        piece = slice(done, done + engine.samples_to_hop)
        process_timed(engine, block[piece], out[piece])
        done = piece.stop
