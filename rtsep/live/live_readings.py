"""What a live stream tells of itself, and the gains and the bypass, from any thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtsep.live.device_adapter import DeviceAdapter
from rtsep.live.live_engine import LiveEngine
from rtsep.live.stem_gains import StemGains

if TYPE_CHECKING:
    from rtsep.live.plans.plan import StreamPlan


class LiveReadings:
    """What may be asked and set while a stream runs. A base of LiveStream, which sets these."""

    _engine: LiveEngine
    _adapter: DeviceAdapter
    _gains: StemGains

    @property
    def engine(self) -> LiveEngine:
        """The engine, for programs that show or record what it does; `reset` makes another one."""
        return self._engine

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the stems that the sound is taken apart into."""
        return self._engine.stems

    @property
    def gains(self) -> StemGains:
        """Linear gain of each of `stems`; UsageError for another name, or a gain that is none."""
        return self._gains

    @property
    def bypass(self) -> bool:
        """Whether the input is heard in place of the mix, delayed as much."""
        return self._engine.bypass

    @bypass.setter
    def bypass(self, bypass: bool) -> None:
        self._engine.bypass = bool(bypass)

    @property
    def plan(self) -> StreamPlan:
        """The plan that runs; that of now with `adaptive`."""
        return self._engine.plan

    @property
    def sample_rate(self) -> int:
        """Samples per second of the blocks."""
        return self._adapter.rate

    @property
    def latency_samples(self) -> int:
        """Samples from input to output: exact at 44.1 kHz, else the nearest whole number of them."""
        return round(self._adapter.latency_samples)

    @property
    def latency_ms(self) -> float:
        """Time from input to output in milliseconds, the change of rate included, devices not."""
        return 1000 * self._adapter.latency_samples / self._adapter.rate

    @property
    def resampling_s(self) -> float:
        """What the change of sample rate has of the latency, in seconds."""
        return self._adapter.delay_samples / self._adapter.rate

    def check(self) -> None:
        """Raise RtsepError naming stem and cause if a net has failed."""
        self._engine.check()

    def levels_dbfs(self) -> dict[str, float]:
        """Level of each stem before its gain, and of the mix as heard.

        Returns
        -------
        dict of str to float
            In dB of full scale, by stem, and as ``mix``.
        """
        return self._engine.levels_dbfs()

    def stats(self) -> dict[str, Any]:
        """What has been counted so far, as `rtsep-monitor --stats` writes it (docs/latency.md).

        Returns
        -------
        dict of str to object
            Among it ``late_masks`` and ``hops`` (1,024 samples at 44.1 kHz each), ``bad_samples``,
            ``callback_ms`` and ``worker_ms`` (p50, p99, max) beside ``deadline_ms``. ``latency_samples``
            is the plan's, at 44.1 kHz.
        """
        return self._engine.stats()
