"""What the header of one's own weights says of the nets, so that nothing else need be kept beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rtsep.nets.kinds import KINDS, kind_of, net_name, nets_of
from rtsep.nets.registry import REST, UNET, ModelConfig
from rtsep.nets.structure import Structure

ACTIVATIONS = ("leaky_relu", "relu", "elu")
OUTPUTS = ("sigmoid", "softmax")
BINS_MAX = 2048


@dataclass(frozen=True)
class Network:
    """The part of a ModelConfig that its weights fit; see there.

    Raises ValueError or TypeError where it is none.
    """

    encoder_activation: str
    decoder_activation: str
    output: str
    bins: int
    has_rest: bool
    kind: str = UNET
    structure: Structure | None = None

    def __post_init__(self) -> None:
        if not (
            self.encoder_activation in ACTIVATIONS
            and self.decoder_activation in ACTIVATIONS
            and self.output in OUTPUTS
            and type(self.bins) is int
            and 0 < self.bins <= BINS_MAX
            and type(self.has_rest) is bool
            and not (self.has_rest and self.output == "softmax")
            and self.kind in KINDS
        ):
            raise ValueError("no network of rtsep's")
        expected = KINDS[self.kind].structure
        if (self.structure is None) != (expected is None) or (
            expected is not None and type(self.structure) is not expected
        ):
            raise ValueError(f"a {self.kind} of another structure")
        kind = kind_of(config := self.config("", ("",)))
        _, bin_grid = kind.window_grid(config)
        if self.bins % bin_grid:
            raise ValueError(f"{self.bins} bins are no multiple of {bin_grid}")
        if self.bins < kind.least_bins(config):
            raise ValueError(f"{self.bins} bins are fewer than {kind.least_bins(config)}")

    def as_text(self) -> str:
        """As it stands in the header; what Spleeter's U-Net does not need is left out."""
        values = asdict(self)
        if self.structure is None:
            del values["structure"]
        if self.kind == UNET:
            del values["kind"]
        return json.dumps(values, sort_keys=True)

    @classmethod
    def from_text(cls, text: str) -> Network:
        """The network that `as_text` gave; raises ValueError, TypeError or RecursionError."""
        values: dict[str, Any] = json.loads(text)
        if not isinstance(values, dict):
            raise TypeError("no network of rtsep's")
        structure = values.pop("structure", None)
        if structure is not None:
            values["structure"] = structure_of(values.get("kind", UNET), structure)
        return cls(**values)

    @classmethod
    def of(cls, config: ModelConfig) -> Network:
        """The part of a configuration that stands in the header."""
        return cls(
            config.encoder_activation,
            config.decoder_activation,
            config.output,
            config.bins,
            config.has_rest,
            config.kind,
            config.structure,
        )

    def config(self, name: str, stems: tuple[str, ...]) -> ModelConfig:
        """The model called `name` with these networks; stems: those that have one."""
        return ModelConfig(
            name=name,
            weights_name=name,
            stems=(*stems, REST) if self.has_rest else stems,
            encoder_activation=self.encoder_activation,
            decoder_activation=self.decoder_activation,
            output=self.output,
            bins=self.bins,
            has_rest=self.has_rest,
            kind=self.kind,
            structure=self.structure,
        )


def structure_of(kind: str, values: Mapping[str, Any]) -> Structure:
    """The structure of a kind of network, from JSON; raises ValueError or TypeError."""
    expected = KINDS[kind].structure if kind in KINDS else None
    if expected is None:
        raise ValueError(f"{kind} has no structure")
    return expected.from_json(values)


def expected_arrays(network: str, stems: tuple[str, ...]) -> dict[str, dict[str, tuple[int, ...]]]:
    """Name and shape of every array, by net, of a file of weights with these stems.

    network: from the header; empty for Spleeter's. Raises ValueError, TypeError or RecursionError.
    """
    if not network:
        return {stem: KINDS[UNET].shapes(_SPLEETERS) for stem in stems}
    config = Network.from_text(network).config("", stems)
    return {net_name(net): kind_of(config).shapes(config) for net in nets_of(config)}


_SPLEETERS = ModelConfig("", "", ("",), "elu", "elu", "sigmoid")
