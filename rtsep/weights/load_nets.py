"""A model's nets, ready to run: the weights loaded and packed, one stem after another."""

from __future__ import annotations

from collections.abc import Sequence

from rtsep.nets.registry import ModelConfig
from rtsep.nets.unet import UNet
from rtsep.weights import library as weights
from rtsep.weights.download import ByteProgress


def load_nets(
    config: ModelConfig, progress: ByteProgress | None = None, stems: Sequence[str] | None = None
) -> list[UNet]:
    """The net of each of `stems`, in their order; of all of `config.stems` for None.

    Weights that are not there are fetched first. A stem's mapped file pages are let go once it is
    packed, so that no more than one stem is held twice. Raises WeightsError.
    """
    arrays = weights.load(config, progress)
    return [UNet(config, arrays.pop(stem)) for stem in (config.stems if stems is None else stems)]
