"""The contenders of the peers' comparison: which runtimes are installed, and what each of them does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsep.environment import installed_version
from rtsep_bench.net_case import read_case, read_magnitudes


@dataclass(frozen=True)
class Runtime:
    """A runtime: the class that runs nets in it, and the packages that this takes."""

    module: str
    contender: str
    packages: tuple[str, ...]

    @property
    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [package for package in self.packages if find_spec(package) is None]


RTSEP, RTSEP_AUTO, TORCH = "rtsep", "rtsep-auto", "torch"
# How far masks, which lie between 0 and 1, may be off: computed in float32, and in 16 bits.
TOLERANCE, HALF_TOLERANCE = 1e-4, 0.25

# The graph of ONNX Runtime and OpenVINO is built with onnx.
RUNTIMES = {
    RTSEP: Runtime("net_rtsep", "RtsepContender", ()),
    RTSEP_AUTO: Runtime("net_rtsep", "RtsepAutoContender", ()),
    "onnxruntime": Runtime("net_onnxruntime", "OnnxRuntimeContender", ("onnxruntime", "onnx")),
    "openvino": Runtime("net_openvino", "OpenVinoContender", ("openvino", "onnx")),
    "openvino-default": Runtime("net_openvino", "OpenVinoDefaultContender", ("openvino", "onnx")),
    TORCH: Runtime("net_torch", "TorchContender", ("torch",)),
}


class Contender(ABC):
    """The nets of one case, loaded and ready to run. Subclasses load them in `__init__`.

    folder: as written by net_case.write_case.

    Each net runs on one thread; nets at the same time run on threads of Python, each inside the
    runtime's own call, as four stems would in a program.

    tolerance: how far its masks may be off.
    """

    tolerance = TOLERANCE

    def __init__(self, folder: Path):
        self.case = read_case(folder)
        self.magnitudes = read_magnitudes(folder)
        self._pool = None
        if self.case.threads > 1:
            self._pool = ThreadPoolExecutor(self.case.threads, initializer=self.prepare_thread)
        self.prepare_thread()

    def run(self) -> None:
        """Compute every net of the case once: what is timed."""
        nets = range(len(self.case.nets))
        if self._pool is None:
            for net in nets:
                self.run_net(net)
        else:
            # list: an exception of a thread is to be raised here.
            list(self._pool.map(self.run_net, nets))

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def prepare_thread(self) -> None:  # noqa: B027 - most have nothing to prepare
        """Called once on each thread that runs nets."""

    @abstractmethod
    def run_net(self, net: int) -> None:
        """Compute one net on this thread, on `self.magnitudes` in the runtime's own layout."""

    @abstractmethod
    def masks(self, net: int) -> NDArray[np.float32]:
        """What `run` computed for one net: (frames, 2, bins)."""


def from_nchw(masks: np.ndarray) -> NDArray[np.float32]:
    """(1, 2, frames, bins) to (frames, 2, bins); of several stems (1, stems, 2, ...) likewise."""
    return np.asarray(masks)[0].swapaxes(-3, -2)


def to_nchw(magnitudes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(frames, bins, 2) to (1, 2, frames, bins), contiguous."""
    return np.ascontiguousarray(magnitudes.transpose(2, 0, 1)[np.newaxis])


def open_contender(name: str, folder: Path) -> Contender:
    """Load a contender with the case in `folder` (see net_case.py)."""
    runtime = RUNTIMES[name]
    module = import_module(f"rtsep_bench.{runtime.module}")
    return getattr(module, runtime.contender)(folder)


def installed_runtimes() -> list[str]:
    """Names of the runtimes that can run here, rtsep first."""
    return [name for name, runtime in RUNTIMES.items() if not runtime.missing]


def need_onnx(names: Iterable[str]) -> bool:
    """Whether any of these runtimes reads the net as an ONNX file."""
    return any("onnx" in RUNTIMES[name].packages for name in names)


def missing_runtimes() -> str | None:
    """A sentence on the runtimes that cannot run here, with the remedy; None where all can."""
    missing = [
        f"{name} (needs {' and '.join(runtime.missing)})"
        for name, runtime in RUNTIMES.items()
        if runtime.missing
    ]
    if not missing:
        return None
    return f"Not installed, so not compared: {', '.join(missing)}: pip install 'rtsep[bench]'."


def peer_versions() -> dict[str, str | None]:
    """The version of every package that a runtime takes, by name; None where not installed."""
    packages = {package for runtime in RUNTIMES.values() for package in runtime.packages}
    return {package: installed_version(package) for package in sorted(packages)}
