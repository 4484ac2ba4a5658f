"""What a measurement was made on: the machine and the commit."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from rtsep.environment import cpu_name, usable_cores

# Processor features that decide which code a kernel is compiled to, of x86 and of ARM.
FEATURES = (
    "sse2", "sse4.2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl",
    "avx512bf16", "avxvnni", "amx-bf16", "neon", "dotprod", "fullfp16", "sve", "sve2",
)  # fmt: skip


def describe_machine() -> dict[str, Any]:
    """The processor, its cores and features, the kernel set in use and the operating system."""
    import llvmlite.binding as llvm

    from rtsep_kernels.jit import KERNEL_SET

    features = llvm.get_host_cpu_features()
    return {
        "cpu": cpu_name(),
        "microarchitecture": llvm.get_host_cpu_name(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "features": [name for name in FEATURES if features.get(name)],
        "kernel_set": KERNEL_SET,
        "memory_mb": _memory_mb(),
        "os": platform.platform(),
    }


def commit() -> str | None:
    """The commit of the checkout that runs, `+changes` appended where it was altered since.

    None where rtsep was installed from elsewhere, or there is no git.
    """
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / ".git").exists():
        return None
    head = _git(checkout, "rev-parse", "HEAD")
    if head is None:
        return None
    return head + (
        "+changes" if _git(checkout, "status", "--porcelain", "--untracked-files=no") else ""
    )


def _git(checkout: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _memory_mb() -> int | None:
    if not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
