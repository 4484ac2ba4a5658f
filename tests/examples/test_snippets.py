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
EXAMPLES = REPOSITORY / "examples"
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


WRONG = [
    "rtsep.separate(audio)",
    "rtsep.separate(audio, sample_rate, stems=7)",
    "rtsep.Separator().separate(audio, sample_rate)['vocals'].nothing",
    "rtsep.AudioReader(1.5)",
    "rtsep.nothing",
]


def module(code):
    """A module of its own of a snippet, whose functions need no types."""
    declared = "".join(
        f"{name}: {TYPES[name]}\n" for name in sorted(free_names(code)) if name in TYPES
    )
    return f"# mypy: allow-untyped-defs\n{IMPORTS}{declared}{code}"


@pytest.fixture(scope="module")
def type_errors(tmp_path_factory):
    """What mypy says of the snippets, the wrong ones and the examples: file name and message each.

    In one run, most of which goes into rtsep itself.
    """
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("snippets")
    codes = {f"snippet_{n}": str(snippet.values[0]) for n, snippet in enumerate(SNIPPETS)}
    codes |= {f"wrong_{n}": f"import rtsep\n{code}\n" for n, code in enumerate(WRONG)}
    for name, code in codes.items():
        (folder / f"{name}.py").write_text(module(code), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", f"--cache-dir={folder / 'cache'}", folder, EXAMPLES],
        cwd=REPOSITORY, capture_output=True, text=True,
    )  # fmt: skip
    # The wrong ones are wrong.
    assert done.returncode == 1, done.stdout + done.stderr
    errors = re.findall(r"^(\S+?):\d+: error: (.*)$", done.stdout, re.MULTILINE)
    return [(Path(file), said) for file, said in errors]


def test_there_are_snippets_in_the_readme():
    assert any(str(snippet.id).startswith("README.md") for snippet in SNIPPETS)


@pytest.mark.parametrize("code", SNIPPETS)
def test_a_snippet_uses_nothing_that_is_not_there(code):
    assert free_names(code) <= set(TYPES)


def test_snippets_type_check(type_errors):
    assert [error for error in type_errors if error[0].name.startswith("snippet_")] == []


def test_examples_type_check(type_errors):
    assert [error for error in type_errors if error[0].parent.name == EXAMPLES.name] == []


def test_a_wrong_snippet_does_not_type_check(type_errors):
    """The public functions are typed for others, too."""
    found = {file.stem for file, _ in type_errors if file.name.startswith("wrong_")}
    assert found == {f"wrong_{n}" for n in range(len(WRONG))}


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
