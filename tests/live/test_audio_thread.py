"""The rule of the audio thread, on every path: docs/architecture.md, "Rules of the audio thread"."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.watch import system_calls
from tests.live.watch.engine_paths import BROKEN, KERNEL, PYTHON
from tests.live.watch.violations import VIOLATIONS

# Those that each watch is there for.
SEEN_BY_PYTHON = {"lock", "import", "compilation", "file", "system call", "growth"}
SEEN_BY_KERNEL = {"import", "compilation", "file", "system call", "page fault"}
# Python's own heap takes a page now and then.
MOST_FAULTS = 2
LATE = tuple(f"late masks, {on_late}" for on_late in ("hold", "dry", "mute"))


def _go_all_paths(how: str, folder: Path) -> dict:
    """What engine_paths.py prints."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.live.watch.engine_paths", how, str(folder)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    # Else the paths were others than those they are called after.
    assert all(report["late_masks"][path] for path in LATE)
    return report


def _broken(violations: set[str]) -> set[str]:
    return {f"{BROKEN}{name}" for name in violations}


def test_the_list_of_violations_is_seen_by_one_watch_or_the_other():
    assert set(VIOLATIONS) == SEEN_BY_PYTHON | SEEN_BY_KERNEL


def test_no_lock_no_import_no_compilation_and_nothing_kept(made_up_weights, tmp_path):
    """And the watch finds each of these where the callback is broken on purpose."""
    report = _go_all_paths(PYTHON, tmp_path)
    found = {path: seen for path, seen in report["found"].items() if seen}
    found |= {path: lines for path, lines in report["kept"].items() if lines}
    broken = {path: seen for path, seen in found.items() if path.startswith(BROKEN)}
    assert {path: seen for path, seen in found.items() if path not in broken} == {}
    assert set(broken) == _broken(SEEN_BY_PYTHON)


def _seen_by_kernel(folder: Path) -> tuple[set[str], dict[str, int]]:
    """Paths with calls that are not allowed, and the page faults of those with more than a few."""
    folder.mkdir()
    report = _go_all_paths(KERNEL, folder)
    paths = system_calls.read_trace(folder / "trace", report["python_memory"])
    assert set(paths) >= set(report["late_masks"])
    found = {path: calls.found for path, calls in paths.items() if calls.found}
    assert {path: lines for path, lines in found.items() if not path.startswith(BROKEN)} == {}
    faults = {path: calls.faults for path, calls in paths.items() if calls.faults > MOST_FAULTS}
    return set(found), faults


@pytest.mark.needs("strace")
def test_no_call_of_the_kernel_beyond_the_list_and_no_page_fault(made_up_weights, tmp_path):
    """The kernel takes pages from under a program, to move them: such faults do not come again."""
    found, faults = _seen_by_kernel(tmp_path / "1")
    for attempt in ("2", "3"):
        if all(path.startswith(BROKEN) for path in faults):
            break
        _, again = _seen_by_kernel(tmp_path / attempt)
        faults = {path: count for path, count in faults.items() if path in again}
    assert {path: count for path, count in faults.items() if not path.startswith(BROKEN)} == {}
    assert found | set(faults) == _broken(SEEN_BY_KERNEL)
    assert f"{BROKEN}page fault" in faults
