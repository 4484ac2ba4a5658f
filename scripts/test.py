"""Passes the tests, from a fresh clone: `python3 scripts/test.py [--fast] [pytest's arguments]`.

Sets up .venv, then runs ruff, mypy, the kernels' tests with every kernel set that this processor
has beside its own, and pytest: first the tests that can run side by side, one on each core, then those
marked `alone`, one after another. Those with a sound server, or marked slow, that failed are run once
more, and both outcomes are told (`once_more`). Tests that fetch something are run where the package
index answers; `--fast` leaves out the slow ones. With arguments of pytest's (a path, -k ...) only what
they select is run. The exit status is that of the first failure.

Some tests use sound servers or ffmpeg. Where the selected ones do and these are missing, they are
installed with apt-get, if that needs no password and removes nothing, and not with --no-install.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace

from bootstrap import start_in_environment
from steps import CHECKOUT
from system_packages import install_system_packages

# What the network tests fetch from, asked for its versions: a few kilobytes.
PROBED_PACKAGE = "stempeg"
PROBE_TIMEOUT_S = 60

# Pytest's exit statuses where tests failed and nothing else went wrong, and where it selected none.
TESTS_FAILED, NO_TESTS = 1, 5
# What of the time went where: the suite is to stay short.
LONGEST = ("--durations", "10", "--durations-min", "5")
# Where pytest keeps the tests whose last run failed.
LAST_FAILED = CHECKOUT / ".pytest_cache" / "v" / "cache" / "lastfailed"
# The tests with a sound server, and those that wait for programs of their own: they go by the clock. If
# more of them than so many fail, the machine is not to blame.
BY_THE_CLOCK, MOST_REPEATED = "alone or unhurried or slow", 5


@dataclass(frozen=True)
class Result:
    """How one step ended."""

    name: str
    status: int
    duration_s: float
    remark: str = ""


def main() -> int:
    """Run everything; returns the status of the first step that failed."""
    parser = argparse.ArgumentParser(
        description="Set up, then run ruff, mypy and pytest.",
        epilog="All other arguments go to pytest.",
        allow_abbrev=False,
    )
    parser.add_argument("--fast", action="store_true", help="leave out tests marked slow")
    parser.add_argument(
        "--no-install", action="store_true",
        help="install nothing outside .venv; tests that need what is missing are skipped",
    )  # fmt: skip
    arguments, selection = parser.parse_known_args()
    may_install = not arguments.no_install
    start_in_environment(__file__, ("lint", "test"), may_install)

    results = [
        step("ruff check", ["ruff", "check", "."]),
        step("ruff format", ["ruff", "format", "--check", "."]),
        step("mypy", ["mypy"]),
    ]
    if not selection:
        for kernel_set in other_kernel_sets():
            differing = marked(["not any_kernel_set"])
            command = ["pytest", "tests/kernels", *differing, *side_by_side()]
            results.append(step(f"pytest, RTSEP_KERNELS={kernel_set}", command, kernel_set))
    left_out = ["not slow"] if arguments.fast else []
    network_problem = package_index_problem()
    if network_problem is not None:
        left_out.append("not network")
    unmet = install_needs([*marked(left_out), *selection], may_install)
    if selection:
        results.append(step("pytest", ["pytest", *marked(left_out), *selection]))
    else:
        together = [*marked([*left_out, "not alone"]), "--cache-clear", *side_by_side(), *LONGEST]
        alone = [*marked([*left_out, "alone"]), *LONGEST]
        tests = [
            step("pytest, side by side", ["pytest", *together]),
            step("pytest, one after another", ["pytest", *alone]),
        ]
        results += once_more(tests)

    print()
    for result in results:
        outcome = "passed" if result.status == 0 else f"FAILED, exit status {result.status}"
        print(f"{result.name}: {outcome}{result.remark} ({result.duration_s:.0f} s)")
    if arguments.fast:
        print("slow tests: left out (--fast)")
    for need, reason in unmet.items():
        print(f"tests that need {need}: skipped: {reason}")
    if network_problem is not None:
        print(f"network tests: left out, the package index does not answer: {network_problem}")
    return next((result.status for result in results if result.status), 0)


def step(name: str, module: list[str], kernel_set: str | None = None) -> Result:
    """Run a Python module with its arguments in the checkout, showing what it prints."""
    print(f"\n--- {name}", flush=True)
    environment = os.environ | ({"RTSEP_KERNELS": kernel_set} if kernel_set else {})
    # The tests start many hundred processes, each of which would compile all of rtsep.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    started = time.monotonic()
    status = subprocess.call([sys.executable, "-m", *module], cwd=CHECKOUT, env=environment)
    return Result(name, status, time.monotonic() - started)


def once_more(tests: list[Result]) -> list[Result]:
    """Run failed tests that go by the clock once more; returns what the steps have come to by that.

    A machine that stands still for a tenth of a second, as shared ones do, has a server turn its clients
    away or lose sound, which is no fault of rtsep's. What fails twice, has failed, and so has each other
    test that failed once.
    """
    first = last_failed()
    only_tests = {test.status for test in tests} - {0} == {TESTS_FAILED}
    if not only_tests or len(first) > MOST_REPEATED:
        return tests
    again = ["--last-failed", "--last-failed-no-failures", "none"]
    repeated = step("pytest, once more", ["pytest", *marked([BY_THE_CLOCK]), *again])
    if repeated.status == NO_TESTS:
        return tests
    mended = sorted(first - last_failed())
    if mended:
        repeated = replace(repeated, remark=f"; failed at first: {', '.join(mended)}")
    if last_failed():
        return [*tests, replace(repeated, status=TESTS_FAILED)]
    excused = [
        replace(test, status=0, remark=", at the second attempt") for test in tests if test.status
    ]
    return [*(test for test in tests if not test.status), *excused, repeated]


def last_failed() -> set[str]:
    """The tests whose last run failed."""
    return set(json.loads(LAST_FAILED.read_text())) if LAST_FAILED.exists() else set()


def marked(markers: list[str]) -> list[str]:
    """Arguments by which pytest selects the tests with all of these markers, or without ("not ...")."""
    return ["-m", " and ".join(markers)] if markers else []


def side_by_side() -> list[str]:
    """Arguments by which pytest runs tests at once: one more than there are cores, as some only wait.

    Each worker gets a run of tests that stand together, which share what they make, and takes from the
    others' when it has done.
    """
    from rtsep.environment import usable_cores

    return ["-n", str(usable_cores() + 1), "--dist", "worksteal"]


def other_kernel_sets() -> list[str]:
    """The kernel sets that this processor can run, less the one that is its own."""
    from rtsep_kernels.jit import host_vector_width

    return ["plain", *(f"vector{lanes}" for lanes in (4, 8, 16) if lanes < host_vector_width())]


def install_needs(selection: list[str], may_install: bool) -> dict[str, str]:
    """Install what the selected tests use of the system; returns by need why it is still missing.

    selection: arguments of pytest. Nothing is collected or installed where nothing is missing.
    """
    sys.path.insert(0, str(CHECKOUT))
    from tests.system_programs import NEEDS, missing

    lacking = [need for need in NEEDS if missing(need)]
    used = needs_of(selection) if lacking else set()
    unmet = {}
    for need in lacking:
        packages = list(dict.fromkeys(missing(need).values()))
        if need not in used or not packages:
            continue
        reason: str | None = f"--no-install; it takes {', '.join(packages)}"
        if may_install:
            reason = install_system_packages(f"tests that need {need}", packages)
        if missing(need):
            unmet[need] = reason or f"still missing: {', '.join(missing(need))}"
    return unmet


def needs_of(selection: list[str]) -> set[str]:
    """The needs (tests/system_programs.py) of the tests that pytest would run with these arguments."""
    from tests.system_programs import NEEDS_LINE

    command = [sys.executable, "-m", "pytest", "--collect-only", "--show-needs", *selection]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith(NEEDS_LINE)]
    return set(lines[-1].removeprefix(NEEDS_LINE).split()) if lines else set()


def package_index_problem() -> str | None:
    """Why the package index cannot be reached; None if it can."""
    command = [
        sys.executable, "-m", "pip", "index", "versions", PROBED_PACKAGE,
        "--disable-pip-version-check", "--no-input", "--retries", "1", "--timeout", "15",
    ]  # fmt: skip
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {PROBE_TIMEOUT_S} s"
    if answer.returncode == 0:
        return None
    return (answer.stderr.strip().splitlines() or ["pip gives no reason"])[-1]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
