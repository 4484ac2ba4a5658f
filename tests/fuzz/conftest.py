"""The sums of the fuzz tests' outcomes, at the end of the run."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.fuzz.children import outcomes


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not outcomes:
        return
    terminalreporter.section("fuzz: mutations by outcome")
    for what, found in [*outcomes.items(), ("all", sum(outcomes.values(), Counter()))]:
        counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(found.items()))
        terminalreporter.line(f"{what}: {sum(found.values())}: {counts}")
