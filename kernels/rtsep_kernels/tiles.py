"""The micro-kernels of the chosen kernel set: vector code or plain Numba, under the same names."""

from .jit import VECTOR

if VECTOR:
    from .micro import GEMM_MR, GEMM_NR, gemm_tile
    from .micro_conv import conv_row_narrow, conv_row_wide
    from .micro_dense import dense_row
    from .micro_planes import planes_row
    from .micro_thin import thin_tile
else:
    from .micro_plain import (
        GEMM_MR,
        GEMM_NR,
        conv_row_narrow,
        conv_row_wide,
        dense_row,
        gemm_tile,
        planes_row,
        thin_tile,
    )

__all__ = [
    "GEMM_MR",
    "GEMM_NR",
    "conv_row_narrow",
    "conv_row_wide",
    "dense_row",
    "gemm_tile",
    "planes_row",
    "thin_tile",
]
