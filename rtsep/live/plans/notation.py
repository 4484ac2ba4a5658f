"""The one spelling of a plan: ``64/1/2/1/asymmetric/4``.

Frames, stride, look-ahead, compute delay (which may be a fraction), windows and, if there are any,
extrapolated frames. Plans without a name of their own are called by it everywhere.
"""

from __future__ import annotations

from dataclasses import replace

from rtsep.errors import UsageError
from rtsep.live.plans.plan import PLANS, StreamPlan

HANN, ASYMMETRIC = "hann", "asymmetric"
_ASYMMETRIC_OF = {HANN: False, ASYMMETRIC: True}


def spell(plan: StreamPlan) -> str:
    """The spelling of `plan`; `read_plan` gives it back but for its name and ratio exponent."""
    windows = ASYMMETRIC if plan.asymmetric else HANN
    parts = [plan.frames, plan.stride, plan.look_ahead, f"{plan.compute_delay:g}", windows]
    return "/".join(map(str, [*parts, plan.extrapolated] if plan.extrapolated else parts))


def read_plan(text: str) -> StreamPlan:
    """The plan called `text`, or the one that it spells out. Raises UsageError."""
    if text in PLANS:
        return PLANS[text]
    try:
        words = text.split("/")
        extrapolated = int(words.pop()) if len(words) == 6 else 0
        *counts, compute_delay, windows = words
        frames, stride, look_ahead = map(int, counts)
        numbers = frames, stride, look_ahead, float(compute_delay), _ASYMMETRIC_OF[windows]
    except (ValueError, KeyError):
        raise UsageError(
            f"unknown plan {text!r}: choose one of {', '.join(PLANS)}, or spell it out like "
            "64/1/2/1/hann/4 (frames, stride, look-ahead, compute delay, hann or asymmetric, and "
            "extrapolated frames if any)"
        ) from None
    try:
        plan = StreamPlan(text, *numbers, extrapolated=extrapolated)
    except UsageError as error:
        raise UsageError(f"plan {text}: {error}") from None
    return replace(plan, name=spell(plan))
