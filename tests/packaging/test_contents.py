"""What stands in the packages, and what does not."""

from __future__ import annotations

import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import rtsep
from tests.packaging.conftest import CHECKOUT

pytestmark = pytest.mark.slow

# Where each package lies in the checkout.
PACKAGES = {
    "rtsep": "rtsep",
    "rtsep_kernels": "kernels/rtsep_kernels",
    "rtsep_bench": "benchmarks/rtsep_bench",
    "rtsep_weights": "weights/rtsep_weights",
}


# Modules, their types, what they read, and the control's page.
NEEDED = (".py", ".pyi", ".typed", ".json", ".html", ".js", ".css", ".svg")


def _needed() -> set[str]:
    """What the packages consist of in the checkout, by its path in the wheel."""
    return {
        f"{name}/{path.relative_to(CHECKOUT / folder).as_posix()}"
        for name, folder in PACKAGES.items()
        for path in (CHECKOUT / folder).rglob("*")
        if path.suffix in NEEDED
    }


def _contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_has_the_four_packages_and_what_they_read(wheel: Path) -> None:
    files = _contents(wheel)
    described = f"rtsep-{rtsep.__version__}.dist-info"
    assert {name.split("/")[0] for name in files} == {*PACKAGES, described}
    assert {name for name in files if not name.startswith(described)} == _needed()
    assert f"{described}/licenses/LICENSE" in files and f"{described}/licenses/NOTICE.md" in files


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    files = _contents(wheel)
    text = files[f"rtsep-{rtsep.__version__}.dist-info/METADATA"].decode()
    metadata = Parser().parsestr(text)
    assert metadata["Version"] == rtsep.__version__
    assert metadata["License-Expression"] == "MIT"
    needed = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert not [line for line in needed if line.startswith(("threadpoolctl", "matplotlib"))]


def test_the_sdist_has_what_building_and_testing_take(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = [Path(member.name) for member in archive if member.isfile()]
    inside = {Path(*name.parts[1:]).as_posix() for name in names}
    folders = {name.split("/")[0] for name in inside if "/" in name}
    assert folders <= {
        "rtsep", "kernels", "benchmarks", "weights", "tests", "scripts", "docs", "examples",
    }  # fmt: skip
    # The build backend adds the list of what git ignores, by which it chooses.
    assert {name for name in inside if name.startswith(".")} <= {".gitignore"}
    for folder in ("rtsep", "kernels", "benchmarks", "weights", "tests", "scripts", "docs"):
        for path in (CHECKOUT / folder).rglob("*"):
            if path.suffix in (".py", ".md", ".json", ".npz"):
                assert path.relative_to(CHECKOUT).as_posix() in inside
    assert {"pyproject.toml", "README.md", "LICENSE", "NOTICE.md", "CHANGELOG.md"} <= inside
    assert not [name for name in inside if "__pycache__" in name]


def test_the_sdist_builds_the_same_wheel(wheel: Path, wheel_of_sdist: Path) -> None:
    assert _contents(wheel_of_sdist) == _contents(wheel)
