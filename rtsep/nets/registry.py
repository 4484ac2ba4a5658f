"""The models rtsep knows, as data: stems, kind of network, activations, bandwidth.

A model is a set of networks of one kind and shape, one per stem, or one for all of them (kinds.py). The
11 kHz and 16 kHz variants of Spleeter's share their weights: its U-Net is fully convolutional, only the
number of frequency bins it is shown differs. Its configurations after Hennequin et al., "Spleeter: a
fast and efficient music source separation tool with pre-trained models" (JOSS 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rtsep.errors import UsageError
from rtsep.nets.d3net_steps import D3NetStructure
from rtsep.nets.player_transformer_arrays import PlayerTransformerStructure
from rtsep.nets.player_unet_arrays import PlayerUNetStructure
from rtsep.nets.structure import Structure

OFFICIAL_FRAMES = 512

# Spleeter's.
UNET = "unet"
PLAYER_UNET = "player-unet"
D3NET = "d3net"
PLAYER_TRANSFORMER = "player-transformer"

BINS_11KHZ = 1024
BINS_16KHZ = 1536
SUFFIX_16KHZ = "-16kHz"

# `no_vocals` is everything but the vocals.
WITHOUT = "no_"
# What several stems without nets of their own are called together.
REST = "rest"


@dataclass(frozen=True)
class ModelConfig:
    """What distinguishes one model from another.

    Attributes
    ----------
    name : str
        As on the command line, e.g. ``spleeter:2stems`` or ``spleeter:2stems-16kHz``.
    weights_name : str
        The name its weights are stored under (shared by both bandwidths).
    stems : tuple of str
        In the order of the checkpoint's variables.
    encoder_activation, decoder_activation : str
        ``leaky_relu`` (slope 0.2), ``relu`` or ``elu``.
    output : str
        ``sigmoid`` per stem, or ``softmax`` across the stems' logits.
    bins : int
        Frequency bins the network sees, from 0 Hz up (a multiple of 64).
    has_rest : bool
        The last stem has no network: it is what the others leave of the sound.
    kind : str
        Of the networks, one of kinds.KINDS.
    structure : Structure or None
        How large they are, where their kind leaves it open.
    underrated : tuple of str
        Stems whose masks are too low where the network has seen little of what comes after; see
        plan.UNDERRATED_WEIGHTS.
    """

    name: str
    weights_name: str
    stems: tuple[str, ...]
    encoder_activation: str
    decoder_activation: str
    output: str
    bins: int = BINS_11KHZ
    has_rest: bool = False
    kind: str = UNET
    structure: Structure | None = None
    underrated: tuple[str, ...] = ()

    @property
    def net_stems(self) -> tuple[str, ...]:
        """The stems with a network of their own."""
        return self.stems[:-1] if self.has_rest else self.stems

    def members(self, name: str) -> tuple[str, ...]:
        """The stems that make up the output `name`: a stem, or all but one for ``no_`` and a stem.

        Raises UsageError naming what there is.
        """
        if name in self.stems:
            return (name,)
        without = name.removeprefix(WITHOUT)
        if name.startswith(WITHOUT) and without in self.stems:
            return tuple(stem for stem in self.stems if stem != without)
        known = ", ".join([*self.stems, *(WITHOUT + stem for stem in self.stems)])
        raise UsageError(f"{self.name} has no stem {name!r}: choose from {known}")

    def outputs(self, alone: Sequence[str] | None = None) -> tuple[str, ...]:
        """What a live stream gives out: every stem, or the stems of `alone` and what they leave.

        alone: stems whose nets run without the others. What they leave is called by its name where
        it is one stem, else REST. Raises UsageError where the model's nets cannot run so.
        """
        if alone is None and self.has_rest:
            raise UsageError(
                f"{self.name} has no ratio mask, since {self.stems[-1]} has no net: let its nets run"
                " independently"
            )
        if alone is None:
            return self.stems
        for stem in alone:
            if stem not in self.net_stems:
                raise UsageError(
                    f"{self.name} has no stem {stem!r}: choose from {', '.join(self.net_stems)}"
                )
        if self.output == "softmax":
            raise UsageError(
                f"the nets of {self.name} cannot run without each other, since its masks are a softmax"
                " across all of them: run them all, with the ratio mask"
            )
        left = [stem for stem in self.stems if stem not in alone]
        if not alone or not left or len(set(alone)) < len(alone):
            raise UsageError(
                f"stems that run alone must be some, not all, of {', '.join(self.stems)}: got "
                f"{', '.join(alone) or 'none'}"
            )
        return (*alone, left[0] if len(left) == 1 else REST)


_BASE = (
    ModelConfig(
        name="spleeter:2stems",
        weights_name="spleeter:2stems",
        stems=("vocals", "accompaniment"),
        encoder_activation="leaky_relu",
        decoder_activation="relu",
        output="sigmoid",
        # Measured; the other models' weights were not to be had.
        underrated=("vocals",),
    ),
    ModelConfig(
        name="spleeter:4stems",
        weights_name="spleeter:4stems",
        stems=("vocals", "drums", "bass", "other"),
        encoder_activation="elu",
        decoder_activation="elu",
        output="sigmoid",
    ),
    ModelConfig(
        name="spleeter:5stems",
        weights_name="spleeter:5stems",
        stems=("vocals", "piano", "drums", "bass", "other"),
        encoder_activation="elu",
        decoder_activation="elu",
        output="softmax",
    ),
)

# Networks that nobody has published weights of: untrained until some of one's own are imported.
_UNTRAINED = tuple(
    ModelConfig(
        name=kind,
        weights_name=kind,
        stems=("vocals", "drums", "bass", "other"),
        encoder_activation="leaky_relu",
        decoder_activation="relu",
        output="sigmoid",
        kind=kind,
        structure=structure,
    )
    for kind, structure in (
        (PLAYER_UNET, PlayerUNetStructure()),
        (D3NET, D3NetStructure()),
        (PLAYER_TRANSFORMER, PlayerTransformerStructure()),
    )
)

MODELS: dict[str, ModelConfig] = {}
for _config in _BASE:
    _wide = replace(_config, name=_config.name + SUFFIX_16KHZ, bins=BINS_16KHZ)
    MODELS |= {_config.name: _config, _wide.name: _wide}
MODELS |= {_config.name: _config for _config in _UNTRAINED}
UNPUBLISHED = tuple(_config.name for _config in _UNTRAINED)


def stem_names(stems: Sequence[str] | None) -> tuple[str, ...]:
    """The names in `stems`, none for None; raises UsageError for a string, which is one name."""
    if isinstance(stems, str):
        raise UsageError(f"stems must be a sequence of names: got {stems!r}; write [{stems!r}]")
    return tuple(stems or ())


def find_model(name: str) -> ModelConfig:
    """Return the configuration called `name`; raises UsageError naming the known ones."""
    try:
        return MODELS[name]
    except KeyError:
        known = ", ".join(MODELS)
        raise UsageError(f"unknown model {name!r}: choose one of {known}") from None
