"""How much work a run of one plan is beside another's, where it cannot be timed: while playing."""

from __future__ import annotations

from rtsep.live.plans.plan import StreamPlan

# What a window of 128 frames takes more than one of 64, and each further frame of a stride: fitted to
# timings of Spleeter's nets (four views of `low`: 4.3 times one; stride 16: 1.4 times; `classic`: 4.4).
PER_WINDOW, PER_FRAME = 0.3, 0.026


def whole_window_work(plan: StreamPlan) -> float:
    """The same of nets that run on whole windows, whatever the stride; see nets/whole_window.py."""
    return plan.frames / 64


def run_work(plan: StreamPlan) -> float:
    """Work of a run of one net, 1 for one view of 64 frames and a stride of one."""
    windows = sum(
        count * (1 + PER_WINDOW * (frames / 64 - 1)) for frames, count in plan.view_times.items()
    )
    return windows * (1 + PER_FRAME * (plan.stride - 1))
