"""The products of pairs alone, and the rounding to pairs: bit for bit their NumPy twins.

What the processor has (vector.dot with its instruction), and the steps that stand for it elsewhere.
"""

import numpy as np
import pytest
from numba import njit, types
from numba.extending import intrinsic

from rtsep_kernels import products, reference, vector
from rtsep_kernels.jit import DOT, VECTOR, WIDTH
from rtsep_kernels.reference import from_bf16, to_bf16

pytestmark = pytest.mark.skipif(not VECTOR, reason="the plain kernels know float32 only")

NAN, INF = np.float32("nan"), np.float32("inf")
SMALL = np.float32(1e-39)  # a denormal, in bfloat16 too


@pytest.fixture(params=dict.fromkeys([DOT, "none"]))
def dot(request, monkeypatch):
    """A function of the pairs of `a` and `b` and of sums: vector.dot, vector by vector; its way."""
    monkeypatch.setattr(vector, "DOT", request.param)

    @intrinsic
    def emit(typing_context, a, b, total, at):
        def generate(context, builder, signature, args):
            places = [
                vector.pointer(context, builder, kind, array, args[3])
                for kind, array in zip(signature.args[:3], args[:3])
            ]
            loaded = [vector.load(builder, place, WIDTH) for place in places]
            vector.store(builder, vector.dot(builder, *loaded), places[2])
            return context.get_dummy_value()

        return types.void(a, b, total, types.int64), generate

    @njit
    def over_vectors(a, b, total):
        for at in range(0, len(total), WIDTH):
            emit(a, b, total, at)

    def run(a, b, total):
        """a, b: (any, 2) float32 that bfloat16 holds; total: (any,) float32."""
        count = len(total)
        spare = -count % WIDTH
        words = [
            np.pad(to_bf16(pairs).reshape(-1), (0, 2 * spare)).view(np.uint32) for pairs in (a, b)
        ]
        sums = np.pad(np.asarray(total, np.float32), (0, spare))
        over_vectors(*words, sums)
        return sums[:count]

    return run, request.param


def _values(rng, *shape):
    """Numbers of different sizes, near enough that float64 holds each step's sum exactly."""
    return rng.standard_normal(shape) * 2.0 ** rng.integers(-6, 6, shape)


def test_products_of_pairs_are_two_fused_steps_the_upper_one_first(dot):
    run, way = dot
    rng = np.random.default_rng(0)
    a, b = (from_bf16(to_bf16(_values(rng, 1000, 2))) for _ in range(2))
    total = _values(rng, 1000).astype(np.float32)
    expected = reference.dot(a, b, total)
    if way == "neon":  # sums of its own, rounded to odd
        np.testing.assert_allclose(run(a, b, total), expected, rtol=1e-6)
        return
    np.testing.assert_array_equal(run(a, b, total), expected)
    # The order shows: with the lower product first some are another number.
    assert (reference.dot(a[:, ::-1], b[:, ::-1], total) != expected).any()


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_what_is_not_finite_stays_visible(dot, bad, place):
    run, _ = dot
    operands = np.ones(5, np.float32)
    operands[place] = bad
    a, b, total = operands[None, :2], operands[None, 2:4], operands[4:]
    np.testing.assert_array_equal(run(a, b, total), [bad])


def test_infinities_that_do_not_add_up_are_nan(dot):
    run, _ = dot
    a = np.array([[INF, INF], [INF, 1]], np.float32)
    b = np.array([[1, -1], [0, 1]], np.float32)
    assert np.isnan(run(a, b, np.zeros(2, np.float32))).all()
    assert np.isnan(run(np.ones((1, 2), np.float32), a[:1] / 1, [-INF])).all()


def test_denormals_are_zeros_to_the_instruction_and_numbers_to_the_steps(dot):
    run, way = dot
    one, huge = np.float32(1), np.float32(2.0**100)
    tiny = from_bf16(to_bf16(SMALL[None]))[0]
    assert 0 < tiny < np.finfo(np.float32).tiny
    # As a factor, as a product, as a sum.
    a = np.array([[tiny, 0], [2.0**-70, 0], [0, 0]], np.float32)
    b = np.array([[huge, 0], [2.0**-70, 0], [0, 0]], np.float32)
    total = np.array([0, 0, tiny], np.float32)
    found = run(a, b, total)
    kept = np.array([tiny * huge, np.float32(2.0**-140), tiny], np.float32)
    np.testing.assert_array_equal(found, kept if way == "none" else np.zeros(3))
    # Beside ordinary numbers they do no harm.
    np.testing.assert_array_equal(run(a, b, total + one), kept * (way == "none") + one)


ROUNDED = np.array(
    [0.0, -0.0, 1, -1, 1 + 2**-8, 1 + 3 * 2**-8, 3.3895314e38, 3.4028235e38, INF, -INF, NAN, SMALL],
    np.float32,
)


def _narrowed(values):
    """Vectors two by two through vector.narrow."""

    @intrinsic
    def emit(typing_context, source, target, at):
        def generate(context, builder, signature, args):
            kinds = signature.args
            place = vector.pointer(context, builder, kinds[0], args[0], args[2])
            behind = vector.advance(builder, place, vector.int64(WIDTH))
            pair = [vector.load(builder, p, WIDTH) for p in (place, behind)]
            half = builder.sdiv(args[2], vector.int64(2))
            out = vector.pointer(context, builder, kinds[1], args[1], half)
            vector.store(builder, vector.narrow(builder, pair), out)
            return context.get_dummy_value()

        return types.void(source, target, types.int64), generate

    @njit
    def over_vectors(source, target):
        for at in range(0, len(source), 2 * WIDTH):
            emit(source, target, at)

    padded = np.pad(values, (0, -len(values) % (2 * WIDTH)))
    words = np.zeros(len(padded) // 2, np.uint32)
    over_vectors(padded, words)
    return words.view(np.uint16)[: len(values)]


def _put(values):
    """The same through products.put_two, which writes the input."""

    @njit
    def over_pairs(source, target):
        for i in range(len(target)):
            products.put_two(target, i, source[2 * i], source[2 * i + 1])

    words = np.zeros(len(values) // 2, np.uint32)
    over_pairs(values, words)
    return words.view(np.uint16)


@pytest.mark.parametrize("rounding", [_narrowed, _put])
def test_rounding_to_pairs_is_to_nearest_ties_to_even(rounding):
    rng = np.random.default_rng(1)
    values = np.concatenate([ROUNDED, _values(rng, 1000).astype(np.float32)])
    found = rounding(values)
    nan, denormal = np.isnan(values), np.abs(values) < np.finfo(np.float32).tiny
    assert np.isnan(from_bf16(found[nan])).all()
    ordinary = ~nan & ~denormal
    np.testing.assert_array_equal(found[ordinary], to_bf16(values[ordinary]))
    # Processors may flush these.
    assert (np.abs(from_bf16(found[denormal])) <= 2 * SMALL).all()
