"""Vector primitives: the few LLVM instructions that the micro-kernels are written in.

Every function takes an LLVM IR builder and emits code at its position. Vectors are float32, W lanes;
where they hold pairs of bfloat16 (see products.py) only the bits count. Loads and stores claim an
alignment of 4 bytes only: on every processor of interest an unaligned access to aligned data costs
nothing, and skips start at odd channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.np.arrayobj import make_array

from .jit import DOT

# llvmlite and Numba have no types that a checker could read: these names say what is meant.
Builder = Any
Value = Any
Context = Any
NumbaType = Any
# What an intrinsic returns: its signature, and the function that emits its code.
Intrinsic = tuple[Any, Callable[..., Value]]

F32 = ir.FloatType()
I8 = ir.IntType(8)
I32 = ir.IntType(32)
I64 = ir.IntType(64)


class _BFloatType(ir.Type):
    """LLVM's bfloat, which llvmlite lacks: vectors of it are only made by casts."""

    null = "0.0"
    intrinsic_name = "bf16"

    def __str__(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloatType)

    def __hash__(self) -> int:
        return hash(_BFloatType)


def _bfloats(lanes: int) -> Any:
    return ir.VectorType(_BFloatType(), lanes)


def vector_type(width: int) -> Any:
    """The LLVM type of `width` float32 lanes."""
    return ir.VectorType(F32, width)


def int64(value: int) -> Value:
    """An i64 constant."""
    return ir.Constant(I64, value)


def constant(value: float, width: int) -> Value:
    """A vector with `value` in every lane."""
    return ir.Constant(vector_type(width), [float(value)] * width)


def lanes(indices: Iterable[int]) -> Value:
    """A shuffle mask."""
    indices = list(indices)
    return ir.Constant(ir.VectorType(I32, len(indices)), indices)


def fields(builder: Builder, kind: NumbaType, record: Value) -> Any:
    """The fields of a record (a Numba named tuple of type `kind`), as such a tuple of LLVM values.

    None where the argument is None.
    """
    if kind == types.none:
        return None
    values = (builder.extract_value(record, index) for index in range(len(kind)))
    return kind.instance_class(*values)


def pointer(
    context: Context, builder: Builder, array_type: NumbaType, array: Value, offset: Value
) -> Value:
    """Address of element `offset` (i64) of a one-dimensional Numba array, float32 or pairs."""
    data = make_array(array_type)(context, builder, array).data
    return advance(builder, builder.bitcast(data, F32.as_pointer()), offset)


def advance(builder: Builder, address: Value, elements: Value) -> Value:
    """`address` moved by `elements` (i64) float32."""
    return builder.gep(address, [elements], inbounds=True)


def load(builder: Builder, address: Value, width: int) -> Value:
    """Load `width` consecutive float32."""
    value = builder.load(builder.bitcast(address, vector_type(width).as_pointer()))
    value.align = 4
    return value


def store(builder: Builder, value: Value, address: Value) -> None:
    """Store a vector to consecutive float32."""
    instruction = builder.store(value, builder.bitcast(address, value.type.as_pointer()))
    instruction.align = 4


def broadcast(builder: Builder, scalar: Value, width: int) -> Value:
    """A vector with `scalar` in every lane."""
    undefined = ir.Constant(vector_type(width), ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(I32, 0))
    return builder.shuffle_vector(first, undefined, lanes([0] * width))


def multiply_add(builder: Builder, x: Value, y: Value, z: Value) -> Value:
    """x * y + z, fused where the processor can.

    llvm.fmuladd lets LLVM choose; llvm.fma would call libm lane by lane on a processor without FMA.
    llvmlite cannot name the vector overloads of an intrinsic, so the name is spelled out.
    """
    kind = x.type
    name = f"llvm.fmuladd.v{kind.count}f32"
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [kind] * 3), name
    )
    return builder.call(function, [x, y, z])


def _upper_half(builder: Builder, pairs: Value) -> Value:
    """The upper bfloat16 of each pair, as float32."""
    integers = ir.VectorType(I32, pairs.type.count)
    mask = ir.Constant(integers, [0xFFFF0000] * pairs.type.count)
    return builder.bitcast(builder.and_(builder.bitcast(pairs, integers), mask), pairs.type)


def lower_half(builder: Builder, pairs: Value) -> Value:
    """The lower bfloat16 of each pair, as float32."""
    integers = ir.VectorType(I32, pairs.type.count)
    sixteen = ir.Constant(integers, [16] * pairs.type.count)
    return builder.bitcast(builder.shl(builder.bitcast(pairs, integers), sixteen), pairs.type)


# name of the choice: the instruction that adds up the products of pairs, by lanes.
_DOTS = {
    "x86": "llvm.x86.avx512bf16.dpbf16ps.{bits}",
    "neon": "llvm.aarch64.neon.bfdot.v4f32.v8bf16",
}


def dot(builder: Builder, a: Value, b: Value, total: Value) -> Value:
    """total + a.lower * b.lower + a.upper * b.upper, lane by lane, of pairs a and b.

    Without an instruction for it, in the two steps of which dpbf16ps is made: the upper products first.
    That one takes denormals for zeros, whatever the thread's settings.
    """
    kind = total.type
    if DOT == "none":
        total = multiply_add(builder, _upper_half(builder, a), _upper_half(builder, b), total)
        return multiply_add(builder, lower_half(builder, a), lower_half(builder, b), total)
    pairs = _bfloats(2 * kind.count)
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(kind, [kind, pairs, pairs]),
        _DOTS[DOT].format(bits=32 * kind.count),
    )
    return builder.call(function, [total, builder.bitcast(a, pairs), builder.bitcast(b, pairs)])


def narrow(builder: Builder, vectors: Sequence[Value]) -> Value:
    """One or two float32 vectors, one behind the other, rounded to pairs (to nearest, ties to even).

    Half as many lanes.
    """
    whole, lanes_in = vectors[0], len(vectors) * vectors[0].type.count
    if len(vectors) == 2:
        whole = builder.shuffle_vector(*vectors, lanes(range(lanes_in)))
    rounded = builder.fptrunc(whole, _bfloats(lanes_in))
    return builder.bitcast(rounded, vector_type(lanes_in // 2))


def prefetch(builder: Builder, address: Value) -> None:
    """Ask for the cache line at `address`, for reading, to come to the second-level cache."""
    kind = ir.FunctionType(ir.VoidType(), [I8.as_pointer(), I32, I32, I32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    flags = [ir.Constant(I32, flag) for flag in (0, 2, 1)]  # read, second level, data
    builder.call(function, [builder.bitcast(address, I8.as_pointer()), *flags])


def exp_nonpositive(builder: Builder, x: Value) -> Value:
    """exp(x) for x <= 0 to about 2 ulp; below -87 it stays at exp(-87), NaN goes through.

    exp(x) = 2^n * exp(r) with n = round(x / ln 2), |r| <= ln 2 / 2 and ln 2 split in two parts,
    then the degree-6 polynomial of Cephes' expf (Moshier, 1989).
    """
    width = x.type.count
    integers = ir.VectorType(I32, width)
    too_small = builder.fcmp_ordered("<", x, constant(-87.0, width))
    x = builder.select(too_small, constant(-87.0, width), x)
    # Adding and taking away 1.5 * 2^23 rounds to the nearest integer.
    magic = constant(12582912.0, width)
    n = builder.fsub(multiply_add(builder, x, constant(1.44269504088896341, width), magic), magic)
    r = multiply_add(builder, n, constant(-0.693359375, width), x)
    r = multiply_add(builder, n, constant(2.12194440e-4, width), r)
    p = constant(1.9875691500e-4, width)
    for coefficient in (
        1.3981999507e-3,
        8.3334519073e-3,
        4.1665795894e-2,
        1.6666665459e-1,
        5.0000001201e-1,
    ):
        p = multiply_add(builder, p, r, constant(coefficient, width))
    y = multiply_add(builder, p, builder.fmul(r, r), r)
    y = builder.fadd(y, constant(1.0, width))
    exponent = builder.add(builder.fptosi(n, integers), ir.Constant(integers, [127] * width))
    power = builder.shl(exponent, ir.Constant(integers, [23] * width))
    return builder.fmul(y, builder.bitcast(power, x.type))


def carried(builder: Builder, start: Value, block: Any) -> Value:
    """A value that a loop carries from turn to turn: `start` where the loop is entered from `block`."""
    value = builder.phi(start.type)
    value.add_incoming(start, block)
    return value


def counted_loop(
    builder: Builder,
    name: str,
    stop: Value,
    step: int,
    starts: Sequence[Value],
    turn: Callable[..., Sequence[Value]],
) -> list[Value]:
    """Emit a loop over index = 0, step, ... below `stop`, one turn at least.

    turn: called once, with the index and the carried values; emits the loop's body and returns the
    values carried into the next turn.
    Returns the values after the last turn, and leaves the builder behind the loop.
    """
    entry = builder.block
    loop = builder.append_basic_block(name)
    done = builder.append_basic_block(f"{name}.done")
    builder.branch(loop)
    builder.position_at_end(loop)
    index = carried(builder, int64(0), entry)
    values = [carried(builder, start, entry) for start in starts]
    ends = list(turn(index, *values))
    next_index = builder.add(index, int64(step))
    for value, end in zip([index, *values], [next_index, *ends], strict=True):
        value.add_incoming(end, builder.block)
    builder.cbranch(builder.icmp_signed("<", next_index, stop), loop, done)
    builder.position_at_end(done)
    return ends
