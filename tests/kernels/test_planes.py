"""Layers on planes against the reference: any channels, any dilations, wherever the sources lie."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsep_kernels import planes, reference
from rtsep_kernels.blocking import PLANES_BINS, PLANES_CHANNELS, RUN_FIELDS, WIDTH, planes_vectors
from rtsep_kernels.pack import aligned_zeros, pack_planes, planes_steps
from rtsep_kernels.records import PlanesLayer
from tests.kernels.images import GUARD

source = st.tuples(st.integers(1, 20), st.sampled_from([1, 2, 3, 8, 40]), st.sampled_from([1, 3]))
widths = st.one_of(st.integers(WIDTH, 70), st.just(PLANES_BINS + 5), st.just(2 * PLANES_BINS + 9))


class Case:
    """Sources and a result in one buffer, full of GUARD but for the sources and the zeros they need."""

    def __init__(self, rows, width, sources, channels, seed, scale=1):
        """scale: frames and bins of a source for one of the result, 1, 2, or 0.5."""
        self.random = np.random.default_rng(seed)
        source_rows, source_width = int(rows * scale), int(width * scale)
        parts, table, at = [], [], 0
        for count, dilation, taps in sources:
            zeros = dilation if dilation < source_width else 0
            stride = source_width + zeros + int(self.random.integers(0, 3))
            part = np.zeros(zeros + source_rows * count * stride + zeros, np.float32)
            view = part[zeros : zeros + source_rows * count * stride]
            view = view.reshape(source_rows, count, stride)
            view[..., :source_width] = self.random.standard_normal(
                (source_rows, count, source_width)
            )
            table.append((at + zeros, count * stride, stride, count, dilation, taps))
            parts.append(part)
            at += part.size
        stride = width + 7
        size = (rows + 1) * channels * stride
        self.values = aligned_zeros(at + size + width)
        self.values[:] = GUARD
        self.values[:at] = np.concatenate(parts)
        self.sources = np.array(table, np.int64)
        self.runs = np.zeros(len(table) * 9 * RUN_FIELDS, np.int64)
        steps = sum(count * taps**2 for count, _, taps in sources)
        slope = np.float32(self.random.integers(0, 2))
        self.layer = PlanesLayer(
            5, 3, steps, channels, at + 9, channels * stride, stride, rows, width, slope
        )

    def constants(self, phases=1):
        steps, channels = self.layer.steps, self.layer.channels
        weights = self.random.standard_normal((phases, steps, channels)) / np.sqrt(steps)
        packed = np.concatenate([pack_planes(part) for part in weights])
        shifts = self.random.standard_normal(channels).astype(np.float32)
        return np.append([np.nan] * 5, packed).astype(np.float32), np.append(
            [7] * 3, shifts
        ).astype(np.float32)

    def compare(self, name, *constants, work=()):
        """The kernel `name` gives what the reference does, and touches nothing else."""
        expected = self.values.copy()
        getattr(reference, name)(expected, self.sources, *constants, self.layer)
        getattr(planes, name)(self.values, self.sources, *constants, self.layer, *work)
        np.testing.assert_allclose(self.values, expected, rtol=1e-5, atol=2e-5)
        at = self.layer.origin + self.layer.width
        assert (self.values[at : at + self.layer.channel_stride - self.layer.width] == GUARD).all()


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 9),
    width=widths,
    sources=st.lists(source, min_size=1, max_size=4),
    channels=st.integers(1, 40),
    seed=st.integers(0, 999),
)
def test_multidilated_convolution(rows, width, sources, channels, seed):
    case = Case(rows, width, sources, channels, seed)
    case.compare("planes_conv", *case.constants(), work=(case.runs,))


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 4),
    width=st.integers(WIDTH, 50),
    counts=st.lists(st.integers(1, 20), min_size=1, max_size=3),
    channels=st.integers(1, 40),
    seed=st.integers(0, 999),
)
def test_transposed_convolution(rows, width, counts, channels, seed):
    sources = [(count, 1, 1) for count in counts]
    case = Case(2 * rows, 2 * width, sources, channels, seed, 0.5)
    scratch = np.full(2 * channels * width, GUARD)
    case.compare("planes_up", *case.constants(4), work=(scratch, case.runs))


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 4),
    width=st.integers(1, 50),
    counts=st.lists(st.integers(1, 20), min_size=1, max_size=3),
    seed=st.integers(0, 999),
)
def test_pooling(rows, width, counts, seed):
    case = Case(rows, width, [(count, 1, 1) for count in counts], sum(counts), seed, 2)
    case.layer = case.layer._replace(slope=np.float32(1))
    case.compare("planes_pool")


@pytest.mark.parametrize("channels", [1, 5, PLANES_CHANNELS, PLANES_CHANNELS + 3])
def test_nan_stays_nan_and_reaches_what_sees_it(channels):
    case = Case(7, 19, [(2, 2, 3)], channels, 0)
    weights, shifts = case.constants()
    case.values[case.sources[0, 0] + 3 * case.sources[0, 1] + 9] = np.nan
    case.layer = case.layer._replace(slope=np.float32(0))
    planes.planes_conv(case.values, case.sources, weights, shifts, case.layer, case.runs)
    size = case.layer.rows * case.layer.frame_stride
    rows = case.values[case.layer.origin : case.layer.origin + size]
    rows = rows.reshape(case.layer.rows, channels, case.layer.channel_stride)
    expected = np.zeros((case.layer.rows, case.layer.width), bool)
    expected[1:6:2, 7:12:2] = True
    for channel in range(channels):
        found = np.isnan(rows[:, channel, : case.layer.width])
        np.testing.assert_array_equal(found, expected)


def test_order_of_packed_weights():
    kernel = np.arange(9 * 5 * 30, dtype=np.float32).reshape(3, 3, 5, 30)
    steps = planes_steps(kernel, [2, 3])
    np.testing.assert_array_equal(steps[:2], kernel[0, 0, :2])
    np.testing.assert_array_equal(steps[2 * 9 : 2 * 9 + 3], kernel[0, 0, 2:])
    np.testing.assert_array_equal(steps[2 * 9 + 3 : 2 * 9 + 6], kernel[0, 1, 2:])
    packed, group = pack_planes(steps), -(-30 // -(-30 // PLANES_CHANNELS))
    np.testing.assert_array_equal(packed[:group], steps[0, :group])
    np.testing.assert_array_equal(packed[group : 2 * group], steps[1, :group])


def test_tiles_fit_the_registers():
    for channels in range(1, PLANES_CHANNELS + 1):
        widest = planes_vectors(channels)[0]
        assert channels * widest + widest + 1 <= (32 if WIDTH == 16 else 16)
        assert planes_vectors(channels)[-1] == 1
