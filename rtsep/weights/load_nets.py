"""A model's nets, ready to run: the weights loaded and packed, two stems at a time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from rtsep.nets.registry import ModelConfig
from rtsep.nets.unet import UNet
from rtsep.weights import library as weights
from rtsep.weights.download import ByteProgress
from rtsep_kernels.precision import Precision

# Stems that are packed at the same time. NumPy packs without Python's lock.
AT_ONCE = 2


def load_nets(
    config: ModelConfig,
    progress: ByteProgress | None = None,
    stems: Sequence[str] | None = None,
    precision: Precision = "f32",
) -> list[UNet]:
    """The net of each of `stems`, in their order; of all of `config.net_stems` for None.

    Weights that are not there are fetched first. They are read array by array while they are packed, so
    that no more than AT_ONCE arrays are held twice. Raises WeightsError.
    """
    arrays = weights.load(config, progress)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(
            pool.map(
                lambda stem: UNet(config, arrays[stem], precision),
                config.net_stems if stems is None else stems,
            )
        )
