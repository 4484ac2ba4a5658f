"""The only size arithmetic of convolution and transposed convolution.

Images are [time][frequency][channel]; axis 0 is time, axis 1 frequency. A `ConvShape` describes a
convolution from a large image to a small one; the transposed convolution of the same shape goes the
other way. Both conventions come down to how many zeros stand before and after the large image:

- PyTorch names the padding; a transposed convolution may name rows to append (`output_padding`).
- TensorFlow's `same` derives it: the small image has ceil(large / stride) pixels, and the odd zero
  goes behind. Its transposed convolution has large = small * stride.
"""

from __future__ import annotations

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


def tensorflow_same(large: Pair, kernel: Pair, stride: Pair = (1, 1), dilation: Pair = (1, 1)):
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
):
    """ConvShape of a transposed convolution with TensorFlow's ``padding="same"``."""
    large = small[0] * stride[0], small[1] * stride[1]
    return tensorflow_same(large, kernel, stride, dilation)


def torch_padding(
    large: Pair, kernel: Pair, stride: Pair = (1, 1), padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
):  # fmt: skip
    """ConvShape of PyTorch's conv2d; raises ValueError where the kernel exceeds the image."""
    small = []
    for size, k, s, p, d in zip(large, kernel, stride, padding, dilation):
        out = (size + 2 * p - _span(k, d)) // s + 1
        if out < 1:
            raise ValueError(
                f"kernel must fit the padded image: got kernel={k}, dilation={d}, image={size}, "
                f"padding={p}"
            )
        small.append(out)
    return ConvShape(large, _pair(small), kernel, stride, dilation, padding)


def torch_padding_transposed(
    small: Pair, kernel: Pair, stride: Pair = (1, 1), padding: Pair = (0, 0),
    output_padding: Pair = (0, 0), dilation: Pair = (1, 1),
):  # fmt: skip
    """ConvShape of PyTorch's conv_transpose2d; raises ValueError where nothing would be left."""
    large = []
    for size, k, s, p, o, d in zip(small, kernel, stride, padding, output_padding, dilation):
        out = (size - 1) * s - 2 * p + _span(k, d) + o
        if out < 1:
            raise ValueError(
                f"padding must leave some image: got padding={p}, image={size}, stride={s}, "
                f"kernel={k}"
            )
        large.append(out)
    return ConvShape(_pair(large), small, kernel, stride, dilation, padding)


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


def _pair(values) -> Pair:
    first, second = values
    return int(first), int(second)
