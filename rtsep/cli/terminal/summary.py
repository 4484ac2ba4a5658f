"""What a person is told of a stream that has ended, and what to change if it went badly."""

from __future__ import annotations

from rtsep.cli.terminal.progress import clock
from rtsep.cli.terminal.stream_status import percent, share_of_hops
from rtsep.constants import HOP, SAMPLE_RATE
from rtsep.live.plans.plan import PLANS
from rtsep.live.priority import MAY_BE_GRANTED, ORDINARY

# p99 of the time allowed, from which on a machine is told that it has no head-room.
TIGHT_LOAD = 0.8
# Blocks from about a hop on are long enough; the period measured is not exact.
LONGEST_HELPFUL_BLOCK_MS = 0.9 * 1000 * HOP / SAMPLE_RATE


def summary(stats: dict) -> list[str]:
    """The lines to end with.

    stats: as `--stats` writes them.
    """
    hops, late, deadline_ms = stats["hops"], stats["late_masks"], stats["deadline_ms"]
    xruns = {name: count for name, count in stats["xruns"].items() if count}
    described = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in xruns.items())
    callback, workers = stats["callback_ms"], stats["worker_ms"]
    block = f" of {stats['block_ms']:.1f} ms" if stats["block_ms"] else ""
    loads = ", ".join(
        f"{stem} {percent(ms['p50'] / deadline_ms)} (max {percent(ms['max'] / deadline_ms)})"
        for stem, ms in workers.items()
    )
    return [
        f"played   {clock(hops * HOP / SAMPLE_RATE)}, delayed by {_delay(stats)}",
        f"trouble  late masks {late}{share_of_hops(late, hops)}; xruns {described or 0}",
        f"callback median {callback['p50']:.2f} ms, p99 {callback['p99']:.2f}, max "
        f"{callback['max']:.2f}{block}",
        f"workers  {loads} of {deadline_ms:.1f} ms, in {stats['precision']}",
        *_clocks(stats),
        *_advice(stats),
    ]


def _delay(stats: dict) -> str:
    algorithm_ms = stats["latency_ms"]["algorithm"]
    devices_ms = stats["latency_ms"]["device_measured"]
    if devices_ms is None:
        return f"{algorithm_ms:.1f} ms (devices not counted)"
    return (
        f"{algorithm_ms + devices_ms:.1f} ms: {algorithm_ms:.1f} and the devices, by their own clocks, "
        f"{devices_ms:.1f}"
    )


def _clocks(stats: dict) -> list[str]:
    if "clock_drift_ppm" not in stats:
        return []
    drift = f"{stats['clock_drift_ppm']:+.0f} ppm"
    return [f"clocks   input and output have clocks of their own: drift {drift}"]


def _advice(stats: dict) -> list[str]:
    advice = [*_advice_on_workers(stats), *_advice_on_callback(stats)]
    if stats["bad_samples"]:
        advice.append(
            f"bad samples in the input (NaN, infinite or absurd): {stats['bad_samples']} replaced; "
            "look at the program or driver that they come from"
        )
    if stats["lost_samples"]:
        lost_s = stats["lost_samples"] / SAMPLE_RATE
        advice.append(
            f"{lost_s:.1f} s were played and are not in the recording ({stats['lost_samples']} samples):"
            " the disk did not keep up, or recording ended early; record to another disk"
        )
    return advice


def _advice_on_workers(stats: dict) -> list[str]:
    """Nets that are too slow: they want more time for a run, or fewer of them."""
    hops, late, deadline_ms = stats["hops"], stats["late_masks"], stats["deadline_ms"]
    load = max((ms["p99"] for ms in stats["worker_ms"].values()), default=0.0) / deadline_ms
    remedies = [_other_programs(stats)]
    if len(stats["worker_ms"]) > 2:
        remedies.insert(0, "take a model of fewer stems (--model spleeter:2stems)")
    if longer := [plan.name for plan in PLANS.values() if plan.deadline_ms > deadline_ms]:
        remedies.insert(0, f"use a longer --latency ({', '.join(longer)})")
    remedy = " or ".join(remedies)
    if load >= TIGHT_LOAD:
        lead = f"late masks in {percent(late / hops)} of hops" if late else "no head-room"
        return [
            f"the machine is too slow for this plan: {lead}, workers at {percent(load)} of their "
            f"deadline; {remedy}"
        ]
    if late:
        return [
            f"late masks in {percent(late / hops)} of hops, although the nets keep up as a rule "
            f"({percent(load)} of their deadline): something held them up; {remedy}"
        ]
    return []


def _advice_on_callback(stats: dict) -> list[str]:
    """A callback that outlasts its block wants longer blocks; one that comes late, longer buffers."""
    block_ms, callback_ms = stats["block_ms"], stats["callback_ms"]["p99"]
    times = f"p99 {callback_ms:.1f} of {block_ms:.1f} ms"
    xruns = any(stats["xruns"].values())
    if block_ms and callback_ms >= TIGHT_LOAD * block_ms:
        lead = "the sound device ran dry or over" if xruns else "no head-room"
        # A hop's work is done in one block, however short; longer blocks than a hop gain nothing.
        remedy = (
            f"use a larger --blocksize ({HOP})"
            if block_ms < LONGEST_HELPFUL_BLOCK_MS
            else f"take a model of fewer stems or {_other_programs(stats)}"
        )
        return [f"the callback takes as long as its block lasts ({times}): {lead}; {remedy}"]
    if xruns:
        return [
            f"the sound device ran dry or over, although the callback has time to spare ({times}): "
            f"something held it up; use more --device-latency (0.1) or {_other_programs(stats)}"
        ]
    return []


def _other_programs(stats: dict) -> str:
    if MAY_BE_GRANTED and stats["priority"] == ORDINARY:
        return "close other programs or run before them (docs/linux.md)"
    return "close other programs"
