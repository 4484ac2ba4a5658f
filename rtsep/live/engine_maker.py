"""From SessionSettings to an engine: nets loaded, plan chosen for this machine."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from rtsep.constants import SAMPLE_RATE
from rtsep.live.plans.choice import Choice, Option, choose, parse_latency
from rtsep.live.plans.ladder import Rung, ladder_of, offers_of, versions
from rtsep.live.plans.plan import PLANS
from rtsep.live.session import SessionSettings
from rtsep.nets.kinds import check_window, kind_of, net_names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtsep.live.engine import Engine
    from rtsep.live.live_engine import LiveEngine
    from rtsep.live.plans.plan import StreamPlan
    from rtsep.live.plans.timing import PlanTiming
    from rtsep.live.plans.timing_cache import TimingCache
    from rtsep.nets.kind import Net
    from rtsep.nets.registry import ModelConfig
    from rtsep.weights.download import ByteProgress
    from rtsep_kernels.precision import ChosenPrecision


class EngineMaker:
    """Makes the engine that the settings ask for; all that can be wrong with them is told at once.

    Parameters
    ----------
    settings : SessionSettings
        What is asked for.
    progress : callable, optional
        Gives a context manager, and that the function to call while weights are fetched (see
        rtsep.weights.download), or None.
    say : callable, optional
        Is told in a line what takes time, and of changes of the plan, from any thread.

    Attributes
    ----------
    why : str
        What the plan was chosen for, in words, once it has been.

    Raises
    ------
    UsageError
        For a latency that is none, and for a plan whose windows the model's nets do not take.
    """

    def __init__(
        self,
        settings: SessionSettings,
        *,
        progress: Callable[[], AbstractContextManager[ByteProgress | None]] = nullcontext,
        say: Callable[[str], None] = lambda line: None,
    ):
        self._settings, self._progress, self._say = settings, progress, say
        self._request = parse_latency(settings.latency)
        if self._request.plan is not None:
            for view in self._request.plan.views:
                check_window(settings.config, view.frames)
        self.why = ""
        # Samples per device block at 44.1 kHz, 0 where that is not known.
        self._block = self._settings.block_samples
        self._choice: Choice | None = None
        # By what they are called, kinds.net_name.
        self._nets: dict[str, Net] = {}
        self._timings: dict[str, PlanTiming] = {}
        self._cache: TimingCache | None = None

    def __call__(self, plan: StreamPlan | None = None) -> LiveEngine:
        """Load the nets, time them if need be, and make the engine; it is not started.

        plan: the plan to run, None for the one that is chosen. The nets are loaded and timed once.

        Raises UsageError for a precision that is not to be had, UsageError and RtsepError where no plan
        does what was asked, WeightsError.
        """
        if self._choice is None:
            self._choice = self._choose()
        self.why = self._choice.why
        masking = self._choice.option.masking
        self._nets = self._loaded(masking)
        plan = plan or self._choice.option.plan
        steps = self._steps()
        offers = offers_of(self._settings.config) if self._settings.changeable else {}
        if not steps and not offers:
            return self._engine(plan, masking)
        from rtsep.live.adaptive import AdaptiveEngine

        return AdaptiveEngine(
            lambda other: self._engine(other, masking), plan, self._say,
            ladder=steps, offers=offers, on_judged=partial(self._note_stalls, masking),
        )  # fmt: skip

    def _steps(self) -> tuple[Rung, ...]:
        """The plans that may be gone over to while it plays."""
        settings, request = self._settings, self._request
        ladder = ladder_of(settings.config)
        if settings.adaptive:
            return ladder
        if not settings.adjusting:
            return ()
        if request.plan is not None:
            alike = versions(request.plan) if request.plan.name in PLANS else ()
            return alike if len(alike) > 1 else ()
        bound_ms = math.inf if request.bound_ms is None else request.bound_ms
        return tuple(rung for rung in ladder if rung.plan.latency_ms <= bound_ms)

    def on_device(self, rate: int) -> None:
        """Take it that the blocks are at `rate`, in Hz; to be called before the plan is chosen."""
        self._block = self._settings.block_samples * SAMPLE_RATE // rate

    def _choose(self) -> Choice:
        settings = self._settings
        choices = settings.masking_choices
        count = len(self._names(choices[-1]))
        nets = f"{count} net{'s' if count > 1 else ''}"
        ladder = ladder_of(settings.config)
        return choose(
            self._request, choices, self._load_of, nets, paced=settings.paced, ladder=ladder
        )

    def _names(self, masking: str) -> tuple[str, ...]:
        """What the nets that run are called."""
        return net_names(self._settings.config, self._settings.net_stems(masking))

    def _loaded(self, masking: str) -> dict[str, Net]:
        """The nets needed, and no others, by name."""
        from rtsep.weights.load_nets import load_nets

        stems, names = self._settings.net_stems(masking), self._names(masking)
        if not set(names) <= set(self._nets):
            precision = self.precision.precision
            with self._progress() as progress:
                loaded = load_nets(self._settings.config, progress, stems, precision)
                self._nets = dict(zip(names, loaded, strict=True))
        return {name: self._nets[name] for name in names}

    @cached_property
    def precision(self) -> ChosenPrecision:
        """The nets' precision, and why; found when it is first asked for, with the kernels loaded."""
        from rtsep.nets.precision import find_precision

        settings = self._settings
        return find_precision(settings.precision, paced=settings.paced, config=settings.config)

    def _engine(self, plan: StreamPlan, masking: str) -> Engine:
        from rtsep.dsp.fft_wisdom import remembered_plans
        from rtsep.live.engine import Engine

        settings, nets = self._settings, list(self._loaded(masking).values())
        with remembered_plans():
            return Engine(
                settings.config,
                nets,
                plan,
                settings.mix_gains(masking),
                independent=settings.independent_stems(masking),
                separate_stems=settings.separate_stems,
                on_late=settings.on_late,
                auto_level=settings.auto_level,
                mask_extension=settings.mask_extension,
            )

    # --- what an option costs ---------------------------------------------------------------------

    def _load_of(self, option: Option) -> float:
        from rtsep.live.plans.timing import granted_ms
        from rtsep.live.plans.timing_cache import TimingCache

        settings = self._settings
        plan = _representative(option.plan, settings.config)
        if granted_ms(option.plan, self._block) <= 0:
            return math.inf  # and nothing need be timed
        name = self._timing_name(option)
        if name not in self._timings:
            self._cache = self._cache or TimingCache()
            kept = None if settings.retime else self._cache.get(name)
            self._timings[name] = kept or self._time(plan, option.masking, name, self._cache)
        return self._timings[name].load(option.plan, self._block)

    def _timing_name(self, option: Option) -> str:
        from rtsep.live.plans.timing_cache import timing_name

        plan = _representative(option.plan, self._settings.config)
        count = len(self._names(option.masking))
        return timing_name(_described(self._settings.config), count, plan, self.precision.precision)

    def _note_stalls(
        self, masking: str, plan: StreamPlan, runs_ms: NDArray[np.float64] | None
    ) -> None:
        """Let the next start know of late masks of `plan` in the first seconds; None: of none any more.

        For any thread.
        """
        from rtsep.live.plans.timing import granted_ms

        name = self._timing_name(Option(plan, masking))
        timing = self._timings.get(name)
        if timing is None or self._cache is None:
            return  # the plan was asked for, not chosen
        stall_ms = 0.0
        if runs_ms is not None:
            # The second slowest, as one may happen to anybody; so much that it is not chosen again.
            needed_ms = 1.01 * granted_ms(plan, self._block)
            stall_ms = max([needed_ms, *sorted(runs_ms.tolist())[-2:-1]]) - timing.run_ms
        self._cache.put(name, replace(timing, stall_ms=max(0.0, stall_ms)))

    def _time(self, plan: StreamPlan, masking: str, name: str, cache: TimingCache) -> PlanTiming:
        from rtsep.live.plans.timing import time_engine

        engine = self._engine(plan, masking)
        if not self._timings:
            self._say("timing the nets on this machine, a second or two; later starts remember ...")
        timing = time_engine(engine)
        failed_before = cache.failure is not None
        cache.put(name, timing)
        if cache.failure is not None and not failed_before:
            self._say(f"the timing is measured anew at every start: {cache.failure}")
        return timing


def _described(config: ModelConfig) -> str:
    """A model, by all that its nets' time depends on."""
    return config.name if config.structure is None else f"{config.name}, {config.structure}"


def _representative(plan: StreamPlan, config: ModelConfig) -> StreamPlan:
    """The plan that is timed for `plan`: of those of the ladder whose runs cost as much, one.

    Of nets that keep rows, those that run as often on as much. The costliest is timed: it has the most
    frames behind those heard, so fewer of its rows lie at the window's edge. A run on a whole window
    costs the same however often: the plan of the longest stride is timed, for which the fewest runs do.
    """
    of_the_ladder = [rung.plan for rung in ladder_of(config)]
    if not kind_of(config).keeps_rows:
        alike = [other for other in of_the_ladder if other.views == plan.views]
        return max([plan, *alike], key=lambda p: p.stride)
    alike = [
        other for other in of_the_ladder if (other.views, other.stride) == (plan.views, plan.stride)
    ]
    return max([plan, *alike], key=lambda p: p.look_ahead + p.extrapolated)
