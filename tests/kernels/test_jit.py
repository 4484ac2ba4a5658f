"""What the kernels promise of their compilation: cached, without allocation, chosen by name."""

import os
import subprocess
import sys

import pytest

from rtsep_kernels import jit

RUN_A_NET = """
import numpy as np
from numba.core.runtime import rtsys
from rtsep.nets.arrays import stem_shapes
from rtsep.nets.registry import find_model
from rtsep.nets.unet import UNet, UNetState, forward
net = UNet(find_model("spleeter:4stems"), {n: np.zeros(s, np.float32) for n, s in stem_shapes().items()})
state = UNetState(64, 64)
x, masks = np.zeros((64, 64, 2), np.float32), np.zeros((64, 2, 64), np.float32)
state.run(net, x, masks)
"""


def _python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_running_net_allocates_nothing():
    # Numba wraps each array argument in a reference-counted handle for the length of the call:
    # those, and nothing else, may show up.
    code = RUN_A_NET + (
        "handles = len(state.buffers.encoder) + len(state.buffers.decoder)\n"
        "handles += 2 * (len(net.constants.layers) + 1)\n"
        "handles += 2  # magnitudes, level 0\n"
        "handles += 8  # last, scratch, mask weights, mask bias, masks, rows, edges, skip_from\n"
        "before = rtsys.get_allocation_stats()\n"
        "for _ in range(5): state.run(net, x, masks)\n"
        "after = rtsys.get_allocation_stats()\n"
        "print(after.alloc - before.alloc - 5 * handles, after.alloc - after.free)\n"
    )
    result = _python(code, NUMBA_NRT_STATS="1")
    assert result.stdout.strip() == "0 0", result.stderr


def test_a_players_net_on_a_window_that_slides_allocates_nothing():
    code = (
        "import numpy as np\n"
        "from numba.core.runtime import rtsys\n"
        "from rtsep.nets.kinds import kind_of\n"
        "from rtsep.nets.registry import find_model\n"
        "from rtsep.nets.sliding import SlidingWindow\n"
        "config = find_model('player-unet')\n"
        "kind = kind_of(config)\n"
        "shapes = kind.shapes(config)\n"
        "net = kind.net(config, {n: np.zeros(s, np.float32) for n, s in shapes.items()}, 'f32')\n"
        "state = kind.live_state(config, SlidingWindow(64, 1024, 4, 56, 60, 4), 'f32')\n"
        "ring, gains = np.zeros((70, 1024, 2), np.float32), np.ones(70, np.float32)\n"
        "masks = np.zeros((64, 2, 1024), np.float32)\n"
        "state.run(net, ring, gains, 0, masks)\n"
        "def arrays(x):\n"
        "    return sum(map(arrays, x)) if isinstance(x, tuple) else isinstance(x, np.ndarray)\n"
        # The ring, its gains and the window; the window and the masks.
        "handles = 3 + 2 + arrays(net.constants) + arrays(state._state.buffers)\n"
        "before = rtsys.get_allocation_stats()\n"
        "for start in range(5): state.run(net, ring, gains, start, masks)\n"
        "after = rtsys.get_allocation_stats()\n"
        "print(after.alloc - before.alloc - 5 * handles, after.alloc - after.free)\n"
    )
    result = _python(code, NUMBA_NRT_STATS="1")
    assert result.stdout.strip() == "0 0", result.stderr


def test_the_next_process_finds_the_kernels_compiled():
    code = RUN_A_NET + "print(sum(forward.stats.cache_misses.values()))\n"
    assert _python(code).returncode == 0
    assert _python(code).stdout.strip() == "0"


@pytest.mark.parametrize("name", ["vektor", "vector5"])
def test_an_unknown_kernel_set_is_named_with_the_known_ones(name):
    result = _python("import rtsep_kernels.jit", RTSEP_KERNELS=name)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert name in last
    assert "plain" in last


def test_a_width_the_processor_lacks_is_refused():
    if jit.host_vector_width() == 16:
        pytest.skip("this processor has the widest vectors known")
    result = _python("import rtsep_kernels.jit", RTSEP_KERNELS="vector16")
    assert "this processor has" in result.stderr.strip().splitlines()[-1]


def test_an_unwritable_cache_is_said_and_survived():
    result = _python(
        "import rtsep_kernels.im2col as k\nprint('works')",
        RTSEP_KERNEL_CACHE="/dev/null/nowhere",
        NUMBA_CACHE_LOCATOR_CLASSES="",
    )
    assert "works" in result.stdout, result.stderr
