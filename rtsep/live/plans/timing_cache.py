"""Timings of this machine kept from one start to the next, as JSON in the user's cache.

They stand in the folder of the compiled kernels, which is named after the kernel set and the sources
it was compiled from. Within the file a timing goes by the processor, the cores that may be used,
the model, how many of its nets run and in which precision, the plan's shape, and a hash of the sources
that run them. So whatever changes the time also changes the name, but for the clock of the processor and
what else is running: `rtsep-monitor --retime` measures anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import rtsep
from rtsep.environment import cpu_name, usable_cores
from rtsep.live.plans.notation import spell
from rtsep.live.plans.plan import StreamPlan
from rtsep.live.plans.timing import PlanTiming
from rtsep_kernels.jit import CACHE_FOLDER
from rtsep_kernels.precision import Precision
from rtsep_kernels.user_cache import NO_HOME

FILE_NAME = "timings.json"
# Folders of rtsep whose sources decide what a run costs, besides the kernels.
_SOURCES = ("dsp", "nets", "live")


class TimingCache:
    """The file at `path`. One that is not there, damaged or of another form holds nothing.

    path: in the folder of the compiled kernels by default; None where the user has no such folder.
    failure: why the last `put` could not be written, or None.
    """

    def __init__(self, path: Path | None = None):
        if path is None and CACHE_FOLDER is not None:
            path = CACHE_FOLDER / FILE_NAME
        self.path = path
        self.failure: str | None = None

    def get(self, name: str) -> PlanTiming | None:
        """The timing called `name`, or None."""
        entry = self._read().get(name)
        if not isinstance(entry, dict):
            return None
        run_ms, callback_ms = _positive(entry.get("run_ms")), _positive(entry.get("callback_ms"))
        stall_ms = _positive(entry.get("stall_ms")) or 0.0
        if run_ms is None or callback_ms is None:
            return None
        return PlanTiming(run_ms, callback_ms, stall_ms)

    def put(self, name: str, timing: PlanTiming) -> None:
        """Keep `timing` under `name`, beside what else is there."""
        if self.path is None:
            self.failure = f"{NO_HOME}: set RTSEP_KERNEL_CACHE to a folder that can be written"
            return
        entries = {**self._read(), name: asdict(timing)}
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
            os.replace(temporary, self.path)
            self.failure = None
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            self.failure = (
                f"cannot write {self.path}: {error.strerror or error}: make room, or set"
                " RTSEP_KERNEL_CACHE to a folder that can be written"
            )

    def _read(self) -> dict:
        if self.path is None:
            return {}
        try:
            entries = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return entries if isinstance(entries, dict) else {}


def timing_name(model: str, nets: int, plan: StreamPlan, precision: Precision) -> str:
    """What a timing of `nets` nets of `model` in `precision` under `plan` goes by on this machine."""
    # Not its name: what the nets have to do does not depend on windows and compute delay.
    alike = replace(plan, compute_delay=plan.stride, asymmetric=False)
    return (
        f"{cpu_name()}, {usable_cores()} cores, {model}, {nets} nets, {precision}, "
        f"{spell(alike)}, sources {_sources_hash()}"
    )


def _positive(value: object) -> float | None:
    return value if isinstance(value, float) and 0 < value < math.inf else None


@cache
def _sources_hash() -> str:
    digest = hashlib.sha256()
    root = Path(rtsep.__file__).resolve().parent
    for folder in _SOURCES:
        for source in sorted((root / folder).glob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:12]
