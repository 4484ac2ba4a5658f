"""What a live session is asked for, and what follows: the model, the nets that run, the gains.

Here stands what the options of rtsep-monitor and the arguments of LiveSeparator mean. Every program asks
here which nets run:

    masking       nets                        masks                          outputs
    ratio         of all stems of the model   shared bin by bin among all    every stem
    independent   of the stems named          each net's own                 these, and what they leave
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from rtsep.errors import UsageError
from rtsep.live import DEFAULT_STEM, INDEPENDENT, MASKING, RATIO
from rtsep.live.plans.choice import AUTO
from rtsep.nets.precision import check_precision_name
from rtsep.nets.registry import MODELS, SUFFIX_16KHZ, ModelConfig
from rtsep.weights.library import model_named


@dataclass(frozen=True)
class SessionSettings:
    """What was asked for.

    Parameters
    ----------
    model : str or None
        Name of the model; None for the smallest that has the stems named.
    stems : tuple of str
        Stems to be heard; by default those with a gain, or the vocals, or with `muted` all others.
    muted : tuple of str
        Stems that are silent at first.
    gains : mapping of str to float
        Linear gain in the mix, by stem; 1 for the others.
    rest_gain : float
        Linear gain in the mix of the stems that are neither heard nor muted, times theirs in `gains`.
    latency : str
        A plan's name, a plan spelt out, a bound such as ``120ms``, or ``auto``; see plans/choice.py.
    masking : str or None
        One of MASKING, or None for ``ratio`` wherever the machine sustains it.
    separate_stems : bool
        Give out every stem beside the mix.
    on_late, auto_level, mask_extension
        As for engine.Engine.
    adaptive : bool
        Go over to a longer plan where this one is too much for the machine, and back.
    adjusting : bool
        Do so within what `latency` asks for: with ``auto`` to any longer plan, within a bound to those
        that are within it, with a name to fewer views, and not with a plan that is spelt out.
    changeable : bool
        Let another plan be asked for while it plays, see plans/ladder.py's `offers_of`.
    paced : bool
        False where the sound waits for the nets: then nothing is late, and nothing need be timed.
    retime : bool
        Time the nets on this machine anew.
    block_samples : int
        Samples per device block, 0 where that is not known.
    precision : str or None
        Of the nets, see nets/precision.py; None for what RTSEP_PRECISION says, else what suits `paced`.

    Raises
    ------
    UsageError
        For an unknown model, stem, masking or precision, a masking that the model's nets cannot do, and
        `adaptive` where nothing is paced.
    """

    model: str | None = None
    stems: tuple[str, ...] = ()
    muted: tuple[str, ...] = ()
    gains: Mapping[str, float] = field(default_factory=dict)
    rest_gain: float = 0.0
    latency: str = AUTO
    masking: str | None = None
    separate_stems: bool = False
    on_late: str = "hold"
    auto_level: bool = True
    mask_extension: str = "top"
    adaptive: bool = False
    adjusting: bool = False
    changeable: bool = False
    paced: bool = True
    retime: bool = False
    block_samples: int = 0
    precision: str | None = None

    def __post_init__(self) -> None:
        for stem in self.named:
            if stem not in self.config.stems:
                raise UsageError(
                    f"unknown stem {stem!r}: choose from {', '.join(self.config.stems)}"
                )
        if self.masking is not None and self.masking not in MASKING:
            raise UsageError(f"masking must be one of {', '.join(MASKING)}: got {self.masking!r}")
        check_precision_name(self.precision)
        if self.adaptive and not self.paced:
            raise UsageError("adaptive needs paced sound: with paced=False no mask is ever late")
        self.config.outputs(self.independent_stems(self.masking_choices[-1]))

    @property
    def named(self) -> set[str]:
        """The stems that were named in any way."""
        return {*self.stems, *self.muted, *self.gains}

    @cached_property
    def config(self) -> ModelConfig:
        """The model asked for, or the smallest that has every stem that was named."""
        return model_named(self.model) if self.model else _smallest_model(self.named)

    @property
    def default_stem(self) -> str:
        """What is heard where nothing was named: the vocals, or a model's first stem."""
        return DEFAULT_STEM if DEFAULT_STEM in self.config.stems else self.config.stems[0]

    @property
    def masking_choices(self) -> tuple[str, ...]:
        """The ways of masking to be considered, the better first."""
        if self.masking is not None:
            return (self.masking,)
        if self.config.has_rest:
            return (INDEPENDENT,)
        if self.separate_stems or self.config.output == "softmax":
            return (RATIO,)
        return (RATIO, INDEPENDENT)

    def independent_stems(self, masking: str) -> tuple[str, ...] | None:
        """The stems whose nets run without the others, in the model's order; None with all nets.

        Of stems that are all named, or all to be given out, the last is what the others leave.
        """
        if masking == RATIO:
            return None
        wanted = self.named or (
            set(self.config.stems) if self.separate_stems else {self.default_stem}
        )
        if self.config.has_rest and (self.separate_stems or self.config.stems[-1] in wanted):
            return self.config.net_stems
        chosen = tuple(stem for stem in self.config.stems if stem in wanted)
        return chosen if len(chosen) < len(self.config.stems) else chosen[:-1]

    def net_stems(self, masking: str) -> tuple[str, ...]:
        """The stems whose nets run, in the model's order."""
        return self.independent_stems(masking) or self.config.net_stems

    def outputs(self, masking: str) -> tuple[str, ...]:
        """The stems that are given out."""
        return self.config.outputs(self.independent_stems(masking))

    def mix_gains(self, masking: str) -> dict[str, float]:
        """Linear gain in the mix of each of `outputs`, among which are all that were named."""
        outputs = self.outputs(masking)
        heard = set(self.stems) or (
            set(outputs) if self.muted else set(self.gains) or {self.default_stem}
        )
        factors = dict.fromkeys(outputs, self.rest_gain)
        factors |= dict.fromkeys(heard, 1.0) | dict.fromkeys(self.muted, 0.0)
        return {stem: factors[stem] * self.gains.get(stem, 1.0) for stem in outputs}


def _smallest_model(named: set[str]) -> ModelConfig:
    named = named or {DEFAULT_STEM}
    fitting = [
        config
        for config in MODELS.values()
        if not config.name.endswith(SUFFIX_16KHZ) and named <= set(config.stems)
    ]
    if not fitting:
        known = sorted({stem for config in MODELS.values() for stem in config.stems})
        raise UsageError(
            f"no model has the stems {', '.join(sorted(named))} together: known stems are "
            f"{', '.join(known)}"
        )
    return min(fitting, key=lambda config: len(config.stems))
