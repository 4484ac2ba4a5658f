"""Write conventions.npz: what PyTorch's conv2d and conv_transpose2d compute (needs torch).

python tests/golden/generate_conventions.py
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional

# name: (channels in, channels out, image, kernel, stride, padding, output padding, dilation)
CASES = {
    "conv_plain": (3, 5, (9, 8), (3, 3), (1, 1), (0, 0), (0, 0), (1, 1)),
    "conv_strided": (4, 6, (11, 14), (5, 5), (2, 2), (2, 1), (0, 0), (1, 1)),
    "conv_dilated": (2, 3, (13, 12), (4, 3), (1, 2), (3, 2), (0, 0), (2, 3)),
    "transposed_plain": (3, 5, (5, 6), (3, 3), (1, 1), (0, 0), (0, 0), (1, 1)),
    "transposed_strided": (6, 4, (5, 7), (5, 5), (2, 2), (2, 1), (1, 0), (1, 1)),
    "transposed_dilated": (2, 3, (4, 5), (4, 3), (2, 3), (1, 2), (0, 2), (2, 2)),
}


def main():
    torch.manual_seed(7)
    arrays: dict[str, Any] = {}
    for name, (c_in, c_out, image, kernel, stride, padding, appended, dilation) in CASES.items():
        x, bias = torch.randn(c_in, *image), torch.randn(c_out)
        if name.startswith("transposed"):
            w = torch.randn(c_in, c_out, *kernel)
            y = functional.conv_transpose2d(
                x[None], w, bias, stride, padding, appended, dilation=dilation
            )
        else:
            w = torch.randn(c_out, c_in, *kernel)
            y = functional.conv2d(x[None], w, bias, stride, padding, dilation)
        geometry = np.array([stride, padding, appended, dilation])
        for key, value in (("x", x), ("w", w), ("bias", bias), ("y", y[0])):
            arrays[f"{name}/{key}"] = value.numpy()
        arrays[f"{name}/geometry"] = geometry
    np.savez_compressed(Path(__file__).with_name("conventions.npz"), **arrays)


if __name__ == "__main__":
    main()
