"""What happens to a layer's sums before they are stored: bias, batch norm, activation.

    raw = sum + bias                 stored as the skip connection where there is one
    y   = post(act(pre(raw)))        pre, post: x * scale + shift per channel

An encoder layer normalises before the activation, a decoder layer after it; the other affine map is
the identity. The five vectors stand together as `epilogue[5][channels]`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .jit import kernel
from .records import Activation, Array, Real

PIECEWISE, ELU, SIGMOID = 0, 1, 2

# GELU in its form with tanh (Hendrycks, Gimpel, 2016), x * sigmoid(x * (a + b * x * x)):
# a = 2 * sqrt(2 / pi), b = 0.044715 * a.
GELU_LINEAR = 1.5957691216057308
GELU_CUBIC = 0.044715 * GELU_LINEAR

# name: (code, slope left of zero)
ACTIVATIONS = {
    "linear": (PIECEWISE, 1.0),
    "relu": (PIECEWISE, 0.0),
    "leaky_relu": (PIECEWISE, 0.2),
    "elu": (ELU, 0.0),
    "sigmoid": (SIGMOID, 0.0),
}


def activation(name: str) -> Activation:
    """The activation called `name`; raises ValueError naming the known ones."""
    try:
        code, slope = ACTIVATIONS[name]
    except KeyError:
        known = ", ".join(ACTIVATIONS)
        raise ValueError(f"unknown activation {name!r}: choose one of {known}") from None
    return Activation(code, np.float32(slope))


def epilogue_parameters(
    channels: int,
    bias: ArrayLike | None = None,
    pre_scale: ArrayLike | None = None,
    pre_shift: ArrayLike | None = None,
    post_scale: ArrayLike | None = None,
    post_shift: ArrayLike | None = None,
) -> Array:
    """The `epilogue[5][channels]` array, float32; what is not given is the identity."""
    parameters = np.zeros((5, channels), np.float32)
    parameters[[1, 3]] = 1.0
    for row, values in enumerate((bias, pre_scale, pre_shift, post_scale, post_shift)):
        if values is not None:
            parameters[row] = values
    return parameters


@kernel(inline="always")
def exp_f32(x: Real) -> Real:
    """exp(x), float32, clamped to |x| <= 87; NaN goes through. Polynomial as in vector.py."""
    if x > np.float32(87.0):
        x = np.float32(87.0)
    if x < np.float32(-87.0):
        x = np.float32(-87.0)
    # floor, not the magic number of vector.py: callers may let LLVM reassociate, which cancels it.
    n = np.floor(x * np.float32(1.44269504088896341) + np.float32(0.5))
    r = x - n * np.float32(0.693359375)
    r = r + n * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    y = p * (r * r) + r + np.float32(1.0)
    return y * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@kernel(inline="always")
def sigmoid_f32(x: Real) -> Real:
    """1 / (1 + exp(-x)), float32."""
    return np.float32(1.0) / (np.float32(1.0) + exp_f32(-x))


@kernel(inline="always")
def gelu_f32(x: Real) -> Real:
    """GELU in its form with tanh, float32; NaN goes through."""
    u = x * (np.float32(GELU_LINEAR) + np.float32(GELU_CUBIC) * x * x)
    positive = u > np.float32(0.0)
    # The exponent is never positive: no x is too large.
    power = exp_f32(-u if positive else u)
    return x * (np.float32(1.0) if positive else power) / (np.float32(1.0) + power)


@kernel(inline="always")
def activate_f32(x: Real, act: Activation) -> Real:
    """The activation `act` of one float32."""
    if act.code == PIECEWISE:
        return x if x > np.float32(0.0) else x * act.slope
    if act.code == ELU:
        return x if x > np.float32(0.0) else exp_f32(x) - np.float32(1.0)
    return sigmoid_f32(x)


@kernel
def apply_epilogue(sums: Array, epilogue: Array, act: Activation, skip: Array, y: Array) -> None:
    """Apply an epilogue to a whole image: the general way's last step.

    sums, y: (time, frequency, channels) float32, y may be sums itself.
    skip: the same shape, receives sums + bias; an array of size 0 where no skip is wanted.
    Real-time safe.
    """
    for t in range(sums.shape[0]):
        for f in range(sums.shape[1]):
            for c in range(sums.shape[2]):
                raw = sums[t, f, c] + epilogue[0, c]
                if skip.size > 0:
                    skip[t, f, c] = raw
                x = activate_f32(raw * epilogue[1, c] + epilogue[2, c], act)
                y[t, f, c] = x * epilogue[3, c] + epilogue[4, c]
