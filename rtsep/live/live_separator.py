"""The live interface: blocks of sound in, the mix of the separated stems out, a constant time later.

live_separator.py    what is asked for: the engine is made, and made anew
live_stream.py       blocks through the engine
live_readings.py     what may be asked and set meanwhile
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from rtsep.constants import SAMPLE_RATE
from rtsep.dsp.array_input import check_rate
from rtsep.dsp.channels import NET_CHANNELS, check_channels
from rtsep.live.device_adapter import MIX, MIX_AND_STEMS
from rtsep.live.live_stream import LiveStream
from rtsep.live.session import SessionSettings
from rtsep.live.stem_gains import check_gains
from rtsep.nets.registry import stem_names

if TYPE_CHECKING:
    from rtsep.weights.download import ByteProgress


class LiveSeparator(LiveStream):
    """Separates a stream of blocks while it plays.

    The nets run on threads of their own. `process` takes the next block and gives as many samples of
    the mix, `latency_samples` later. It does not wait for a net, unless `paced` is false, the plan has
    no compute delay, or blocks come at once, one upon the other (asked_ahead.py). Where masks are late
    the last ones are held and that is counted.

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
        Go over to a longer plan by itself while this one is too much for the machine, and back. Then the
        latency changes, and a part of the sound as long as the difference is heard twice, or left out.
    paced : bool
        False for sound that nobody waits for, such as a file's: `process` then waits for the nets, so
        that no mask is late, and every run gives the same samples.
    precision : {'auto', 'f32', 'weights16', 'bf16'}, optional
        Of the nets: all in float32, weights in 16 bits, or weights and activations in bfloat16; ``auto``
        takes the fastest. By default the environment's RTSEP_PRECISION, else ``auto`` where `paced` and
        ``f32`` where not.
    progress : callable, optional
        Called while weights are fetched, see rtsep.weights.download.
    say : callable, optional
        Is told in a line when the nets are timed and when the plan changes, from any thread.

    Raises
    ------
    UsageError
        For an unknown name, an impossible rate, gain or latency, and for a precision that this processor
        has not.
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
        precision: str | None = None,
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
            precision=precision,
        )
        maker = EngineMaker(settings, progress=lambda: nullcontext(progress), say=say)
        rate, channels = check_rate(sample_rate), check_channels(channels)
        self._remake = maker
        super().__init__(maker(), heard=MIX_AND_STEMS if separate_stems else MIX, paced=paced)
        self.set_format(rate, channels, channels)
        self.start()

    def reset(self) -> None:
        """Forget all sound and all counts, as for another recording; plan and gains stay.

        Takes about as long as the constructor, without loading the nets. Raises UsageError after
        `close`.
        """
        self._check_open()
        old, adapter = self._engine, self._adapter
        engine = self._remake(old.plan)
        engine.gains[:], engine.bypass = old.gains, old.bypass
        self._stop()
        self._engine = self._gains.target = engine
        self.set_format(adapter.rate, adapter.channels_in, self._channels_out)
        self.start()
