"""What a measurement was made with: versions of what matters."""

from __future__ import annotations

import importlib.metadata
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
