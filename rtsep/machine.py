"""This machine, as far as it matters: cores to use, versions that a measurement was made with."""

from __future__ import annotations

import importlib.metadata
import os
import platform

PACKAGES = ("rtsep", "numpy", "numba", "llvmlite", "pyfftw", "sounddevice", "soxr")


def versions() -> dict[str, str]:
    """Version of Python and of each package, by name; packages that are not installed are left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
