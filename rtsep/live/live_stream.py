"""A live stream through an engine: blocks of any length and rate in, the mix or the stems out.

block --> DeviceAdapter --> LiveEngine --> DeviceAdapter --> out
           to 44.1 kHz       the nets       and back
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsep.devices.clock_bridge import LONGEST_BLOCK
from rtsep.dsp.array_input import as_float32, check_rate
from rtsep.dsp.channels import NET_CHANNELS, check_channels
from rtsep.errors import UsageError
from rtsep.live.device_adapter import MIX, MIX_AND_STEMS, STEMS, DeviceAdapter
from rtsep.live.live_engine import LiveEngine
from rtsep.live.live_readings import LiveReadings
from rtsep.live.stem_gains import StemGains
from rtsep.system.memory import touched_zeros

if TYPE_CHECKING:
    from typing_extensions import Self

    from rtsep.live.recorder import Recorder


class LiveStream(LiveReadings):
    """What LiveSeparator does once it has an engine; see there what may be called from where.

    Parameters
    ----------
    engine : LiveEngine
        Separates; not started yet.
    heard : {'mix', 'stems', 'mix and stems'}
        What is given out, see DeviceAdapter.
    paced : bool
        False for sound that nobody waits for: `process` then waits for the nets.
    recorder : Recorder, optional
        Receives the engine's whole output.
    """

    def __init__(
        self,
        engine: LiveEngine,
        *,
        heard: str = MIX,
        paced: bool = True,
        recorder: Recorder | None = None,
    ) -> None:
        self._engine = engine
        self._heard, self._paced, self._recorder = heard, paced, recorder
        self._closed = False
        self._gains = StemGains(engine)
        # Ends the threads of an engine whose LiveSeparator was dropped without `close`.
        self._abandoned: weakref.finalize[Any, Any] | None = None

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
        self._mix_and_stems = touched_zeros((longest, channels_out), np.float32)

    @property
    def _outputs(self) -> int:
        """How many there are of what is given out, the mix and the stems."""
        stems = len(self._engine.stems)
        return {MIX: 1, STEMS: stems, MIX_AND_STEMS: 1 + stems}[self._heard]

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

    def __enter__(self) -> Self:
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
        """What devices are to call: it fills a block with all that is given out.

        The mix, or the stems side by side, or the mix and behind it the stems.
        """
        if self._heard == MIX_AND_STEMS:
            return self._process_mix_and_stems
        return self.process_stems if self._heard == STEMS else self.process

    def _process_mix_and_stems(
        self, block: NDArray[np.float32], out: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        self._adapter.process(self._samples(block), out)
        return out

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
