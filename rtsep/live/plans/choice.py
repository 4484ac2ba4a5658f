"""Which plan to run: by name, within a bound of latency, or what this machine makes of it.

Options are plans of the ladder, each with a way of masking (see session.py). What one
costs on this machine is asked of `load_of`, one option at a time and no more of them than needed,
because each may have to be timed first. An option is sustained if it leaves HEAD_ROOM.

    a name      that plan, in the version and with the masking that measure best of those sustained
    spelt out   that plan; the ratio mask if it is sustained
    a bound     the best measured quality among the options within it that are sustained
    auto        the shortest latency among the options that are sustained and measure no worse than
                AUTO_FLOOR_DB; or one that measures better and takes NEARBY_HOPS more at most
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rtsep.errors import RtsepError, UsageError
from rtsep.live import RATIO
from rtsep.live.plans.ladder import LADDER, Rung, versions, work_on
from rtsep.live.plans.notation import read_plan
from rtsep.live.plans.plan import PLANS, StreamPlan

AUTO = "auto"
# Part of its deadline that a run must leave: for whatever else runs beside it.
HEAD_ROOM = 0.3
# A plan that is to relieve a machine must give a run so much more time, at least.
RELIEF = 1.5
# What `auto` gives up against `classic` for a shorter latency, at most: half a decibel is less than the
# songs differ by, and what is under 100 ms can be sung along with.
AUTO_FLOOR_DB = -0.5
# What sounds better may take so much longer: nobody hears half a hop, 12 ms.
NEARBY_HOPS = 0.5
_BOUND = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(ms|s)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Request:
    """What a latency asks for: a plan, a bound in milliseconds, or neither, which is `auto`."""

    plan: StreamPlan | None = None
    bound_ms: float | None = None


@dataclass(frozen=True)
class Option:
    """A way to run. masking: one of live.MASKING. quality_db: see ladder.Rung."""

    plan: StreamPlan
    masking: str
    quality_db: float = math.nan


@dataclass(frozen=True)
class Choice:
    """What was chosen. load: part of the deadline that a run takes, None where it was not asked.

    why: in words that follow the plan's name.
    """

    option: Option
    load: float | None
    why: str


def parse_latency(text: str) -> Request:
    """``auto``, a plan's name, a plan spelt out, or a bound like ``120ms``, ``120 ms``, ``0.12s``.

    Raises UsageError for anything else.
    """
    if text.strip().lower() == AUTO:
        return Request()
    bound = _BOUND.fullmatch(text)
    if bound:
        milliseconds = float(bound[1]) * (1000 if bound[2].lower() == "s" else 1)
        return Request(bound_ms=milliseconds)
    if text in PLANS or "/" in text:
        return Request(plan=read_plan(text))
    raise UsageError(
        f"unknown latency {text!r}: choose {', '.join(PLANS)}, auto, or a bound like 120ms"
    )


def choose(
    request: Request,
    maskings: Sequence[str],
    load_of: Callable[[Option], float],
    nets: str,
    *,
    paced: bool = True,
    ladder: Sequence[Rung] = LADDER,
) -> Choice:
    """The option that `request` is best served by on this machine.

    maskings: the ways of masking to be considered, the better first.
    load_of: part of its deadline that a run of an option takes here.
    nets: in words, for messages, what has to run with the fewest nets, like ``4 nets``.
    paced: False for a file that is played as fast as it goes, which any machine sustains, and for
        which latency costs nothing: the best measured quality is chosen.
    ladder: the plans to choose between.

    Raises UsageError where no plan is as short as asked for, RtsepError where this machine does not
    sustain any that is.
    """
    if request.plan is not None:
        ways = _ways(request.plan, maskings)
        if len(ways) == 1 or not paced:
            return Choice(ways[0], None, "as asked for")
        return _named(ways, load_of)
    options = [
        Option(rung.plan, masking, rung.quality_db[masking])
        for rung in ladder
        for masking in maskings
    ]
    bound_ms = math.inf if request.bound_ms is None else request.bound_ms
    within = [option for option in options if option.plan.latency_ms <= bound_ms]
    if not within:
        shortest_ms = _whole_ms(min(option.plan.latency_ms for option in options))
        raise UsageError(
            f"no plan takes {bound_ms:g} ms or less: the shortest takes {shortest_ms} ms"
        )
    if not paced:
        best = min(within, key=_quality_then_latency)
        return Choice(best, None, "the best measured: this file waits for the nets")
    if request.bound_ms is None:
        return _shortest(options, load_of)
    sustained = _first_sustained(sorted(within, key=_quality_then_latency), load_of)
    if sustained is not None:
        return Choice(*sustained, f"best within {bound_ms:g} ms: {in_words(sustained[1])}")
    beyond = [option for option in options if option.plan.latency_ms > bound_ms]
    sustained = _first_sustained(sorted(beyond, key=_latency_then_quality), load_of)
    remedies = "close other programs, take fewer stems or independent masks, or time the nets anew"
    if sustained is None:
        raise RtsepError(f"this machine sustains no plan with {nets}: {remedies}")
    needed_ms = _whole_ms(sustained[0].plan.latency_ms)
    raise RtsepError(
        f"this machine sustains no plan within {bound_ms:g} ms with {nets}, but {needed_ms} ms: ask "
        f"for a latency of {needed_ms}ms, or {remedies}"
    )


def _ways(plan: StreamPlan, maskings: Sequence[str]) -> list[Option]:
    """How `plan` may be run: its versions if it has a name, each way of masking; the best first.

    As it is named and with the first masking is the best, whatever else measures a little better on the
    few songs of the ladder.
    """
    rungs = versions(plan) if plan.name in PLANS else ()
    if not rungs:
        return [Option(plan, masking) for masking in maskings]
    ways = [
        Option(
            plan if rung.plan == plan else replace(rung.plan, name=plan.name),
            masking,
            rung.quality_db[masking],
        )
        for masking in maskings
        for rung in rungs
    ]
    return sorted(
        ways,
        key=lambda way: (
            (way.plan, way.masking) != (plan, maskings[0]),
            *_quality_then_latency(way),
        ),
    )


def _named(ways: Sequence[Option], load_of: Callable[[Option], float]) -> Choice:
    best = ways[0]
    best_load = load_of(best)
    sustained = _first_sustained(ways, load_of)
    if sustained is None:
        lightest = min(ways, key=load_of)
        sustained = lightest, load_of(lightest)
    way, load = sustained
    with_nets = "all nets" if best.masking == RATIO else "its nets"
    if way is best:
        return Choice(way, load, f"as asked for, with {with_nets}: {in_words(load)}")
    fewer = ", with fewer views" if way.plan != best.plan else ""
    views = " and views" if len(best.plan.views) > 1 else ""
    why = (
        f"as asked for{fewer}; {with_nets}{views} would take {best_load:.0%} of their deadline: "
        f"{in_words(load)}"
    )
    return Choice(way, load, why)


def _shortest(options: Sequence[Option], load_of: Callable[[Option], float]) -> Choice:
    good = [option for option in options if option.quality_db >= AUTO_FLOOR_DB]
    by_latency = sorted(good, key=_latency_then_quality)
    sustained = _first_sustained(by_latency, load_of)
    if sustained is not None:
        shortest = sustained[0]
        most_samples = shortest.plan.latency_samples + NEARBY_HOPS * shortest.plan.hop
        nearby = [
            option
            for option in good
            if option.quality_db > shortest.quality_db
            and option.plan.latency_samples <= most_samples
        ]
        better = _first_sustained(sorted(nearby, key=_quality_then_latency), load_of)
        sustained = better or sustained
        shorter = shortest.plan.latency_samples > by_latency[0].plan.latency_samples
        hint = "; shorter ones do not fit by the stored timing" if shorter else ""
        return Choice(*sustained, f"auto: {in_words(sustained[1])}{hint}")
    lightest = min(good, key=load_of)
    load = load_of(lightest)
    return Choice(lightest, load, f"auto: no plan has head-room here; {in_words(load)}")


def _first_sustained(
    options: Sequence[Option], load_of: Callable[[Option], float]
) -> tuple[Option, float] | None:
    for option in options:
        load = load_of(option)
        if load <= 1 - HEAD_ROOM:
            return option, load
    return None


def _quality_then_latency(option: Option) -> tuple[float, int]:
    return -option.quality_db, option.plan.latency_samples


def _latency_then_quality(option: Option) -> tuple[int, float]:
    return option.plan.latency_samples, -option.quality_db


def _whole_ms(latency_ms: float) -> int:
    """Rounded up, so that asking for it gets it."""
    return math.ceil(latency_ms)


def in_words(load: float) -> str:
    """A load and what it leaves."""
    if math.isinf(load):
        return "blocks of the device's may leave a run no time"
    if load > 1:
        return f"a run takes {load:.0%} of its deadline, more than there is"
    return f"a run takes {load:.0%} of its deadline, head-room {1 - load:.0%}"


def version_with_room(rungs: Sequence[Rung], current: StreamPlan, run_ms: float) -> StreamPlan:
    """The best measured of `rungs` whose runs would leave HEAD_ROOM, or else that of least work.

    run_ms: what a run of `current` takes.
    """
    work = work_on(rungs)

    def load(rung: Rung) -> float:
        return run_ms * work(rung.plan) / work(current) / rung.plan.deadline_ms

    sustained = [rung for rung in rungs if load(rung) <= 1 - HEAD_ROOM]
    if sustained:
        return max(sustained, key=lambda rung: max(rung.quality_db.values())).plan
    return min(rungs, key=load).plan


def slower_plan(
    current: StreamPlan, run_ms: float, ladder: Sequence[Rung] = LADDER
) -> StreamPlan | None:
    """The next plan of the ladder for a machine that does not keep up with `current`.

    run_ms: what a run takes under load. The shortest that gives a run RELIEF times the time for its
    work and would leave HEAD_ROOM, the best measured of equal ones; where none does that, the one that
    gives it most time. None at the end.
    """

    work = work_on(ladder)

    def time_for_work(plan: StreamPlan) -> float:
        return plan.deadline_ms / work(plan)

    relieving = [
        rung
        for rung in ladder
        if rung.plan.latency_samples >= current.latency_samples
        and time_for_work(rung.plan) >= RELIEF * time_for_work(current)
    ]
    needed = run_ms / work(current) / (1 - HEAD_ROOM)
    enough = [rung for rung in relieving if time_for_work(rung.plan) >= needed]
    if enough:
        return min(enough, key=lambda r: (r.plan.latency_samples, -max(r.quality_db.values()))).plan
    return max((rung.plan for rung in relieving), key=time_for_work, default=None)
