"""In which order a run has tasks done, and what becomes of rows; with an executor that obeys."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rtsep.batch.inputs import Input
from rtsep.batch.journal import Journal, Row
from rtsep.batch.plan import Planned, make_plan
from rtsep.batch.run import Run
from rtsep.batch.task import Outcome, Task
from rtsep.errors import RtsepError


class Told:
    """An executor in this process. act: what becomes of a task; it may raise."""

    workers = 1

    def __init__(self, act: Callable[[Task], Outcome]) -> None:
        self._act, self._waiting = act, []
        self.tasks: list[tuple[str, str]] = []

    def room(self) -> int:
        return 1 - len(self._waiting)

    def submit(self, number: int, task: Task) -> None:
        self.tasks.append((task.kind, task.source))
        self._waiting.append((number, task))

    def wait(self, timeout_s: float) -> list[tuple[int, Outcome]]:
        return [(number, self._act(task)) for number, task in [self._waiting.pop()]]

    def close(self) -> None:
        pass


class Notes:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def done(self, row, source, report, how) -> None:
        self.told.append((how, source))

    def failed(self, row, source, again) -> None:
        self.told.append(("again" if again else "failed", source))

    def tick(self, totals) -> None:
        pass


def go(journal: Journal, sizes: dict[str, int], act, **options):
    """Run over files of these sizes; return tasks, notes, totals and the state of each row."""
    planned = [
        Planned(Input(f"/in/{name}", "", size, 1), {"vocals": f"/out/{name}"})
        for name, size in sizes.items()
    ]
    executor, notes = Told(act), Notes()
    run = Run(make_plan(planned, journal, "settings"), journal, notes, **options)
    try:
        run.go(executor)
    finally:
        states = {row.name[4:]: row.state for row in journal.rows()}
    tasks = [(kind, source[4:]) for kind, source in executor.tasks]
    return tasks, [(how, source[4:]) for how, source in notes.told], run.totals, states


def good(task: Task, content: str = "") -> Outcome:
    return Outcome(content=content or task.source, sizes_bytes=dict.fromkeys(task.targets, 1))


@pytest.fixture
def journal():
    with Journal(None) as journal:
        yield journal


def test_long_ones_first_and_again_short_ones_first(journal):
    tries: dict[str, int] = {}

    def act(task: Task) -> Outcome:
        tries[task.source] = tries.get(task.source, 0) + 1
        bad = task.source in ("/in/a", "/in/c", "/in/d") and tries[task.source] <= 2
        return Outcome(error="bad") if bad else good(task)

    sizes = {"a": 1, "b": 2, "c": 3, "d": 4}
    tasks, told, totals, states = go(journal, sizes, act, retries=2)
    assert [name for _, name in tasks] == list("dcba") + list("acd") + list("acd")
    assert told[-3:] == [("separated", name) for name in "acd"]
    assert (totals.done, totals.failed, totals.left, totals.bytes_left) == (4, 0, 0, 0)
    assert set(states.values()) == {"done"}


@pytest.mark.parametrize("original_fails", [False, True])
def test_duplicates_follow_their_original_or_stand_alone(journal, original_fails):
    """Three of one length: two of them the same, one another."""
    content = {"/in/a": "x", "/in/b": "x", "/in/c": "y"}

    def act(task: Task) -> Outcome:
        if task.kind == "hash":
            return Outcome(content=content[task.source])
        if task.source == "/in/a" and original_fails:
            return Outcome(error="bad")
        return good(task, content[task.source])

    tasks, _told, totals, states = go(journal, dict.fromkeys("abc", 5), act, retries=0)
    kinds = {name: [kind for kind, n in tasks if n == name] for name in "abc"}
    assert kinds["a"] == kinds["c"] == ["hash", "separate"]
    assert kinds["b"] == ["hash", "separate" if original_fails else "duplicate"]
    assert states == {"a": "failed" if original_fails else "done", "b": "done", "c": "done"}
    assert (totals.duplicates, totals.failed) == ((0, 1) if original_fails else (1, 0))


def test_a_duplicate_whose_originals_stems_have_gone_is_separated(journal):
    def act(task: Task) -> Outcome:
        if task.kind == "duplicate":
            return Outcome(error="gone")
        return Outcome(content="x") if task.kind == "hash" else good(task, "x")

    tasks, _told, totals, states = go(journal, {"a": 5, "b": 5}, act)
    assert [kind for kind, name in tasks if name == "b"] == ["hash", "duplicate", "separate"]
    assert (totals.done, totals.failed, set(states.values())) == (2, 0, {"done"})


def test_a_later_run_knows_the_content_of_an_earlier_one(journal, monkeypatch):
    from rtsep.batch import plan

    monkeypatch.setattr(plan.storage, "size_of", lambda target: 1)
    go(journal, {"a": 5}, lambda task: good(task, "x"))

    def act(task: Task) -> Outcome:
        assert task.kind != "separate"
        return Outcome(content="x") if task.kind == "hash" else good(task)

    tasks, _told, totals, _states = go(journal, {"a": 5, "b": 5}, act)
    assert tasks == [("hash", "b"), ("duplicate", "b")]
    assert (totals.before, totals.duplicates, totals.left) == (1, 1, 0)


def test_what_was_in_flight_at_an_error_is_waiting_again(journal):
    def act(task: Task) -> Outcome:
        if task.source == "/in/b":
            raise RtsepError("the cluster has gone")
        return good(task)

    with pytest.raises(RtsepError, match="gone"):
        go(journal, {"a": 9, "b": 8, "c": 7}, act)
    assert [row.state for row in journal.rows()] == ["done", "waiting", "waiting"]


def test_inputs_that_are_not_asked_for_any_more_are_forgotten_unless_done(journal):
    journal.put([Row("/in/old", "waiting", "s"), Row("/in/done", "done", "s")])
    _tasks, _told, _totals, states = go(journal, {"a": 1}, good)
    assert states == {"a": "done", "done": "done"}
