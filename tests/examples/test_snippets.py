"""The Python in README.md and docs: it type-checks, and runs where it needs no device."""

from __future__ import annotations

import ast
import builtins
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.files.sounds import RATE, music, write_file

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# What a snippet may use without defining it: its type, and a value to run it with, if there is one.
IMPORTS = """\
from collections.abc import Iterable
import numpy as np
from numpy.typing import NDArray
import rtsep
from rtsep.live.live_engine import LiveEngine
"""
SOUND = "NDArray[np.float32]"
TYPES = {
    "audio": SOUND, "block": SOUND, "out": SOUND, "blocks": f"Iterable[{SOUND}]", "sample_rate": "int",
    "engine": "LiveEngine",
}  # fmt: skip
WITH_DEVICES = "sounddevice"


def values():
    audio = music(1.0)
    return {
        "audio": audio, "sample_rate": RATE, "block": audio[:1000], "out": np.zeros_like(audio[:1000]),
        "blocks": [audio[:1000], audio[1000:]],
    }  # fmt: skip


def snippets():
    for page in PAGES:
        for number, match in enumerate(FENCE.finditer(page.read_text(encoding="utf-8")), 1):
            yield pytest.param(match[1], id=f"{page.name}-{number}")


SNIPPETS = list(snippets())


def free_names(code):
    """The names that `code` uses and does not define."""
    used, defined = set(), set(dir(builtins))
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else defined).add(node.id)
        elif isinstance(node, ast.alias):
            defined.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.arg):
            defined.add(node.arg)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            defined.add(node.name)
    return used - defined


def type_errors(folder, codes):
    """What mypy says of the snippets, each a module of its own."""
    for number, code in enumerate(codes):
        declared = "".join(
            f"{name}: {TYPES[name]}\n" for name in sorted(free_names(code)) if name in TYPES
        )
        (folder / f"snippet_{number}.py").write_text(IMPORTS + declared + code, encoding="utf-8")
    return mypy(folder, folder / "cache", "--allow-untyped-defs")


def mypy(files, cache, *options):
    """The errors that mypy finds in `files`."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", f"--cache-dir={cache}", *options, files],
        cwd=REPOSITORY, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if "error:" in line]


def test_there_are_snippets_in_the_readme():
    assert any(str(snippet.id).startswith("README.md") for snippet in SNIPPETS)


@pytest.mark.parametrize("code", SNIPPETS)
def test_a_snippet_uses_nothing_that_is_not_there(code):
    assert free_names(code) <= set(TYPES)


def test_snippets_type_check(tmp_path):
    pytest.importorskip("mypy")
    assert type_errors(tmp_path, [str(snippet.values[0]) for snippet in SNIPPETS]) == []


def test_examples_type_check(tmp_path):
    pytest.importorskip("mypy")
    assert mypy(REPOSITORY / "examples", tmp_path / "cache", "--disallow-untyped-defs") == []


def test_a_wrong_snippet_does_not_type_check(tmp_path):
    """The public functions are typed for others, too."""
    pytest.importorskip("mypy")
    wrong = [
        "rtsep.separate(audio)",
        "rtsep.separate(audio, sample_rate, stems=7)",
        "rtsep.Separator().separate(audio, sample_rate)['vocals'].nothing",
        "rtsep.AudioReader(1.5)",
        "rtsep.nothing",
    ]
    errors = type_errors(tmp_path, [f"import rtsep\n{code}\n" for code in wrong])
    assert {int(re.findall(r"snippet_(\d+)", line)[0]) for line in errors} == set(range(len(wrong)))


@pytest.mark.parametrize("code", SNIPPETS)
def test_a_snippet_runs(code, made_up_weights, tmp_path, monkeypatch):
    given = values()
    missing = free_names(code) - set(given)
    if missing or WITH_DEVICES in code:
        pytest.skip(f"needs {', '.join(sorted(missing)) or 'a device'}")
    for name in ("song.wav", "song.mp3", "song.flac"):
        write_file(tmp_path / name, music(1.0))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "snippet", "exec"), given)
