"""The live engine: the signal path of one stream, the workers that run its nets, and their life.

The path itself is drawn, and written down, in signal_path.py; what is counted on it, in stats.py.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.masking import mask_extension as find_mask_extension
from rtsep.errors import RtsepError, UsageError
from rtsep.live import INDEPENDENT, ON_LATE, RATIO
from rtsep.live.exchange import Bell, FrameHistory
from rtsep.live.mask_source import MaskSource
from rtsep.live.meters import Levels
from rtsep.live.mixer import Mixable, MixSettings
from rtsep.live.plans.ladder import Rung
from rtsep.live.plans.plan import StreamPlan
from rtsep.live.signal_path import SignalPath
from rtsep.live.stats import Counters, Durations
from rtsep.live.stream_figures import StreamFigures
from rtsep.live.worker import Worker
from rtsep.nets.kind import Net
from rtsep.nets.kinds import check_window, nets_of
from rtsep.nets.registry import ModelConfig


class Engine(Mixable, StreamFigures):
    """One stereo stream at 44.1 kHz through the nets of one model; a live_engine.LiveEngine.

    Parameters
    ----------
    config : ModelConfig
        The model.
    nets : sequence of Net
        Those that compute the stems of the model, or of `independent`, in that order (kinds.nets_of).
    plan : StreamPlan
        See plans/plan.py.
    gains : mapping of str to float
        Linear gain in the mix of each of `stems`; those left out are silent.
    independent : sequence of str, optional
        Stems whose nets run without the others, each with the mask of its own net. All that they leave
        is one more output, which comes last in `stems`. None: all nets, and the ratio mask.
    separate_stems : bool
        Give out each of `stems` after the mix, on a pair of channels of its own.
    on_late : str
        What is heard when masks are late: ``hold`` keeps the last ones, ``dry`` and ``mute`` do so for
        mask_source.HOLD_HOPS hops and then pass the input or silence.
    auto_level : bool
        Show the nets a steady level (see dsp/auto_level.py).
    mask_extension : str
        How the masks go on above the nets' bins, see dsp/masking.py.

    Attributes
    ----------
    stems : tuple of str
        What is given out, see ModelConfig.outputs.

    Raises
    ------
    UsageError
        For an unknown stem, policy or extension, where nets cannot run without each other, and for a
        plan whose windows the nets do not take.
    """

    def __init__(
        self,
        config: ModelConfig,
        nets: Sequence[Net],
        plan: StreamPlan,
        gains: Mapping[str, float],
        *,
        independent: Sequence[str] | None = None,
        separate_stems: bool = False,
        on_late: str = "hold",
        auto_level: bool = True,
        mask_extension: str = "top",
    ):
        if on_late not in ON_LATE:
            raise UsageError(f"on-late must be one of {', '.join(ON_LATE)}: got {on_late!r}")
        for view in plan.views:
            check_window(config, view.frames)
        self.config, self.plan = config, plan
        self.offers: Mapping[str, Sequence[Rung]] = MappingProxyType({})
        self.stems = config.outputs(independent)
        self.masking = RATIO if independent is None else INDEPENDENT
        for stem in gains:
            if stem not in self.stems:
                raise UsageError(
                    f"{config.name} gives out no stem {stem!r}: choose from {', '.join(self.stems)}"
                )
        self.counters, self.callback_durations = Counters(), Durations()
        self._meters = Levels(self.stems, plan.windows)
        self._bell = Bell()
        self.history = FrameHistory(plan, config.bins)
        counted = tuple(independent or config.stems)
        self.workers = [
            Worker(stems, net, plan, self.history, self._bell.ring)
            for stems, net in zip(nets_of(config, counted), nets, strict=True)
        ]
        self._source = MaskSource(
            config, self.workers, counted, self.history, self.counters, self._bell,
            masking=self.masking, on_late=on_late, extension=find_mask_extension(mask_extension),
        )  # fmt: skip
        self._path = SignalPath(
            plan, self.history, self.workers, self._source,
            MixSettings.of(self.stems, gains), self.counters, self._meters,
            separate_stems=separate_stems, auto_level=auto_level,
        )  # fmt: skip
        self.output_channels = self._path.output_channels
        self._warm = False

    def ask_for(self, name: str) -> None:
        """As AdaptiveEngine.ask_for: raises UsageError, since the plan is fixed."""
        raise UsageError(f"the plan is {self.plan.name} and cannot be changed: got {name!r}")

    # --- life -----------------------------------------------------------------------------------

    def warm_up(self) -> None:
        """Compile and touch everything: nothing may be done for the first time later on."""
        # Each has buffers of its own, and runs without Python's lock.
        with ThreadPoolExecutor(len(self.workers)) as pool:
            list(pool.map(Worker.warm_up, self.workers))
        self._path.warm_up()
        self._warm = True

    def start(self) -> None:
        """Begin to work, warmed up."""
        if not self._warm:
            self.warm_up()
        for worker in self.workers:
            worker.start()

    def stop(self, *, wait: bool = True) -> None:
        """End the workers; wait: until they have ended. Again: nothing."""
        for worker in self.workers:
            worker.stop(wait=wait)

    # --- the audio thread -----------------------------------------------------------------------

    def process(
        self, block: NDArray[np.float32], out: NDArray[np.float32], wait_until_s: float = 0.0
    ) -> None:
        """Take a block and give as many samples, `plan.latency_samples` later.

        block: (samples, 2) float32; out: (samples, output_channels) float32, written. Any number of
        samples. Real-time safe. wait_until_s: until when, by perf_counter, masks may be waited for as
        the block is asked for ahead of time; 0 where it is not. Whoever calls it notes in
        `callback_durations` how long the whole callback took.
        """
        self._path.process(block, out, wait_until_s)

    # --- other threads --------------------------------------------------------------------------

    @property
    def mix(self) -> MixSettings:
        """Gains and bypass; engines of one stream share them."""
        return self._path.mix

    @mix.setter
    def mix(self, mix: MixSettings) -> None:
        self._path.mix = mix

    @property
    def samples_to_hop(self) -> int:
        """Samples until the hop that is being collected is complete."""
        return self._path.samples_to_hop

    def continue_level(self, other: Engine) -> None:
        """Show the nets the level that `other` has come to, of the same stream."""
        self._path.continue_level(other._path)

    def wait_for_workers(self, timeout_s: float = 60.0) -> None:
        """Wait until every run submitted so far is finished.

        For files, which nobody paces: called between blocks, never by an audio callback. No mask is
        late where no block reaches beyond `samples_to_hop`. Raises RtsepError if a worker has
        failed or does not finish.
        """
        submitted = (self.history.newest + 1) // self.plan.stride - 1
        until_s = time.perf_counter() + timeout_s
        in_time = submitted < 0 or self._bell.wait_for(
            lambda: self._source.are_there(submitted), until_s
        )
        self.check()
        if not in_time:
            raise RtsepError(f"the nets did not finish a window within {timeout_s:g} s")

    def check(self) -> None:
        """Raise RtsepError naming stem and cause if a worker has failed."""
        for worker in self.workers:
            failure = worker.failure
            if failure is not None:
                cause = str(failure) if isinstance(failure, RtsepError) else repr(failure)
                raise RtsepError(f"the worker of {worker.stem} failed: {cause}")

    def levels_dbfs(self) -> dict[str, float]:
        """Level of each stem before its gain, and of the ``mix`` as heard; see live/meters.py."""
        return self._meters.dbfs()
