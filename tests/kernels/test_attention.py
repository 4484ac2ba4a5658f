"""The transformer's kernels against the reference: dense layers, layer norm, softmax, attention."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsep_kernels import attention, dense, layer_norm, reference, softmax
from rtsep_kernels.blocking import DENSE_PANEL, PACK_SLACK
from rtsep_kernels.records import Image, Norm
from tests.kernels.images import GUARD, guarded, untouched_outside

tokens_counts = st.integers(1, 40)


def _tokens(values, spare=0):
    """A row of tokens, each with `spare` numbers behind its own that nothing may depend on."""
    count, channels = values.shape
    flat = np.full((count, channels + spare), GUARD)
    flat[:, :channels] = values
    return Image(flat.reshape(-1), 0, 0, channels + spare, 1, count)


def _layer(weights, bias, gelu, before=0):
    """The layer, in an array where something else stands before and behind it."""
    size = dense.dense_size(*weights.shape)
    values = np.full(before + size + PACK_SLACK, np.nan, np.float32)
    values[before : before + size] = 0.0
    dense.pack_dense(weights, bias, values[before : before + size])
    return dense.dense_at(values, before, *weights.shape, gelu)


def _dense_operands(count, inputs, outputs, seed):
    rng = np.random.default_rng(seed)
    x, weights = (
        rng.standard_normal(shape).astype(np.float32)
        for shape in ((count, inputs), (inputs, outputs))
    )
    return x, weights / np.sqrt(inputs, dtype=np.float32), rng.standard_normal(outputs)


def _run_dense(x, layer, outputs, start=None):
    """All outputs of the layer, checked to be written and nothing beside them."""
    image, pixels = guarded(1, len(x), layer.channels_out)
    if start is not None:
        pixels[0] = 0.0
        pixels[0, :, :outputs] = start
    dense.dense(_tokens(x, x.shape[1] % 2), layer, image, start is not None)
    assert untouched_outside(image, pixels)
    assert (pixels[0, :, outputs:] == 0.0).all()
    return pixels[0, :, :outputs].copy()


@settings(max_examples=60, deadline=None)
@given(
    count=tokens_counts,
    inputs=st.integers(1, 500),
    outputs=st.integers(1, 2 * DENSE_PANEL + 3),
    gelu=st.booleans(),
    onto=st.booleans(),
    before=st.sampled_from([0, 16, 48]),
    seed=st.integers(0, 999),
)
def test_a_dense_layer_of_any_size(count, inputs, outputs, gelu, onto, before, seed):
    x, weights, bias = _dense_operands(count, inputs, outputs, seed)
    start = np.random.default_rng(seed).standard_normal((count, outputs)).astype(np.float32)
    expected = start.copy()
    reference.dense(x, weights, bias, gelu, expected, onto)
    layer = _layer(weights, bias, gelu, before)
    found = _run_dense(x, layer, outputs, start if onto else None)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # A token's result is the same whatever stands beside it, bit for bit.
    alone = _run_dense(x[-1:], layer, outputs, start[-1:] if onto else None)
    np.testing.assert_array_equal(alone[0], found[-1])


def test_gelu_is_right_for_every_size_of_number():
    x = np.concatenate([-np.logspace(-30, 30, 200), np.logspace(-30, 30, 200)])[:, np.newaxis]
    x = np.hstack([x, np.zeros_like(x)]).astype(np.float32)
    layer = _layer(np.eye(2, dtype=np.float32), np.zeros(2), True)
    found = _run_dense(x, layer, 2)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = reference.gelu(x.astype(np.float64))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("gelu", [False, True])
def test_dense_layers_do_not_swallow_nan(gelu):
    x, weights, bias = _dense_operands(11, 20, 30, 1)
    x[4, 7] = np.nan
    found = _run_dense_with_nan(x, _layer(weights, bias, gelu))
    assert np.isnan(found[4]).all()
    assert np.isfinite(np.delete(found, 4, axis=0)).all()


def _run_dense_with_nan(x, layer):
    image, pixels = guarded(1, len(x), layer.channels_out)
    dense.dense(_tokens(x), layer, image, False)
    return pixels[0]


@settings(max_examples=40, deadline=None)
@given(
    count=tokens_counts,
    channels=st.integers(1, 100),
    mean=st.sampled_from([0.0, 3.0, -300.0]),
    before=st.integers(0, 5),
    seed=st.integers(0, 999),
)
def test_layer_norm_in_place_and_beside(count, channels, mean, before, seed):
    rng = np.random.default_rng(seed)
    # Of a few numbers that happen to be alike a large mean leaves nothing.
    mean = mean if channels >= 16 else 0.0
    x = (mean + rng.standard_normal((count, channels))).astype(np.float32)
    values = rng.standard_normal(before + 2 * channels).astype(np.float32)
    norm = Norm(values, before, channels)
    scale, shift = values[before:].reshape(2, channels)
    expected = np.zeros(x.shape)
    reference.layer_norm(x, scale, shift, expected)
    image, pixels = guarded(1, count, channels)
    layer_norm.layer_norm(_tokens(x, 3), norm, image)
    assert untouched_outside(image, pixels)
    # Beside 300 a float32 knows a number near 1 to 3e-5; the scale makes some times as much of it. With
    # the mean of squares it would be some 5e-3.
    atol = 1e-5 if abs(mean) < 10 else 1e-3
    np.testing.assert_allclose(pixels[0], expected, atol=atol)
    pixels[0] = x
    layer_norm.layer_norm(image, norm, image)
    np.testing.assert_allclose(pixels[0], expected, atol=atol)


def test_layer_norm_keeps_nan_to_its_token():
    x = np.random.default_rng(2).standard_normal((5, 9)).astype(np.float32)
    x[3, 1] = np.nan
    norm = Norm(np.ones(18, np.float32), 0, 9)
    image, pixels = guarded(1, 5, 9)
    layer_norm.layer_norm(_tokens(x), norm, image)
    assert np.isnan(pixels[0, 3]).all()
    assert np.isfinite(np.delete(pixels[0], 3, axis=0)).all()


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 9),
    columns=st.integers(1, 70),
    spare=st.integers(0, 5),
    size=st.sampled_from([1e-3, 1.0, 1e3, 1e30]),
    scale=st.sampled_from([0.05, 1.0]),
    seed=st.integers(0, 999),
)
def test_softmax_of_scores_of_any_size(rows, columns, spare, size, scale, seed):
    rng = np.random.default_rng(seed)
    scores = (size * rng.standard_normal((rows, columns))).astype(np.float32)
    whole = np.full((rows, columns + spare), GUARD)
    whole[:, :columns] = scores
    flat = whole.reshape(-1)
    softmax.softmax_rows(flat, columns + spare, rows, columns, np.float32(scale))
    expected = reference.softmax_rows(scores, scale)
    # exp's argument is a float32: of a score of 1000 only so much is known.
    atol = 1e-6 + 2e-7 * min(size, 1e3)
    np.testing.assert_allclose(whole[:, :columns], expected, atol=atol)
    np.testing.assert_allclose(whole[:, :columns].sum(1), 1.0, atol=1e-5)
    assert (whole[:, columns:] == GUARD).all()


def test_softmax_shows_nan_in_its_row_only():
    scores = np.zeros((3, 20), np.float32)
    scores[1, 4] = np.nan
    softmax.softmax_rows(scores.reshape(-1), 20, 3, 20, np.float32(1.0))
    assert np.isnan(scores[1]).all()
    np.testing.assert_allclose(scores[[0, 2]], 0.05, atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(
    queries=st.integers(1, 150),
    keys=st.integers(1, 110),
    heads=st.integers(1, 3),
    half=st.integers(1, 30),
    in_place=st.booleans(),
    seed=st.integers(0, 999),
)
def test_attention_of_any_size(queries, keys, heads, half, in_place, seed):
    rng = np.random.default_rng(seed)
    size = 2 * half
    q, k, v = (
        rng.standard_normal((count, heads * size)).astype(np.float32)
        for count in (queries, keys, keys)
    )
    expected = np.zeros(q.shape)
    reference.attention(q, k, v, heads, expected)
    # One buffer for all sizes: what an earlier run left in it must not be seen.
    work = attention.attention_work(keys + 5, size + 2)
    for values in work:
        values.fill(np.nan)
    image, pixels = guarded(1, queries, heads * size)
    query = image if in_place else _tokens(q, 2)
    if in_place:
        pixels[0] = q
    attention.attention(query, _tokens(k, 1), _tokens(v, 3), heads, size, image, work)
    assert untouched_outside(image, pixels)
    np.testing.assert_allclose(pixels[0], expected, atol=5e-6)


def test_attention_shows_nan_where_it_was_looked_at():
    rng = np.random.default_rng(5)
    q, k, v = rng.standard_normal((3, 6, 8)).astype(np.float32)
    work = attention.attention_work(6, 4)

    def run():
        image, pixels = guarded(1, 6, 8)
        attention.attention(_tokens(q), _tokens(k), _tokens(v), 2, 4, image, work)
        return np.isnan(pixels[0])

    q[2, 5] = np.nan
    shown = run()
    assert shown[2, 4:].all() and shown.sum() == 4
    q[2, 5], v[1, 0] = 0.0, np.nan
    shown = run()
    assert shown[:, 0].all() and shown.sum() == 6
    v[1, 0], k[0, 1] = 0.0, np.nan
    shown = run()
    assert shown[:, :4].all() and not shown[:, 4:].any()
