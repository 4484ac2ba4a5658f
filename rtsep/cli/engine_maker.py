"""From the options of `rtsep-monitor` to an engine: nets loaded, plan chosen for this machine."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from rtsep.cli.monitor_arguments import PROGRAM, mix_gains, ratio_choices, stems_alone
from rtsep.errors import UsageError
from rtsep.live.plans.choice import Choice, Option, choose, parse_latency
from rtsep.live.plans.ladder import LADDER
from rtsep.nets.registry import ModelConfig

if TYPE_CHECKING:
    from rtsep.live.adaptive import AdaptiveEngine
    from rtsep.live.engine import Engine
    from rtsep.live.plans.plan import StreamPlan
    from rtsep.live.plans.timing import Timing
    from rtsep.live.plans.timing_cache import TimingCache
    from rtsep.nets.unet import UNet


class EngineMaker:
    """Makes the engine that the options ask for; all that can be wrong with them is told at once.

    gains: of --gain. stems: what is given out where every stem is asked for. why: what the plan was
        chosen for, in words, once the engine is made.

    Raises UsageError.
    """

    def __init__(self, args: argparse.Namespace, config: ModelConfig, gains: dict[str, float]):
        self._args, self._config, self._gains = args, config, gains
        self._request = parse_latency(args.latency)
        self._ratios = ratio_choices(args, config, gains)
        self._paced = args.input_file is None or args.realtime
        if args.adaptive and not self._paced:
            raise UsageError(
                "--adaptive needs a device, or a file played with --realtime: where nobody waits, "
                "nothing is late"
            )
        self.stems = config.outputs(self._alone(self._ratios[-1]))
        self.why = ""
        self._nets: dict[str, UNet] = {}
        self._timings: dict[str, Timing] = {}
        self._cache: TimingCache | None = None

    def __call__(self) -> Engine | AdaptiveEngine:
        """Load the nets, time them if need be, and make the engine; it is not started.

        Raises UsageError and RtsepError where no plan does what was asked, WeightsError.
        """
        choice = self._choose()
        self.why = choice.why
        plan, ratio = choice.option.plan, choice.option.ratio
        self._nets = self._loaded(ratio)
        if not self._args.adaptive:
            return self._engine(plan, ratio)
        from rtsep.live.adaptive import AdaptiveEngine

        return AdaptiveEngine(lambda longer: self._engine(longer, ratio), plan, self._say)

    def _choose(self) -> Choice:
        count = len(self._stems_of(self._ratios[-1]))
        nets = f"{count} net{'s' if count > 1 else ''}"
        return choose(self._request, self._ratios, self._load_of, nets, hurried=self._paced)

    def _alone(self, ratio: bool) -> tuple[str, ...] | None:
        return None if ratio else stems_alone(self._args, self._config, self._gains)

    def _stems_of(self, ratio: bool) -> tuple[str, ...]:
        """The stems whose nets run."""
        return self._alone(ratio) or self._config.stems

    def _loaded(self, ratio: bool) -> dict[str, UNet]:
        """The nets needed, and no others, by stem."""
        from rtsep.cli.terminal.download_progress import download_progress
        from rtsep.weights.load_nets import load_nets

        stems = self._stems_of(ratio)
        if not set(stems) <= set(self._nets):
            with download_progress() as progress:
                self._nets = dict(zip(stems, load_nets(self._config, progress, stems)))
        return {stem: self._nets[stem] for stem in stems}

    def _engine(self, plan: StreamPlan, ratio: bool) -> Engine:
        from rtsep.live.engine import Engine

        args, alone, nets = self._args, self._alone(ratio), self._loaded(ratio)
        return Engine(
            self._config,
            list(nets.values()),
            plan,
            mix_gains(args, self._config.outputs(alone), self._gains),
            alone=alone,
            separate_stems=bool(args.record or args.all_stems),
            on_late=args.on_late,
            auto_level=not args.no_auto_level,
            mask_extension=args.mask_extension,
        )

    # --- what an option costs ---------------------------------------------------------------------

    def _load_of(self, option: Option) -> float:
        from rtsep.live.plans.timing_cache import TimingCache, timing_name

        plan = _representative(option.plan)
        name = timing_name(self._config.name, len(self._stems_of(option.ratio)), plan)
        if name not in self._timings:
            self._cache = self._cache or TimingCache()
            kept = None if self._args.retime else self._cache.get(name)
            self._timings[name] = kept or self._time(plan, option.ratio, name, self._cache)
        return self._timings[name].load(option.plan, self._args.blocksize)

    def _time(self, plan: StreamPlan, ratio: bool, name: str, cache: TimingCache) -> Timing:
        from rtsep.live.plans.timing import time_engine

        engine = self._engine(plan, ratio)
        if not self._timings:
            self._say("timing the nets on this machine, a second or two; later starts remember ...")
        timing = time_engine(engine)
        failed_before = cache.failure is not None
        cache.put(name, timing)
        if cache.failure is not None and not failed_before:
            self._say(f"the timing is measured anew at every start: {cache.failure}")
        return timing

    def _say(self, line: str) -> None:
        if not self._args.quiet:
            print(f"{PROGRAM}: {line}", file=sys.stderr, flush=True)


def _representative(plan: StreamPlan) -> StreamPlan:
    """The plan that is timed for `plan`: of those that run as often on as much, the costliest.

    That is the one with the most frames behind those heard: fewer of its rows lie at the window's edge.
    """
    alike = [
        rung.plan
        for rung in LADDER
        if (rung.plan.frames, rung.plan.stride) == (plan.frames, plan.stride)
    ]
    return max([plan, *alike], key=lambda p: p.look_ahead + p.presumed)
