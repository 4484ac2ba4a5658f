"""The runtimes that can be compared, and which of them are installed here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from rtsep_bench.contender import Contender


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


RTSEP, TORCH = "rtsep", "torch"

# The graph of ONNX Runtime and OpenVINO is built with onnx.
RUNTIMES = {
    RTSEP: Runtime("net_rtsep", "RtsepContender", ()),
    "onnxruntime": Runtime("net_onnxruntime", "OnnxRuntimeContender", ("onnxruntime", "onnx")),
    "openvino": Runtime("net_openvino", "OpenVinoContender", ("openvino", "onnx")),
    TORCH: Runtime("net_torch", "TorchContender", ("torch",)),
}


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


def missing_runtimes() -> list[str]:
    """A sentence for each runtime that cannot run here."""
    return [
        f"{name}: not installed (needs {', '.join(runtime.missing)}; pip install 'rtsep[bench]')."
        for name, runtime in RUNTIMES.items()
        if runtime.missing
    ]
