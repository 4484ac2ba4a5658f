"""Size arithmetic, against sizes worked out by hand and against PyTorch's own results (golden)."""

from pathlib import Path

import numpy as np
import pytest

from rtsep_kernels import conv, deconv, shapes
from rtsep_kernels.epilogue import activation, epilogue_parameters
from tests.kernels.torch_shapes import torch_padding, torch_padding_transposed

GOLDEN = Path(__file__).parents[1] / "golden" / "conventions.npz"


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "small", "before"),
    [
        (128, 5, 2, 1, 64, 1),  # Spleeter's encoder: one zero before, two behind
        (128, 4, 1, 2, 128, 3),  # Spleeter's mask: three before, three behind
        (7, 3, 2, 1, 4, 1),
        (8, 3, 2, 1, 4, 0),
        (5, 1, 3, 1, 2, 0),
    ],
)
def test_tensorflow_same(size, kernel, stride, dilation, small, before):
    shape = shapes.tensorflow_same((size,) * 2, (kernel,) * 2, (stride,) * 2, (dilation,) * 2)
    assert shape.small == (small, small)
    assert shape.before == (before, before)


def _torch_cases():
    with np.load(GOLDEN) as golden:
        return sorted({name.split("/")[0] for name in golden.files})


@pytest.mark.parametrize("case", _torch_cases())
def test_pytorchs_convolutions(case):
    """tests/golden/generate_conventions.py writes what PyTorch computed, in PyTorch's layouts."""
    with np.load(GOLDEN) as golden:
        part = {n: golden[f"{case}/{n}"] for n in ("x", "w", "bias", "y", "geometry")}
    stride, padding, output_padding, dilation = (
        tuple(int(v) for v in row) for row in part["geometry"]
    )
    x = np.ascontiguousarray(part["x"].transpose(1, 2, 0))
    expected = part["y"].transpose(1, 2, 0)
    out = np.zeros(expected.shape, np.float32)
    kernel_size, image = part["w"].shape[2:], x.shape[:2]
    epilogue = epilogue_parameters(expected.shape[2], part["bias"])
    # OIHW -> HWIO, and for transposed convolutions IOHW -> HWOI: the same permutation of axes.
    w = np.ascontiguousarray(part["w"].transpose(2, 3, 1, 0))
    act = activation("linear")
    if case.startswith("transposed"):
        shape = torch_padding_transposed(
            image, kernel_size, stride, padding, output_padding, dilation
        )
        workspace = deconv.deconv_workspace(shape, w.shape[2])
        deconv.conv_transpose2d(x, w, epilogue, act, shape, out, workspace)
    else:
        shape = torch_padding(image, kernel_size, stride, padding, dilation)
        workspace = conv.conv_workspace(shape, w.shape[2], w.shape[3])
        conv.conv2d(x, w, epilogue, act, shape, out, workspace)
    assert out.shape == expected.shape
    np.testing.assert_allclose(out, expected, atol=2e-5)
