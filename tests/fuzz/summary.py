"""The sums of the fuzz tests' outcomes, at the end of the run: a plugin of pytest's (../conftest.py)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.fuzz.children import outcomes

# What a worker of pytest-xdist hands to the process that began it.
_HANDED = "fuzz"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand over the outcomes of a worker; they travel as plain dictionaries."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_HANDED] = {what: dict(found) for what, found in outcomes.items()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add up what the workers hand over."""
    for what, found in getattr(node, "workeroutput", {}).get(_HANDED, {}).items():
        outcomes[what] = outcomes.get(what, Counter()) + Counter(found)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print them."""
    if not outcomes:
        return
    terminalreporter.section("fuzz: mutations by outcome")
    for what, found in [*outcomes.items(), ("all", sum(outcomes.values(), Counter()))]:
        counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(found.items()))
        terminalreporter.line(f"{what}: {sum(found.values())}: {counts}")
