"""Cases tried in a child process: a crash, a hang or too much memory ends only the child.

The child says which case it begins and how it ended; the parent adds up the outcomes, fails with
what went wrong, and shows the sums at the end of the run (summary.py).
"""

from __future__ import annotations

import faulthandler
import json
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterable

LONGEST_CASE_S = 60
# What a case may use beyond what the child had when it began; the files have kilobytes.
MEMORY_BYTES = 512 << 20

# A case: its name, and what tries it and returns its outcome in a few words.
Case = tuple[str, Callable[[], str]]

# Outcomes by what was fuzzed, for the summary.
outcomes: dict[str, Counter[str]] = {}


def try_all(cases: Iterable[Case]) -> None:
    """In the child: try each case and report; whatever it raises is a failure."""
    _limit_memory()
    for name, attempt in cases:
        _report("begin", name)
        # Ends the process even where it hangs in C code.
        faulthandler.dump_traceback_later(LONGEST_CASE_S, exit=True)
        try:
            outcome = attempt()
        except BaseException:
            _report("failed", traceback.format_exc())
        else:
            _report("outcome", outcome)
        faulthandler.cancel_dump_traceback_later()


def run_child(module: str, *arguments: str) -> Counter[str]:
    """Run `module` as a child that calls try_all; returns its outcomes.

    Raises AssertionError naming every case that raised something, hung, or brought the child down.
    """
    child = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, errors="replace"
    )
    found: Counter[str] = Counter()
    failures = []
    case = "the start"
    for line in child.stdout.splitlines():
        kind, text = json.loads(line)
        if kind == "begin":
            case = text
        elif kind == "outcome":
            found[text] += 1
        else:
            failures.append(f"{case}: {text}")
    if child.returncode:
        failures.append(f"{case}: exit status {child.returncode}: {child.stderr[-2000:]}")
    outcomes.setdefault(" ".join(arguments[:1]), Counter()).update(found)
    assert not failures, f"{len(failures)} failures:\n" + "\n".join(failures[:40])
    return found


def _report(kind: str, text: str) -> None:
    print(json.dumps((kind, text)), flush=True)


def _limit_memory() -> None:
    if sys.platform != "linux":
        return
    import resource
    from pathlib import Path

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
