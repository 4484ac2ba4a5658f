"""PyTorch's conventions for convolutions as a ConvShape: what the tests of any geometry draw from."""

from __future__ import annotations

from rtsep_kernels.shapes import ConvShape, Pair


def torch_padding(
    large: Pair,
    kernel: Pair,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
) -> ConvShape:
    """ConvShape of PyTorch's conv2d; raises ValueError where the kernel exceeds the image."""
    height, width = (
        (large[i] + 2 * padding[i] - (kernel[i] - 1) * dilation[i] - 1) // stride[i] + 1
        for i in range(2)
    )
    return _checked(ConvShape(large, (height, width), kernel, stride, dilation, padding))


def torch_padding_transposed(
    small: Pair,
    kernel: Pair,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    output_padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
) -> ConvShape:
    """ConvShape of PyTorch's conv_transpose2d; raises ValueError where nothing would be left."""
    height, width = (
        (small[i] - 1) * stride[i]
        - 2 * padding[i]
        + (kernel[i] - 1) * dilation[i]
        + 1
        + output_padding[i]
        for i in range(2)
    )
    return _checked(ConvShape((height, width), small, kernel, stride, dilation, padding))


def _checked(shape: ConvShape) -> ConvShape:
    if min(*shape.large, *shape.small) < 1:
        raise ValueError(f"no image is left: {shape}")
    return shape
