"""Handwritten Numba kernels for convolutional nets on images of [time][frequency][channel].

Two ways through every layer: `general` (im2col, GEMM, col2im: any geometry) and `fast` (direct and
sub-pixel, row ranges, for the shapes the nets use). `reference` is NumPy. This package knows
arrays, not audio: it needs NumPy and Numba only and imports nothing else of rtsep.
"""
