"""In which precision nets are computed, and what suits this processor.

f32         weights and activations in float32
weights16   weights in 16 bits, arithmetic in float32: as fast, and half the weights' memory
bf16        weights and activations in bfloat16, sums in float32
auto        bf16 where that is measured to be faster, else weights16; f32 with the plain kernels,
            which know nothing else

This module alone is imported without the kernels: they are loaded when a choice is made.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

# float32; weights in 16 bits for images of float32; weights and images in 16 bits.
Precision = Literal["f32", "weights16", "bf16"]
AUTO = "auto"
PRECISIONS = (AUTO, *get_args(Precision))

# Peak of products of pairs, over float32's, from which on they are worth their rounding.
WORTH_IT = 1.5


class ChosenPrecision(NamedTuple):
    """A precision that the kernels of this process have.

    why: in words that follow its name.
    """

    precision: Precision
    why: str


def choose_precision(name: str) -> ChosenPrecision:
    """The precision called `name`, one of PRECISIONS; for ``auto`` the one that suits this processor.

    Raises ValueError, which says what is missing, where the kernels or the processor do not have it.
    """
    from . import jit

    if name == AUTO:
        return _suitable()
    if name != "f32" and not jit.VECTOR:
        raise ValueError("it needs vector kernels: choose f32, or leave RTSEP_KERNELS out")
    if name == "bf16" and jit.PAIRS == "none" and not jit.DOT_ASKED:
        raise ValueError(
            "this processor has no products of bfloat16: choose weights16 or auto, or set RTSEP_DOT=none"
            " for a slow imitation"
        )
    return ChosenPrecision(name, "as asked for")  # type: ignore[arg-type]


def _suitable() -> ChosenPrecision:
    from . import jit
    from .peaks import gain_of_pairs

    if not jit.VECTOR:
        return ChosenPrecision("f32", "auto: the plain kernels know nothing else")
    if jit.PAIRS == "none":
        return ChosenPrecision("weights16", "auto: this processor has no products of bfloat16")
    gain = gain_of_pairs()
    why = f"auto: here products of bfloat16 are {gain:.1f} times as fast as float32's"
    return ChosenPrecision("bf16" if gain >= WORTH_IT else "weights16", why)
