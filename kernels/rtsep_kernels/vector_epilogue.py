"""The epilogue as vector code: activations, and the store that ends a tile. Plain: epilogue.py."""

from __future__ import annotations

from collections.abc import Callable

from . import vector as v
from .blocking import WIDTH
from .epilogue import GELU_CUBIC, GELU_LINEAR, PIECEWISE
from .products import store
from .records import Activation


def affine(builder: v.Builder, x: v.Value, scale: v.Value, shift: v.Value) -> v.Value:
    """x * scale + shift."""
    return v.multiply_add(builder, x, scale, shift)


def piecewise_linear(builder: v.Builder, x: v.Value, slopes: v.Value) -> v.Value:
    """x where x > 0, slope * x elsewhere: a NaN stays a NaN."""
    positive = builder.fcmp_ordered(">", x, v.constant(0.0, WIDTH))
    return builder.select(positive, x, builder.fmul(x, slopes))


def elu(builder: v.Builder, x: v.Value) -> v.Value:
    """x where x > 0, exp(x) - 1 elsewhere: a NaN stays a NaN."""
    zero = v.constant(0.0, WIDTH)
    positive = builder.fcmp_ordered(">", x, zero)
    power = v.exp_nonpositive(builder, builder.select(positive, zero, x))
    return builder.select(positive, x, builder.fsub(power, v.constant(1.0, WIDTH)))


def gelu(builder: v.Builder, x: v.Value) -> v.Value:
    """GELU in its form with tanh, as epilogue.gelu_f32: a NaN stays a NaN."""
    one = v.constant(1.0, WIDTH)
    curve = affine(
        builder,
        builder.fmul(x, x),
        v.constant(GELU_CUBIC, WIDTH),
        v.constant(GELU_LINEAR, WIDTH),
    )
    u = builder.fmul(x, curve)
    positive = builder.fcmp_ordered(">", u, v.constant(0.0, WIDTH))
    power = v.exp_nonpositive(builder, builder.select(positive, builder.fneg(u), u))
    share = builder.fdiv(builder.select(positive, one, power), builder.fadd(one, power))
    return builder.fmul(x, share)


def store_epilogue(
    builder: v.Builder,
    sums: list[list[v.Value]],
    epilogue: v.Value,
    act: Activation,
    skip: tuple[v.Value, v.Value] | None,
    output: tuple[v.Value, v.Value],
    pairs: bool,
) -> None:
    """Emit raw = sums + bias; skip <- raw, if there is one; output <- post(act(pre(raw))).

    sums: vectors [p][vector].
    skip, output: address of the first pixel's, and from one pixel to the next. pairs: what they hold
    is rounded to pairs of bfloat16.
    epilogue: address of the panel's parameters, [5][NR]: bias, pre scale, pre shift, post scale,
    post shift. act: of LLVM values; PIECEWISE (x for x > 0, slope * x otherwise: ReLU, LeakyReLU and
    the identity, by the slope) or ELU.
    """
    mr, nv = len(sums), len(sums[0])
    panel = nv * WIDTH

    def parameter(which: int, i: int) -> v.Value:
        offset = v.int64(which * panel + i * WIDTH)
        return v.load(builder, v.advance(builder, epilogue, offset), WIDTH)

    bias = [parameter(0, i) for i in range(nv)]
    raw = [[builder.fadd(sums[p][i], bias[i]) for i in range(nv)] for p in range(mr)]

    def pixel(image: tuple[v.Value, v.Value], p: int) -> v.Value:
        return v.advance(builder, image[0], builder.mul(image[1], v.int64(p)))

    if skip:
        for p in range(mr):
            store(builder, pairs, raw[p], pixel(skip, p))

    def store_all(activate: Callable[[v.Value], v.Value]) -> None:
        ended: list[list[v.Value]] = [[] for _ in range(mr)]
        for i in range(nv):
            pre = parameter(1, i), parameter(2, i)
            post = parameter(3, i), parameter(4, i)
            for p in range(mr):
                x = activate(affine(builder, raw[p][i], *pre))
                ended[p].append(affine(builder, x, *post))
        for p in range(mr):
            store(builder, pairs, ended[p], pixel(output, p))

    with builder.if_else(builder.icmp_signed("==", act.code, v.int64(PIECEWISE))) as (
        then,
        otherwise,
    ):
        with then:
            slopes = v.broadcast(builder, act.slope, WIDTH)
            store_all(lambda x: piecewise_linear(builder, x, slopes))
        with otherwise:
            store_all(lambda x: elu(builder, x))
