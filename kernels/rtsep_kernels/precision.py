"""In which precision nets are computed: RTSEP_PRECISION, or what suits this processor.

f32         weights and activations in float32
weights16   weights in 16 bits, arithmetic in float32: as fast, and half the weights' memory
bf16        weights and activations in bfloat16, sums in float32
auto        bf16 where that is faster, else weights16; f32 with the plain kernels, which know
            nothing else
"""

from __future__ import annotations

import os
from typing import Literal, get_args

from .jit import VECTOR
from .pack import Precision
from .peaks import gain_of_pairs

Choice = Literal["auto", "f32", "weights16", "bf16"]

# Peak of products of pairs, over float32's, from which on they are worth their rounding.
WORTH_IT = 1.5


def choose_precision(default: Choice) -> Precision:
    """The precision that RTSEP_PRECISION asks for; without it, `default`'s.

    Raises ImportError, as a wrong RTSEP_KERNELS does, where it names none, or none that the chosen
    kernels have.
    """
    name = os.environ.get("RTSEP_PRECISION") or default
    if name not in get_args(Choice):
        known = ", ".join(get_args(Choice))
        raise ImportError(f"RTSEP_PRECISION={name!r} names no precision: choose one of {known}")
    if name == "auto":
        return _fitting()
    if name != "f32" and not VECTOR:
        raise ImportError(
            f"RTSEP_PRECISION={name!r} needs vector kernels: choose f32, or leave RTSEP_KERNELS out"
        )
    return name  # type: ignore[return-value]


def _fitting() -> Precision:
    if not VECTOR:
        return "f32"
    return "bf16" if gain_of_pairs() >= WORTH_IT else "weights16"
