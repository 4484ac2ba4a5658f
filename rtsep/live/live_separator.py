"""The live interface: blocks of sound in, the mix of the separated stems out, a constant time later.

block --> DeviceAdapter --> LiveEngine --> DeviceAdapter --> out
           to 44.1 kHz       the nets       and back
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.devices.clock_bridge import LONGEST_BLOCK
from rtsep.dsp.array_input import as_float32, check_rate
from rtsep.dsp.channels import NET_CHANNELS, check_channels
from rtsep.errors import UsageError
from rtsep.live.device_adapter import MIX, MIX_AND_STEMS, STEMS, DeviceAdapter
from rtsep.live.live_engine import LiveEngine
from rtsep.live.session import SessionSettings
from rtsep.live.stem_gains import StemGains, check_gains
from rtsep.nets.registry import stem_names

if TYPE_CHECKING:
    from rtsep.live.plans.plan import StreamPlan
    from rtsep.live.recorder import Recorder
    from rtsep.weights.download import ByteProgress


class LiveSeparator:
    """Separates a stream of blocks while it plays.

    The nets run on threads of their own. `process` takes the next block and gives as many samples of
    the mix, `latency_samples` later; it does not wait for a net (unless `paced` is false, or the plan
    has no compute delay), and where masks are late the last ones are held and that is counted.

    **What may be called from where.** `process` and `process_stems` are the body of an audio callback
    and belong to one thread at a time, the audio thread. With blocks that are float32 arrays, and with
    `out`, they take no lock, open no file, and allocate nothing that grows. `gains`, `bypass`, `check`,
    `stats`, `levels_dbfs` and the properties may be used from any thread at any time. The constructor,
    `set_format`, `reset` and `close` take their time, and must not run while another thread is in
    `process`. No setting of the process is changed: see rtsep.live.process_settings for what a program
    may want to set. A failed net does not stop the sound, which is mixed with the last masks: `check`
    raises its error, and so does the end of a ``with`` block.

    Parameters
    ----------
    model : str or None
        ``spleeter:2stems``, ``spleeter:4stems``, ``spleeter:5stems``, each also with the suffix
        ``-16kHz``; None for the smallest that has the stems named. Its weights are fetched if they are
        not there yet.
    stems : sequence of str, optional
        Stems to be heard at first; the vocals by default, or those in `gains`.
    gains : mapping of str to float, optional
        Linear gain of each stem at first; 1 for the others of `stems`.
    latency : str
        ``low`` (93 ms), ``balanced`` (255 ms), ``classic`` (5.94 s), a bound such as ``120ms``,
        ``auto``, or a plan spelt out; docs/latency.md tells how to choose.
    sample_rate : int
        Samples per second of the blocks, 4,000 to 768,000.
    channels : int
        Channels of the blocks, 1 or 2.
    masking : {'ratio', 'independent'}, optional
        ``ratio`` runs the nets of all stems and shares the sound among them; ``independent`` runs only
        the nets of the stems named, and what they leave is one more stem. By default the first if this
        machine sustains it; where that is not known the nets are timed for a second or two, once.
    separate_stems : bool
        Give out every stem by itself, too: see `process_stems`.
    on_late : {'hold', 'dry', 'mute'}
        What is heard when masks are late: the last ones, or after some hops the input, or silence.
    auto_level : bool
        Show the nets a steady level, which quiet sound gains from.
    mask_extension : {'top', 'average', 'zeros'}
        How masks go on above the nets' bandwidth.
    adaptive : bool
        Go over to a longer plan by itself while this one is too much for the machine. Then the latency
        changes, and a part of the sound as long as the difference is heard twice.
    paced : bool
        False for sound that nobody waits for, such as a file's: `process` then waits for the nets, so
        that no mask is late, and every run gives the same samples.
    progress : callable, optional
        Called while weights are fetched, see rtsep.weights.download.
    say : callable, optional
        Is told in a line when the nets are timed and when the plan changes, from any thread.

    Raises
    ------
    UsageError
        For an unknown name, an impossible rate, gain or latency.
    RtsepError
        Where this machine sustains no plan within the bound.
    WeightsError
        Where the weights cannot be had.

    Examples
    --------
    >>> with rtsep.LiveSeparator("spleeter:2stems", latency="low", sample_rate=48_000) as live:
    ...     out = live.process(block)  # (samples, 2) float32
    ...     live.gains["accompaniment"] = 0.1
    """

    def __init__(
        self,
        model: str | None = "spleeter:2stems",
        *,
        stems: Sequence[str] | None = None,
        gains: Mapping[str, float] | None = None,
        latency: str = "low",
        sample_rate: int = SAMPLE_RATE,
        channels: int = NET_CHANNELS,
        masking: str | None = None,
        separate_stems: bool = False,
        on_late: str = "hold",
        auto_level: bool = True,
        mask_extension: str = "top",
        adaptive: bool = False,
        paced: bool = True,
        progress: ByteProgress | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        from rtsep.live.engine_maker import EngineMaker

        settings = SessionSettings(
            model=model,
            stems=stem_names(stems),
            gains=check_gains(gains),
            latency=latency,
            masking=masking,
            separate_stems=separate_stems,
            on_late=on_late,
            auto_level=auto_level,
            mask_extension=mask_extension,
            adaptive=adaptive,
            paced=paced,
        )
        maker = EngineMaker(settings, progress=lambda: nullcontext(progress), say=say)
        rate, channels = check_rate(sample_rate), check_channels(channels)
        self._begin(
            maker(), heard=MIX_AND_STEMS if separate_stems else MIX, paced=paced, remake=maker
        )
        self.set_format(rate, channels, channels)
        self.start()

    @classmethod
    def around(
        cls, engine: LiveEngine, *, heard: str = MIX, recorder: Recorder | None = None
    ) -> LiveSeparator:
        """One that plays through `engine`, for programs that make their own; it is not started.

        heard: what is given out, see DeviceAdapter. recorder: receives the engine's whole output.
        """
        live = cls.__new__(cls)
        live._begin(engine, heard=heard, recorder=recorder)
        live.set_format(SAMPLE_RATE)
        return live

    def _begin(
        self,
        engine: LiveEngine,
        *,
        heard: str,
        paced: bool = True,
        recorder: Recorder | None = None,
        remake: Callable[[StreamPlan], LiveEngine] | None = None,
    ) -> None:
        self._engine, self._remake = engine, remake
        self._heard, self._paced, self._recorder = heard, paced, recorder
        self._closed = False
        self._gains = StemGains(engine)
        # Ends the threads of an engine whose LiveSeparator was dropped without `close`.
        self._abandoned: weakref.finalize[Any, Any] | None = None

    # --- life -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to work; the constructor has done so. Again: nothing. Raises WeightsError."""
        self._check_open()
        if self._abandoned is None:
            self._engine.start()
            self._abandoned = weakref.finalize(self, self._engine.stop, wait=False)

    def set_format(
        self, sample_rate: int, channels_in: int = NET_CHANNELS, channels_out: int | None = None
    ) -> None:
        """Take and give blocks of this format from now on; the stems, gains and masks stay.

        Parameters
        ----------
        sample_rate : int
            Samples per second.
        channels_in : int
            Channels of the blocks taken, 1 or 2.
        channels_out : int, optional
            Channels of the mix, and with `process_stems` of each stem, 1 or 2; `channels_in` by default.

        Raises
        ------
        UsageError
            Where these are impossible.
        """
        self._check_open()
        rate, channels_in = check_rate(sample_rate), check_channels(channels_in)
        width = check_channels(channels_in if channels_out is None else channels_out)
        self.connect(rate, channels_in, width * self._outputs)

    def connect(self, rate: int, channels_in: int, channels_out: int) -> None:
        """Take this format, for devices.

        Parameters
        ----------
        rate, channels_in : int
            As for `set_format`.
        channels_out : int
            Channels of all that is given out together.
        """
        self._adapter = DeviceAdapter(
            self._engine, rate, channels_in, channels_out,
            heard=self._heard, recorder=self._recorder, paced=self._paced,
        )  # fmt: skip
        self._channels_out = channels_out // self._outputs
        # writer and reader: audio thread; used where either the mix or the stems are wanted
        longest = LONGEST_BLOCK if self._heard == MIX_AND_STEMS else 0
        self._mix_and_stems = np.zeros((longest, channels_out), np.float32)

    @property
    def _outputs(self) -> int:
        """How many there are of what is given out, the mix and the stems."""
        stems = len(self._engine.stems)
        return {MIX: 1, STEMS: stems, MIX_AND_STEMS: 1 + stems}[self._heard]

    def reset(self) -> None:
        """Forget all sound and all counts, as for another recording; plan and gains stay.

        Takes about as long as the constructor, without loading the nets. Raises UsageError after
        `close`.
        """
        self._check_open()
        if self._remake is None:
            raise UsageError("this LiveSeparator did not make its engine: make another one")
        old, adapter = self._engine, self._adapter
        engine = self._remake(old.plan)
        engine.gains[:], engine.bypass = old.gains, old.bypass
        self._stop()
        self._engine = self._gains.target = engine
        self.set_format(adapter.rate, adapter.channels_in, self._channels_out)
        self.start()

    def close(self) -> None:
        """End the nets' threads. Again: nothing.

        What was in the nets at the time is lost: send `latency_samples` of silence before, if it is
        wanted.
        """
        self._stop()
        self._closed = True

    def _stop(self) -> None:
        if self._abandoned is not None:
            self._abandoned.detach()
            self._abandoned = None
            self._engine.stop()

    def __enter__(self) -> LiveSeparator:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_exception: object) -> None:
        self.close()
        if kind is None:
            self.check()

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError("this LiveSeparator has been closed: make a new one")

    # --- the audio thread -----------------------------------------------------------------------

    def process(
        self, block: ArrayLike, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Take the next block and give as many samples of the mix, `latency_samples` later.

        Parameters
        ----------
        block : array_like
            (samples, channels), or (samples,) where there is one channel; any number of samples.
            float32 with full scale at 1 is taken as it is; other floats, and integers of 8, 16 or 32
            bits, are converted, which allocates. Samples that are NaN, infinite or absurd are replaced
            and counted (`stats`).
        out : ndarray, optional
            (samples, channels) float32, written; made anew by default. It may be `block` itself.

        Returns
        -------
        ndarray
            `out`.

        Raises
        ------
        UsageError
            For another type or shape, and after `close`.
        RtsepError
            Where a net has failed, unless `paced` (see `check`).
        """
        samples = self._samples(block)
        if self._heard == STEMS:
            raise UsageError("only stems are given out here, no mix: call process_stems")
        out = self._prepared(out, len(samples), self._channels_out)
        if self._heard == MIX:
            self._adapter.process(samples, out)
        else:
            self._select(samples, slice(0, self._channels_out), out)
        return out

    def process_stems(
        self, block: ArrayLike, out: NDArray[np.float32] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """As `process`, but give each stem by itself, without its gain. Together they are the input.

        Every block goes either through `process` or through this. Needs ``separate_stems=True``.

        Parameters
        ----------
        block : array_like
            As for `process`.
        out : ndarray, optional
            (samples, stems x channels) float32, written: the stems side by side, in the order of
            `stems`, as for a device of many channels.

        Returns
        -------
        dict of str to ndarray
            Each stem, (samples, channels) float32, a view of `out`.

        Raises
        ------
        UsageError, RtsepError
            As `process`, and without ``separate_stems=True``.
        """
        samples = self._samples(block)
        if self._heard == MIX:
            raise UsageError("the stems are not given out: make LiveSeparator(separate_stems=True)")
        stems, width = self._engine.stems, self._channels_out
        out = self._prepared(out, len(samples), width * len(stems))
        if self._heard == STEMS:
            self._adapter.process(samples, out)
        else:
            self._select(samples, slice(width, None), out)
        return {stem: out[:, i * width : (i + 1) * width] for i, stem in enumerate(stems)}

    @property
    def callback(self) -> Callable[[NDArray[np.float32], NDArray[np.float32]], object]:
        """What devices are to call: `process`, or `process_stems` where only stems are given out."""
        return self.process_stems if self._heard == STEMS else self.process

    def _samples(self, block: ArrayLike) -> NDArray[np.float32]:
        """`block` as (samples, channels) float32; as it is where it is that already."""
        self._check_open()
        channels = self._adapter.channels_in
        fits = (
            isinstance(block, np.ndarray)
            and block.dtype == np.float32
            and block.ndim == 2
            and block.shape[1] == channels
        )
        samples: NDArray[np.float32] = (
            block if fits else as_float32(block, channels)  # type: ignore[assignment]
        )
        return samples

    def _prepared(
        self, out: NDArray[np.float32] | None, samples: int, channels: int
    ) -> NDArray[np.float32]:
        if out is None:
            return np.empty((samples, channels), np.float32)
        if not isinstance(out, np.ndarray) or out.dtype != np.float32:
            raise UsageError(f"out must be a float32 array: got {getattr(out, 'dtype', type(out))}")
        if out.shape != (samples, channels):
            raise UsageError(f"out must have the shape {(samples, channels)}: got {out.shape}")
        return out

    def _select(
        self, samples: NDArray[np.float32], columns: slice, out: NDArray[np.float32]
    ) -> None:
        """Process `samples`; `out` gets some of the columns of what is given out."""
        for at in range(0, len(samples), len(self._mix_and_stems)):
            block = samples[at : at + len(self._mix_and_stems)]
            given = self._mix_and_stems[: len(block)]
            self._adapter.process(block, given)
            out[at : at + len(block)] = given[:, columns]

    # --- any thread -----------------------------------------------------------------------------

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
