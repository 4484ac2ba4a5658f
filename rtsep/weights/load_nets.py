"""A model's nets, ready to run: the weights loaded and packed, two nets at a time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from rtsep.nets.kind import Net
from rtsep.nets.kinds import kind_of, net_name, nets_of
from rtsep.nets.registry import ModelConfig
from rtsep.weights import library as weights
from rtsep.weights.download import ByteProgress
from rtsep_kernels.precision import Precision

# Nets that are packed at the same time. NumPy packs without Python's lock.
AT_ONCE = 2


def load_nets(
    config: ModelConfig,
    progress: ByteProgress | None = None,
    stems: Sequence[str] | None = None,
    precision: Precision = "f32",
) -> list[Net]:
    """The nets that compute `stems`, all of `config.net_stems` for None (kinds.nets_of), in order.

    Weights that are not there are fetched first. They are read array by array while they are packed, so
    that no more than AT_ONCE arrays are held twice. Raises WeightsError.
    """
    arrays = weights.load(config, progress)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(
            pool.map(
                lambda net: kind_of(config).net(config, arrays[net_name(net)], precision),
                nets_of(config, stems),
            )
        )
