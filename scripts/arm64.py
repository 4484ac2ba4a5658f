#!/usr/bin/env python3
"""Run the kernels' tests on an emulated 64-bit ARM processor. For Debian and Ubuntu; not part of CI.

    sudo apt install qemu-user-static debootstrap
    sudo python3 scripts/arm64.py                    # in a new temporary folder
    sudo python3 scripts/arm64.py --folder DIR       # DIR is kept and used again
    sudo python3 scripts/arm64.py -- tests/kernels/test_gemm.py -v

Fetches Debian's Python for arm64 and the packages that the kernels need, some 300 MB in all, and touches
nothing outside the folder. Root is needed because debootstrap unpacks files of root's. The emulator is
some ten times slower than the machine, so tests that compile a whole net in a process of its own are
left out unless pytest's arguments are given after `--`.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
# A release of Debian and the version of its Python.
SUITE, PYTHON = "bookworm", "3.11"
PACKAGES = ("numpy", "numba", "pytest", "hypothesis")
TAGS = [f"manylinux_2_{minor}_aarch64" for minor in (36, 35, 34, 31, 28, 27, 24, 17)]
# Each of these starts processes that compile a whole net.
WHOLE_NETS = "not running_net and not next_process_finds_the_kernels"
DEFAULT_TESTS = ["tests/kernels", "-q", "-k", WHOLE_NETS, "--durations=5"]
QEMU, DEBOOTSTRAP = "qemu-aarch64-static", "debootstrap"


def main() -> int:
    """Prepare the folder and run the tests; returns pytest's exit status, 2 where a tool is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="where everything is put (default: temporary)")
    parser.add_argument("tests", nargs="*", help="arguments for pytest, after --")
    arguments = parser.parse_args()
    missing = [tool for tool in (QEMU, DEBOOTSTRAP, "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        print(
            f"arm64.py: {', '.join(missing)} not found: apt install qemu-user-static debootstrap",
            file=sys.stderr,
        )
        return 2
    if arguments.folder is None:
        with tempfile.TemporaryDirectory(prefix="rtsep-arm64-") as folder:
            return run(Path(folder), arguments.tests)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    return run(arguments.folder.resolve(), arguments.tests)


def run(folder: Path, tests: list[str]) -> int:
    """Run pytest with an arm64 Python out of `folder`, which is filled where it is not yet."""
    try:
        python = make_python(folder)
        site = install_packages(folder)
    except subprocess.CalledProcessError as error:
        print(f"arm64.py: failed: {shlex.join(error.cmd)}", file=sys.stderr)
        return 1
    paths = [site, REPOSITORY, *(REPOSITORY / name for name in ("kernels", "benchmarks"))]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "RTSEP_KERNEL_CACHE": str(folder / "kernels"),
    }
    command = [str(python), "-m", "pytest", "-p", "no:cacheprovider", *(tests or DEFAULT_TESTS)]
    started = time.monotonic()
    status = subprocess.run(command, cwd=REPOSITORY, env=environment, check=False).returncode
    print(f"arm64 under {QEMU}: exit status {status}, {time.monotonic() - started:.0f} s")
    return status


def make_python(folder: Path) -> Path:
    """An arm64 Python under the emulator, as a program that this machine can start."""
    root, wrapper = folder / "root", folder / "python"
    if not wrapper.exists():
        # The first stage only: packages are unpacked, and none of their scripts is run.
        print(f"unpacking Debian {SUITE} for arm64 into {root}", flush=True)
        call(
            [DEBOOTSTRAP, "--foreign", "--variant=minbase", "--arch=arm64", "--include=python3"]
            + [SUITE, str(root)]
        )
        for package in sorted((root / "var/cache/apt/archives").glob("*.deb")):
            call(["dpkg-deb", "-x", str(package), str(root)])
        quoted_root = shlex.quote(str(root))
        # A script, so that the tests can start more of them by sys.executable.
        wrapper.write_text(
            "#!/bin/sh\n"
            f'exec {QEMU} -L {quoted_root} -0 "$0" -E PYTHONHOME={quoted_root}/usr'
            f' {quoted_root}/usr/bin/python{PYTHON} "$@"\n'
        )
        wrapper.chmod(0o755)
    return wrapper


def install_packages(folder: Path) -> Path:
    """The folder with the packages' arm64 wheels, unpacked."""
    site = folder / "site"
    if not site.exists():
        part = folder / "site.part"
        shutil.rmtree(part, ignore_errors=True)
        print(f"fetching {', '.join(PACKAGES)} for arm64", flush=True)
        platforms = [argument for tag in TAGS for argument in ("--platform", tag)]
        call(
            [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(part), *platforms]
            + ["--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp"]
            + list(PACKAGES)
        )
        part.rename(site)
    return site


def call(command: list[str]) -> None:
    """Run a command without its output; raises CalledProcessError where it fails."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
