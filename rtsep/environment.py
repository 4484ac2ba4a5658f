"""This machine, as far as it matters: cores to use, versions that a measurement was made with."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path

from rtsep import __version__

# Packages that take part in every measurement.
PACKAGES = ("numpy", "numba", "llvmlite", "pyfftw", "sounddevice", "soxr")


def versions() -> dict[str, str]:
    """Version of Python and of each package, by name; packages that are not installed are left out."""
    installed = {package: installed_version(package) for package in PACKAGES}
    return {
        "python": platform.python_version(),
        "rtsep": __version__,
        **{package: version for package, version in installed.items() if version is not None},
    }


def installed_version(package: str) -> str | None:
    """The version of an installed package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_name() -> str:
    """What the processor calls itself."""
    # A sandbox may hide all of this: the architecture's name is left then.
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
            # x86 says "model name"; many ARM boards say nothing there, but name themselves elsewhere.
            for line in text.splitlines():
                key, _, value = line.partition(":")
                if key.strip() in ("model name", "Model") and value.strip():
                    return value.strip()
    if sys.platform == "darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        with contextlib.suppress(OSError):
            name = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
            if name:
                return name
    return platform.processor() or platform.machine()
