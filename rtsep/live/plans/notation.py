"""The one spelling of a plan: ``64/1/2/1/asymmetric/4``, or ``64x3+128/1/2/1/asymmetric/4``.

Frames, stride, look-ahead, compute delay (which may be a fraction), windows and, if there are any,
extrapolated frames. Where each net is shown several views, they stand for the frames: 64x3 is a window
of 64 frames three times, as it is and moved by a bin up and down; see nets/views.py. Plans without a
name of their own are called by their spelling everywhere.
"""

from __future__ import annotations

from dataclasses import replace

from rtsep.errors import UsageError
from rtsep.live.plans.plan import PLANS, StreamPlan
from rtsep.nets.view import views_of

HANN, ASYMMETRIC = "hann", "asymmetric"
# Between the frames of a window and how often it is shown.
_TIMES = "x"
_ASYMMETRIC_OF = {HANN: False, ASYMMETRIC: True}


def spell(plan: StreamPlan) -> str:
    """The spelling of `plan`; `read_plan` gives it back but for its name and ratio exponent."""
    windows = ASYMMETRIC if plan.asymmetric else HANN
    parts = [_spell_views(plan), plan.stride, plan.look_ahead, f"{plan.compute_delay:g}", windows]
    return "/".join(map(str, [*parts, plan.extrapolated] if plan.extrapolated else parts))


def read_plan(text: str) -> StreamPlan:
    """The plan called `text`, or the one that it spells out. Raises UsageError."""
    if text in PLANS:
        return PLANS[text]
    try:
        words = text.split("/")
        extrapolated = int(words.pop()) if len(words) == 6 else 0
        shown, stride, look_ahead, compute_delay, windows = words
        times = _read_views(shown)
        numbers = max(times), int(stride), int(look_ahead), float(compute_delay)
        asymmetric = _ASYMMETRIC_OF[windows]
    except (ValueError, KeyError):
        raise UsageError(
            f"unknown plan {text!r}: choose one of {', '.join(PLANS)}, or spell it out like "
            "64/1/2/1/hann/4 (frames, or views like 64x3+128, stride, look-ahead, compute delay, hann "
            "or asymmetric, and extrapolated frames if any)"
        ) from None
    try:
        plan = StreamPlan(
            text, *numbers, asymmetric, extrapolated=extrapolated, views=views_of(times)
        )
    except UsageError as error:
        raise UsageError(f"plan {text}: {error}") from None
    return replace(plan, name=spell(plan))


def _spell_views(plan: StreamPlan) -> str:
    times = plan.view_times.items()
    return "+".join(
        f"{frames}{_TIMES}{count}" if count > 1 else str(frames) for frames, count in times
    )


def _read_views(text: str) -> dict[int, int]:
    """How often each window is shown, by its frames. Raises ValueError for another spelling."""
    times: dict[int, int] = {}
    for word in text.split("+"):
        frames, _, count = word.partition(_TIMES)
        if int(frames) in times or (count and int(count) < 1) or word.endswith(_TIMES):
            raise ValueError(word)
        times[int(frames)] = int(count or 1)
    return times
