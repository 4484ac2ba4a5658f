"""The only size arithmetic of convolution and transposed convolution.

Images are [time][frequency][channel]; axis 0 is time, axis 1 frequency. A `ConvShape` describes a
convolution from a large image to a small one; the transposed convolution of the same shape goes the
other way. TensorFlow's `same` padding: the small image has ceil(large / stride) pixels, and of the
zeros around the large image the odd one goes behind; a transposed convolution has
large = small * stride. Another convention is another way to a ConvShape.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Pair = tuple[int, int]


@dataclass(frozen=True)
class ConvShape:
    """Geometry of a convolution; every pair is (time, frequency).

    large: pixels of the image that is convolved (of the result, when transposed).
    small: pixels of the result (of the input, when transposed).
    before: zeros in front of the large image. Those behind follow from the rest.
    """

    large: Pair
    small: Pair
    kernel: Pair
    stride: Pair
    dilation: Pair
    before: Pair

    @property
    def taps(self) -> int:
        """Taps of the kernel."""
        return self.kernel[0] * self.kernel[1]

    @property
    def small_pixels(self) -> int:
        """Pixels of the small image."""
        return self.small[0] * self.small[1]


def _span(kernel: int, dilation: int) -> int:
    return (kernel - 1) * dilation + 1


def tensorflow_same(
    large: Pair, kernel: Pair, stride: Pair = (1, 1), dilation: Pair = (1, 1)
) -> ConvShape:
    """ConvShape of a convolution with TensorFlow's ``padding="same"``."""
    small, before = [], []
    for size, k, s, d in zip(large, kernel, stride, dilation):
        out = -(-size // s)
        total = max((out - 1) * s + _span(k, d) - size, 0)
        small.append(out)
        before.append(total // 2)
    return ConvShape(large, _pair(small), kernel, stride, dilation, _pair(before))


def tensorflow_same_transposed(
    small: Pair, kernel: Pair, stride: Pair = (1, 1), dilation: Pair = (1, 1)
) -> ConvShape:
    """ConvShape of a transposed convolution with TensorFlow's ``padding="same"``."""
    large = small[0] * stride[0], small[1] * stride[1]
    return tensorflow_same(large, kernel, stride, dilation)


def thin_taps() -> list[tuple[int, int, Pair]]:
    """Taps of a 5x5 stride-2 transposed convolution as sub-pixel phases: (row, column, phase).

    Row and column (0..2) are those of the 3x3 neighbourhood of the input pixel; phase (p, q) is the
    place of the output pixel in its 2x2 cell. An even phase sees two rows, an odd one three.
    """
    return [
        (row, column, (p, q))
        for row in range(3)
        for column in range(3)
        for p in range(2)
        for q in range(2)
        if row < 2 + p and column < 2 + q
    ]


# Kernel rows that reach an output row of even / odd parity, in the order of the input rows m - 1,
# m, (m + 1): output o = 2 i + k - 1 (one row of padding in front), so k = o + 1 - 2 i.
SUBPIXEL_TAPS = ((3, 1), (4, 2, 0))


def _pair(values: Iterable[int]) -> Pair:
    first, second = values
    return int(first), int(second)
