"""The ladder: the plans worth choosing between, each with what it measures.

Some stand there several times, alike but for the views (nets/views.py): richer ones separate better and
take more work, which only some machines sustain.

The figures are those of `rtsep-bench quality --plans ladder`, with `--masks ratio` and `--masks alone`,
kept in benchmarks/rtsep_bench/results/quality-ladder.json: the SDR of the vocals, mean over the songs,
relative to the plan `classic` with ratio masks. A test compares them, so new ones go into those files
and into MEASURED_DB, and nowhere else. Other stems and models are taken to behave alike.

Nets that run on whole windows have a ladder of their own: long strides, since each run costs as much as
the whole window. No weights of quality are there to measure them with, so what its plans are worth is
what Spleeter's nets made of as much look-ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from rtsep.live import MASKING
from rtsep.live.plans.notation import read_plan
from rtsep.live.plans.plan import PLANS, StreamPlan
from rtsep.live.plans.work import run_work, whole_window_work
from rtsep.nets.kinds import kind_of
from rtsep.nets.registry import ModelConfig

# plan: dB with the ratio mask of all nets, dB with the independent mask of the stem's net.
MEASURED_DB = {
    "64/1/0/1/asymmetric/4": (-0.25, -0.39),
    "64x3+128/1/0/1/asymmetric/4": (0.17, 0.04),
    "64/1/1/0.25/asymmetric/4": (-0.05, -0.19),
    "64x3+128/1/1/0.25/asymmetric/4": (0.34, 0.2),
    "64/1/1/0.5/asymmetric/4": (-0.05, -0.19),
    "64x3+128/1/1/0.5/asymmetric/4": (0.34, 0.2),
    "64/1/1/1/asymmetric/4": (-0.05, -0.19),
    "64x2/1/1/1/asymmetric/4": (0.36, 0.17),
    "low": (0.34, 0.2),
    "64/1/2/0.25/asymmetric/4": (0.1, -0.08),
    "64/1/2/1/asymmetric/4": (0.1, -0.08),
    "64/1/1/0.25/hann/4": (0.19, 0.08),
    "64/1/1/1/hann/4": (0.19, 0.08),
    "64/2/1/2/asymmetric/4": (-0.03, -0.25),
    "64/1/2/0.25/hann/4": (0.26, 0.11),
    "64/1/2/1/hann/4": (0.26, 0.11),
    "64/2/1/2/hann/4": (0.2, 0.09),
    "64/1/4/0.25/hann/2": (0.31, 0.19),
    "64/1/4/1/hann/2": (0.31, 0.19),
    "64/2/2/2/hann/4": (0.28, 0.17),
    "balanced": (0.33, 0.21),
    "64/1/6/1/hann": (0.36, 0.23),
    "64/4/2/4/hann/4": (0.27, 0.1),
    "64/1/8/1/hann": (0.43, 0.21),
    "64/4/4/4/hann/2": (0.35, 0.18),
    "64/4/8/4/hann": (0.44, 0.14),
    "64/8/8/8/hann": (0.45, 0.08),
    "64/16/16/16/hann": (0.13, -0.17),
    "classic": (0.0, -0.22),
}

# The same of nets that run on whole windows: T = 192, by look-ahead.
OF_WHOLE_WINDOWS_DB = {
    "192/1/1/1/asymmetric/4": MEASURED_DB["64/1/1/1/asymmetric/4"],
    "192/1/2/1/hann/4": MEASURED_DB["64/1/2/1/hann/4"],
    "192/2/2/2/hann/4": MEASURED_DB["64/1/2/1/hann/4"],
    "192/2/4/2/hann/2": MEASURED_DB["64/1/4/1/hann/2"],
    "192/4/2/4/hann/4": MEASURED_DB["64/1/2/1/hann/4"],
    "192/4/4/4/hann/2": MEASURED_DB["64/1/4/1/hann/2"],
    "192/8/4/8/hann/2": MEASURED_DB["64/1/4/1/hann/2"],
    "192/8/8/8/hann": MEASURED_DB["64/1/8/1/hann"],
    "192/16/8/16/hann": MEASURED_DB["64/1/8/1/hann"],
    "192/32/8/32/hann": MEASURED_DB["64/1/8/1/hann"],
    "192/64/8/64/hann": MEASURED_DB["64/1/8/1/hann"],
}


@dataclass(frozen=True)
class Rung:
    """A plan and its measured quality in dB relative to `classic` with ratio masks.

    quality_db: by live.MASKING; ``independent`` is with the net of the wanted stem only.
    """

    plan: StreamPlan
    quality_db: Mapping[str, float]


def _ladder(quality_db: Mapping[str, tuple[float, float]]) -> tuple[Rung, ...]:
    """By latency, the shortest first."""
    rungs = [Rung(read_plan(name), dict(zip(MASKING, db))) for name, db in quality_db.items()]
    return tuple(sorted(rungs, key=lambda rung: rung.plan.latency_samples))


LADDER = _ladder(MEASURED_DB)
WINDOW_LADDER = _ladder(OF_WHOLE_WINDOWS_DB)
_WINDOW_PLANS = frozenset(rung.plan for rung in WINDOW_LADDER)


def work_on(rungs: Sequence[Rung]) -> Callable[[StreamPlan], float]:
    """What estimates the work of a run of the nets that these rungs are for."""
    of_whole_windows = any(rung.plan in _WINDOW_PLANS for rung in rungs)
    return whole_window_work if of_whole_windows else run_work


def ladder_of(config: ModelConfig) -> tuple[Rung, ...]:
    """The plans worth choosing between for the nets of a model, the shortest first."""
    return LADDER if kind_of(config).keeps_rows else WINDOW_LADDER


def offers_of(config: ModelConfig) -> Mapping[str, tuple[Rung, ...]]:
    """What may be asked for by name while a stream plays, and the plans that each name stands for.

    The named plans, each with its versions; of nets that run on whole windows all plans.
    """
    if ladder_of(config) is WINDOW_LADDER:
        return {rung.plan.name: (rung,) for rung in WINDOW_LADDER}
    return {name: versions(plan) for name, plan in PLANS.items()}


def versions(plan: StreamPlan) -> tuple[Rung, ...]:
    """The rungs that are `plan` with as many views or fewer; none if it is no rung itself."""
    alike = tuple(
        rung
        for rung in LADDER
        if len(rung.plan.views) <= len(plan.views)
        and _but_for_views(rung.plan) == _but_for_views(plan)
    )
    return alike if plan in (rung.plan for rung in alike) else ()


def _but_for_views(plan: StreamPlan) -> dict[str, object]:
    numbers = asdict(plan)
    for field in ("name", "frames", "views"):
        del numbers[field]
    return numbers
