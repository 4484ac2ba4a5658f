"""Compiled kernels on disk: found again, never taken for others, and never a reason to fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.any_kernel_set

# Kernels of a test, compiled in a blink; what they return and how many were compiled is printed.
KERNELS = """
from rtsep_kernels.jit import kernel
@kernel
def add(a, b):
    return a + b
@kernel
def multiply(a, b):
    return a * b
"""
RUN = """
import made_up
for name in {names}:
    function = getattr(made_up, name)
    print(name, function({arguments}), sum(function.stats.cache_misses.values()))
"""


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    (tmp_path / "made_up.py").write_text(KERNELS)
    return tmp_path / "cache"


def start(cache: Path, *names: str, arguments: str = "2, 3", limit_bytes: int | None = None):
    def limit() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    return subprocess.Popen(
        [sys.executable, "-c", RUN.format(names=names or ("add",), arguments=arguments)],
        cwd=cache.parent, env={**os.environ, "RTSEP_KERNEL_CACHE": str(cache)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=None if limit_bytes is None else limit,
    )  # fmt: skip


def run(cache: Path, *names: str, **options) -> tuple[list[str], str]:
    """What was printed, and what was complained of."""
    with start(cache, *names, **options) as process:
        out, complaints = process.communicate()
    assert process.returncode == 0, complaints
    return out.splitlines(), complaints


def only_file(cache: Path, kernel: str) -> Path:
    (path,) = cache.glob(f"*/made_up.{kernel}-*.nbc")
    return path


def test_the_next_process_compiles_nothing(cache: Path) -> None:
    assert run(cache) == (["add 5 1"], "")
    assert run(cache) == (["add 5 0"], "")
    assert run(cache, arguments="2.5, 3") == (["add 5.5 1"], "")
    assert run(cache) == (["add 5 0"], "")
    assert not list(cache.glob("*/*.tmp"))


@pytest.mark.parametrize(
    ("way", "name"),
    [("from helpers import double", "double"), ("import helpers", "helpers.double")],
)
def test_a_kernel_is_compiled_again_when_one_that_it_calls_has_changed(
    cache: Path, way: str, name: str
) -> None:
    """Though it stands in another file, and is called by way of a third."""
    folder = cache.parent
    helper = "from rtsep_kernels.jit import kernel\n@kernel\ndef half(a):\n    return a + {}\n"
    (folder / "halves.py").write_text(helper.format(1))
    double = "from rtsep_kernels.jit import kernel\nfrom halves import half\n"
    (folder / "helpers.py").write_text(f"{double}@kernel\ndef double(a):\n    return half(a)\n")
    (folder / "made_up.py").write_text(
        f"from rtsep_kernels.jit import kernel\n{way}\n"
        f"@kernel\ndef add(a, b):\n    return {name}(a) + b\n"
    )
    assert run(cache)[0] == ["add 6 1"]
    assert run(cache)[0] == ["add 6 0"]
    (folder / "halves.py").write_text(helper.format(2))
    assert run(cache)[0] == ["add 7 1"]


def test_a_damaged_file_is_compiled_and_written_again(cache: Path) -> None:
    run(cache)
    path = only_file(cache, "add")
    whole = path.read_bytes()
    for damaged in (
        b"",
        whole[:-1],
        whole[: len(whole) // 2],
        bytes(len(whole)),
        whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:],
        b"\x80\x04cos\nsystem\n(S'echo harm'\ntR.",
    ):
        path.write_bytes(damaged)
        assert run(cache) == (["add 5 1"], "")
    assert run(cache) == (["add 5 0"], "")


def test_another_kernels_file_is_never_used(cache: Path) -> None:
    run(cache, "add", "multiply")
    only_file(cache, "add").write_bytes(only_file(cache, "multiply").read_bytes())
    assert run(cache, "add", "multiply") == (["add 5 1", "multiply 6 0"], "")


def test_processes_that_compile_at_once_do_not_mix_anything_up(cache: Path) -> None:
    signatures = ["2, 3", "2.0, 3"]
    processes = [start(cache, "add", "multiply", arguments=one) for one in 2 * signatures]
    for process in processes:
        _, complaints = process.communicate()
        assert (process.returncode, complaints) == (0, "")
    for arguments in signatures:
        point = ".0" if "." in arguments else ""
        expected = [f"add 5{point} 0", f"multiply 6{point} 0"]
        assert run(cache, "add", "multiply", arguments=arguments) == (expected, "")


def test_a_changed_constant_is_compiled_anew(cache: Path) -> None:
    """The instructions of `scaled` stay the same: only the file says that its result does not."""
    module = cache.parent / "made_up.py"
    scaled = KERNELS + "FACTOR = {}\n@kernel\ndef scaled(a, b):\n    return FACTOR * a * b\n"
    for factor in (2, 3):
        module.write_text(scaled.format(factor))
        assert run(cache, "scaled") == ([f"scaled {6 * factor} 1"], "")
        assert run(cache, "scaled") == ([f"scaled {6 * factor} 0"], "")


def one_complaint(complaints: str) -> str:
    """The only warning; Python shows the line of the sources below it."""
    warnings = [line for line in complaints.splitlines() if "Warning" in line]
    assert len(warnings) == 1 and len(complaints.splitlines()) <= 2, complaints
    return warnings[0]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no sizes of files")
def test_a_disk_that_takes_no_more_is_said_once(cache: Path) -> None:
    lines, complaints = run(cache, "add", "multiply", limit_bytes=1000)
    assert lines == ["add 5 1", "multiply 6 1"]
    complaint = one_complaint(complaints)
    assert str(cache) in complaint and "File too large" in complaint
    assert "set RTSEP_KERNEL_CACHE to a folder that can be written" in complaint
    assert not [path for path in cache.rglob("*") if path.is_file()]
    assert run(cache, "add") == (["add 5 1"], "")


def test_a_folder_that_is_a_file_is_said_once(cache: Path) -> None:
    cache.write_text("")
    lines, complaints = run(cache, "add", "multiply")
    assert lines == ["add 5 1", "multiply 6 1"]
    assert str(cache) in one_complaint(complaints)
