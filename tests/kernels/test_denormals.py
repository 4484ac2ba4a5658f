"""Denormals are flushed in the thread that asked for it, and in no other."""

import threading

import numpy as np
import pytest

from rtsep_kernels.denormals import X86, flush_denormals
from rtsep_kernels.jit import kernel


@kernel
def _product(a, b):
    return a * b


@pytest.mark.skipif(not X86, reason="a setting of x86 processors")
def test_denormals_are_flushed_in_one_thread_only():
    tiny, small = np.float32(1e-30), np.float32(1e-10)
    found = []

    def work():
        found.append(_product(tiny, small))
        flush_denormals()
        found.append(_product(tiny, small))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found[0] > 0
    assert found[1] == 0
    assert _product(tiny, small) > 0
