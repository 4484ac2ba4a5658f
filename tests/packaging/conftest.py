"""The packages as they are built from this checkout, each installed in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("hatchling", reason="builds the packages: pip install 'rtsep[test]'")

CHECKOUT = Path(__file__).resolve().parents[2]
LONGEST_RUN_S = 300


@dataclass(frozen=True)
class Installation:
    """An environment in which rtsep is installed; the packages that it needs are those of pytest's."""

    folder: Path

    def path(self, program: str) -> str:
        """A program of the environment, such as ``python`` or ``rtsep-weights``."""
        found = self.folder / ("Scripts" if os.name == "nt" else "bin") / program
        return str(found.with_suffix(".exe") if os.name == "nt" else found)

    def run(self, program: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a program in the folder `cwd`; its output is shown where the test fails."""
        # Nothing of the checkout but the folder it is started in leads a program there.
        hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
        environment = {name: value for name, value in os.environ.items() if name not in hidden}
        done = subprocess.run(
            [self.path(program), *map(str, arguments)], cwd=cwd, env=environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONGEST_RUN_S,
        )  # fmt: skip
        print(f"$ {program} {' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}")
        return done


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of this checkout."""
    return _build("sdist", CHECKOUT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return _build("wheel", CHECKOUT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def wheel_of_sdist(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that pip makes of the source distribution."""
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        # Python 3.12 asks for a filter; the first 3.10 and 3.11 know none.
        archive.extractall(
            unpacked, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {})
        )
    (source,) = unpacked.iterdir()
    return _build("wheel", source, tmp_path_factory.mktemp("wheel_of_sdist"))


@pytest.fixture(scope="session")
def installed_wheel(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The wheel, installed."""
    return _install(wheel, tmp_path_factory.mktemp("environment"))


def _build(kind: str, source: Path, folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    _check(command, source)
    (built,) = folder.iterdir()
    return built


def _install(wheel: Path, folder: Path) -> Installation:
    venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(folder)
    installation = Installation(folder)
    python = installation.path("python")
    _check(
        [
            sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index",
            "--no-deps", "--disable-pip-version-check", str(wheel),
        ],
        folder,
    )  # fmt: skip
    # Only now: before, pip would have found the rtsep of this environment. A line that is a folder
    # leads to its packages, not to what its own .pth files name, such as an editable rtsep.
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site_packages = Path(_check([python, "-c", code], folder).strip())
    ours = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    (site_packages / "packages_of_pytest.pth").write_text("\n".join(sorted(ours)) + "\n")
    return installation


def _check(command: list[str], cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=LONGEST_RUN_S)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout
