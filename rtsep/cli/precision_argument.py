"""The option that says how exactly a program's nets compute."""

from __future__ import annotations

import argparse

from rtsep_kernels.precision import PRECISIONS


def add_precision(parser: argparse._ActionsContainer, by_default: str) -> None:
    """Add `--precision`, None where it is not given; by_default: what that means, in words."""
    parser.add_argument(
        "--precision", choices=PRECISIONS,
        help="how the networks compute: f32 (float32), weights16 (weights in 16 bits, as fast), bf16"
        " (bfloat16), or auto: bf16 if this processor is faster in it, else weights16; see"
        f" docs/performance.md (default: RTSEP_PRECISION if that is set, else {by_default})",
    )  # fmt: skip
