"""All that a training follows from, as data: which nets, on what, how long, how. Spleeter's by default.

The defaults are those of Spleeter's own training (Hennequin et al., JOSS 2020, and its published
configurations): windows of 512 frames by 1024 bins, batches of 4, Adam with a rate of 1e-4, half of
the first three upward layers dropped, batch norm with momentum 0.99, and as the loss the mean absolute
error of the masked magnitudes, summed over the stems.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from rtsep.constants import FRAME_LENGTH, HOP
from rtsep.errors import UsageError
from rtsep.nets.kinds import KINDS, UNET_GRID, check_window
from rtsep.nets.registry import BINS_11KHZ, OFFICIAL_FRAMES, REST, UNET, ModelConfig
from rtsep.nets.structure import Structure
from rtsep.weights.network import ACTIVATIONS, BINS_MAX, OUTPUTS, structure_of
from rtsep.weights.own_models import check_stem_name

MAGNITUDE, SPECTRUM, SDR, SI_SDR = LOSSES = ("magnitude", "spectrum", "sdr", "si-sdr")
DEVICES = ("auto", "cpu", "cuda")
DEFAULT_STEPS = 200_000


def _check(name: str, value: float, least: float, most: float, above: bool = False) -> None:
    if not (least <= value <= most) or (above and value == least):
        bound = "more than" if above else "at least"
        upper = "" if most == math.inf else f" and at most {most:g}"
        raise UsageError(f"{name} must be {bound} {least:g}{upper}: got {value:g}")


@dataclass(frozen=True)
class Augmentation:
    """What is done to the stems before they are mixed; all off is Spleeter's recipe.

    Attributes
    ----------
    gain_db : float
        Every stem is made up to so much louder or quieter.
    swap : bool
        Left and right of a stem change places every other time.
    speed : float
        Up to this part faster or slower, pitch and all.
    equalise_db : float
        Every octave of a stem is made up to so much louder or quieter, with slopes between them.
    remix : float
        Probability, for each stem, to come from another song than the first.
    silence : float
        Probability, for each stem, to be silent.
    """

    gain_db: float = 0.0
    swap: bool = False
    speed: float = 0.0
    equalise_db: float = 0.0
    remix: float = 0.0
    silence: float = 0.0

    def __post_init__(self) -> None:
        _check("gain_db", self.gain_db, 0, 40)
        _check("speed", self.speed, 0, 0.5)
        _check("equalise_db", self.equalise_db, 0, 40)
        _check("remix", self.remix, 0, 1)
        _check("silence", self.silence, 0, 0.9)

    @property
    def is_on(self) -> bool:
        """Whether anything is done at all: then a mixture is the sum of its stems."""
        return self != Augmentation()


# What to begin with where there are few songs.
USUAL_AUGMENTATION = Augmentation(
    gain_db=6.0, swap=True, speed=0.05, equalise_db=6.0, remix=0.5, silence=0.1
)


@dataclass(frozen=True)
class Recipe:
    """A training, as data; see the options of rtsep-train.

    Attributes
    ----------
    stems : tuple of (str, tuple of str)
        Name of each net's stem, and the stems of the songs that it is the sum of.
    rest : tuple of str
        Stems of the songs that no net is for.
    frames, bins : int
        T and F of a window, multiples of 64.
    network : str
        Kind of the nets, see nets/kinds.py.
    structure : Structure or None
        See ModelConfig.
    encoder_activation, decoder_activation, output : str
        See ModelConfig.
    steps, batch : int
        How many steps, and windows in each.
    every : int
        Steps from one evaluation, with its checkpoint, to the next.
    patience : int
        Evaluations without a better one after which the training ends; 0 never ends it.
    loss : str
        One of LOSSES.
    learning_rate, dropout : float
    average : float
        Decay of the moving average of the weights that is evaluated and kept; 0 for none.
    mixed_precision : bool
        Compute in bfloat16 where torch thinks that enough.
    seed : int
    sources : tuple of (str, str)
        For each stem, whose net it starts from, as ``spleeter:2stems/vocals``; empty from none.
    taken : tuple of str
        Layers that are taken over from there.
    frozen : tuple of str
        Layers that are not trained.
    augmentation : Augmentation
    """

    stems: tuple[tuple[str, tuple[str, ...]], ...]
    rest: tuple[str, ...] = ()
    frames: int = OFFICIAL_FRAMES
    bins: int = BINS_11KHZ
    network: str = UNET
    structure: Structure | None = None
    encoder_activation: str = "leaky_relu"
    decoder_activation: str = "relu"
    output: str = "sigmoid"
    steps: int = DEFAULT_STEPS
    batch: int = 4
    every: int = 1000
    patience: int = 0
    loss: str = MAGNITUDE
    learning_rate: float = 1e-4
    dropout: float = 0.5
    average: float = 0.0
    mixed_precision: bool = False
    seed: int = 0
    sources: tuple[tuple[str, str], ...] = ()
    taken: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    augmentation: Augmentation = Augmentation()

    def __post_init__(self) -> None:
        for stem, _ in self.stems:
            check_stem_name(stem)
        if not self.stems or not (self.rest or len(self.stems) > 1):
            raise UsageError(
                f"nets for {', '.join(self.names) or 'no stem'} leave nothing: a training needs another"
                " stem, or songs with other sounds"
            )
        for name in ("frames", "bins"):
            value = getattr(self, name)
            if self.network == UNET and (value < UNET_GRID or value % UNET_GRID):
                raise UsageError(f"{name} must be a positive multiple of {UNET_GRID}: got {value}")
        if self.bins > BINS_MAX:
            raise UsageError(f"bins must be at most {BINS_MAX}: got {self.bins}")
        for name, known in (
            ("encoder_activation", ACTIVATIONS),
            ("decoder_activation", ACTIVATIONS),
            ("output", OUTPUTS),
            ("loss", LOSSES),
        ):
            if getattr(self, name) not in known:
                raise UsageError(
                    f"{name} must be one of {', '.join(known)}: got {getattr(self, name)!r}"
                )
        if self.network not in KINDS:
            raise UsageError(f"network must be one of {', '.join(KINDS)}: got {self.network!r}")
        if type(self.structure) is not (KINDS[self.network].structure or type(None)):
            raise UsageError(f"the structure of a {self.network} cannot be {self.structure}")
        check_window(self.config("this training"), self.frames)
        if self.output == "softmax" and self.rest:
            raise UsageError(
                f"with a softmax the nets share everything: {', '.join(self.rest)} of the songs must"
                " be in one of the stems"
            )
        for name in ("steps", "batch", "every"):
            _check(name, getattr(self, name), 1, math.inf)
        _check("learning_rate", self.learning_rate, 0, 1, above=True)
        _check("dropout", self.dropout, 0, 0.95)
        _check("average", self.average, 0, 0.99999)

    @property
    def names(self) -> tuple[str, ...]:
        """The stems that have nets, in order."""
        return tuple(stem for stem, _ in self.stems)

    @property
    def window_samples(self) -> int:
        """Samples that a window of frames covers."""
        return (self.frames - 1) * HOP + FRAME_LENGTH

    def config(self, name: str) -> ModelConfig:
        """The model that comes of it, called `name`."""
        return ModelConfig(
            name,
            name,
            (*self.names, REST) if self.rest else self.names,
            self.encoder_activation,
            self.decoder_activation,
            self.output,
            self.bins,
            bool(self.rest),
            self.network,
            self.structure,
        )

    def as_json(self) -> dict[str, Any]:
        """As JSON has it; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Recipe:
        """The recipe that `as_json` gave."""
        known = {field.name for field in fields(cls)}
        made: dict[str, Any] = {name: _tuples(v) for name, v in values.items() if name in known}
        made["augmentation"] = Augmentation(**values["augmentation"])
        if made.get("structure") is not None:
            made["structure"] = structure_of(made["network"], values["structure"])
        return cls(**made)

    def differences(self, other: Recipe) -> list[str]:
        """What a training with this recipe cannot go on with in `other`, in words.

        How long to train, and how often to look, may change on the way.
        """
        mine, theirs = (
            json.loads(json.dumps(self.as_json())),
            json.loads(json.dumps(other.as_json())),
        )
        free = ("steps", "every", "patience")
        return [
            f"{name} {theirs[name]}, not {mine[name]}"
            for name in mine
            if name not in free and mine[name] != theirs[name]
        ]


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, (list, tuple)) else value
