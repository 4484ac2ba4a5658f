"""A live stream under control: the mixer's commands, and what the stream tells of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rtsep.constants import SAMPLE_RATE
from rtsep.control.mixing import MixCommands

if TYPE_CHECKING:
    from rtsep.live.live_engine import LiveEngine
    from rtsep.live.mixer import MixControls
    from rtsep.live.recorder import Recorder


class StreamCommands(MixCommands):
    """The stream of rtsep-monitor. For the main thread, as the mixer is.

    Parameters
    ----------
    engine : LiveEngine
        Whose plan, levels and counters are told.
    mixer : MixControls
        Its mixer.
    latency_ms : callable
        The statistics' `latency_ms` of now.
    recorder : Recorder, optional
        Whose lost samples are told.
    """

    def __init__(
        self,
        engine: LiveEngine,
        mixer: MixControls,
        latency_ms: Callable[[], Mapping[str, float | None]],
        recorder: Recorder | None = None,
    ):
        super().__init__(mixer, engine.levels_dbfs)
        self._engine, self._latency_ms, self._recorder = engine, latency_ms, recorder

    @property
    def commands(self) -> Sequence[str]:
        """As of CommandMethods; `plan` only where there is a choice."""
        return [name for name in super().commands if name != "plan" or self._engine.offers]

    def do_plan(self, name: str) -> None:
        """Go over to another plan."""
        self._engine.ask_for(name)

    def state(self) -> dict[str, Any]:
        """The mixer's state and the stream's."""
        engine, counters = self._engine, self._engine.counters
        lost_samples = 0 if self._recorder is None else self._recorder.lost_samples
        return {
            **super().state(),
            "stream": {
                "model": engine.config.name,
                "plan": engine.plan.name,
                "plan_choice": self._choice(),
                "plans": list(engine.offers),
                "latency_ms": round(self._latency_ms()["total"] or 0.0, 1),
                "played_s": round(engine.played_s, 1),
                "hops": counters.hops,
                "late_masks": counters.late_masks,
                "xruns": sum(counters.xruns.values()),
                "bad_samples": counters.bad_samples,
                "lost_s": round(lost_samples / SAMPLE_RATE, 1),
            },
        }

    def _choice(self) -> str | None:
        """What can be asked for that the plan of now is a version of."""
        plan = self._engine.plan
        for name, rungs in self._engine.offers.items():
            if any(rung.plan == plan for rung in rungs):
                return name
        return None
