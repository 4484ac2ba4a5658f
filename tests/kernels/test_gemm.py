"""GEMM against NumPy in float64, and against an identity that needs no GEMM to check."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsep_kernels import gemm as fast
from rtsep_kernels import reference


def _operands(m, n, k, seed):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((m, k)).astype(np.float32)
    b = rng.standard_normal((k, n)).astype(np.float32)
    return rng, a, b


sizes = st.integers(1, 70)


@settings(max_examples=40, deadline=None)
@given(m=sizes, n=sizes, k=st.integers(1, 600), accumulate=st.booleans(), seed=st.integers(0, 999))
def test_any_size_equals_the_reference(m, n, k, accumulate, seed):
    rng, a, b = _operands(m, n, k, seed)
    start = rng.standard_normal((m, n)).astype(np.float32)
    expected, result = start.copy(), start.copy()
    reference.gemm(a, b, expected, None, accumulate)
    fast.gemm(a, b, result, fast.gemm_workspace(n), accumulate)
    np.testing.assert_allclose(result, expected, atol=2e-6 * k + 1e-6)


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_operands_may_have_any_strides(transpose_a, transpose_b):
    _, a, b = _operands(37, 45, 300, 1)
    strided_a = np.ascontiguousarray(a.T).T if transpose_a else a
    strided_b = np.ascontiguousarray(b.T).T if transpose_b else b
    result = np.empty((37, 45), np.float32)
    fast.gemm(strided_a, strided_b, result, fast.gemm_workspace(45), False)
    np.testing.assert_allclose(result, a.astype(np.float64) @ b, atol=2e-4)


@settings(max_examples=10, deadline=None)
@given(m=st.integers(150, 260), n=st.integers(30, 90), k=st.integers(200, 700))
def test_c_t_equals_a_b_t(m, n, k):
    # BLIS's check: the product's action on a random vector, by matrix-vector products only.
    rng, a, b = _operands(m, n, k, m * n + k)
    c = np.empty((m, n), np.float32)
    fast.gemm(a, b, c, fast.gemm_workspace(n), False)
    t = rng.standard_normal(n)
    expected = a.astype(np.float64) @ (b.astype(np.float64) @ t)
    difference = np.linalg.norm(c.astype(np.float64) @ t - expected)
    assert difference <= 2e-6 * np.linalg.norm(expected) * np.sqrt(k)


def test_nan_is_not_swallowed():
    _, a, b = _operands(20, 40, 30, 2)
    a[3, 4] = np.nan
    c = np.empty((20, 40), np.float32)
    fast.gemm(a, b, c, fast.gemm_workspace(40), False)
    assert np.isnan(c[3]).all()
    assert np.isfinite(np.delete(c, 3, axis=0)).all()
