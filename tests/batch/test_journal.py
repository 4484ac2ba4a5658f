"""The journal as such: it is what it was, whoever was killed, and nothing else is taken for one."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
from pathlib import Path

import pytest

from rtsep.batch import journal as journals
from rtsep.batch.journal import DONE, FAILED, RUNNING, WAITING, Journal, Row, read_journal
from rtsep.batch.status import merge_into, status_of
from rtsep.errors import RtsepError, UsageError
from tests.signal_programs import end, start

ODD = ["a", "\n", "é", os.fsdecode(b"\xff"), "'; DROP TABLE inputs; --", "s3://a/b"]


def rows(*states: str) -> list[Row]:
    return [
        Row(
            f"/in/{n}",
            state,
            "settings",
            {"vocals": (f"/out/{ODD[n]}", 9)},
            100,
            5,
            "c",
            1,
            1.0,
            2.0,
        )
        for n, state in enumerate(states)
    ]


def test_rows_come_back_as_they_were(tmp_path):
    written = [Row(name, DONE, "s", {"a": (name, 1), "b": ("", None)}, error=name) for name in ODD]
    with Journal(tmp_path / "j") as journal:
        journal.put(written)
    found = {row.name: row for row in read_journal(tmp_path / "j")[0]}
    for row in written:
        row.error = row.error.encode(errors="replace").decode()
        assert found[row.name] == row
    assert sorted(path.name for path in tmp_path.iterdir()) == ["j"]


KILLED = """
import os, signal, sys
from pathlib import Path
from rtsep.batch.journal import DONE, Journal, Row
journal = Journal(Path(sys.argv[1]))
for number in range(10**6):
    journal.put([Row(f"{number}-{half}", DONE, "s") for half in "ab"])
    print(number, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_killed_writer_loses_nothing_that_was_written(tmp_path):
    process = start(KILLED, str(tmp_path / "j"))
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(50)]
    process.kill()
    said += process.stdout.read().splitlines()
    end(process)
    numbers = {int(row.name.split("-")[0]) for row in read_journal(tmp_path / "j")[0]}
    assert set(range(50)) <= set(range(int(said[-1]) + 1)) <= numbers
    # Nothing is half there: both rows of a transaction or none.
    assert len(read_journal(tmp_path / "j")[0]) == 2 * len(numbers)
    with Journal(tmp_path / "j") as journal:
        assert len(list(journal.rows())) == 2 * len(numbers)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["j"]


def test_a_reader_at_the_end_leaves_no_log_behind(tmp_path):
    path = tmp_path / "j"
    journal = Journal(path)
    reader = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, check_same_thread=False)
    rows = reader.execute("SELECT name FROM sqlite_master")
    rows.fetchone()  # in the middle of reading
    threading.Timer(0.3, lambda: (rows.close(), reader.close())).start()
    journal.close()
    assert sorted(found.name for found in tmp_path.iterdir()) == ["j"]


def test_what_is_no_journal_is_left_as_it_is(tmp_path):
    text, other = tmp_path / "text", tmp_path / "other"
    text.write_bytes(b"no database at all, " * 60)
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE mine (a)")
    for path, reason in ((text, "is no journal"), (other, "no journal of rtsep")):
        before = path.read_bytes()
        with pytest.raises(UsageError, match=reason):
            Journal(path)
        assert path.read_bytes() == before
    with pytest.raises(RtsepError, match="cannot write the journal"):
        Journal(text / "j")


def test_one_run_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(journals, "LOCK_WAIT_S", 0.1)
    with Journal(tmp_path / "j") as journal:
        with pytest.raises(RtsepError, match="another run writes to the journal"):
            Journal(tmp_path / "j")
        journal.put(rows(DONE))
        assert status_of([tmp_path / "j"]).writing == 1
    Journal(tmp_path / "j").close()
    assert status_of([tmp_path / "j"]).writing == 0


ORPHAN = """
import os, signal, subprocess, sys
from pathlib import Path
from rtsep.batch.journal import Journal
journal = Journal(Path(sys.argv[1]))
worker = subprocess.Popen(["sleep", "60"], pass_fds=[journal.lock.fileno()], stdout=2)
print(worker.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name == "nt", reason="there the lock is not handed on")
def test_workers_that_outlive_their_run_hold_its_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(journals, "LOCK_WAIT_S", 0.1)
    process = start(ORPHAN, str(tmp_path / "j"))
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    process.wait()
    with pytest.raises(RtsepError, match="another run writes"):
        Journal(tmp_path / "j")
    os.kill(worker, signal.SIGKILL)
    end(process)
    Journal(tmp_path / "j").close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["j"]


def test_the_status_sums_and_estimates(tmp_path):
    with Journal(tmp_path / "j") as journal:
        done, failed, running, waiting = rows(DONE, FAILED, RUNNING, WAITING)
        done.sound_s, done.worked_s, failed.error = 60.0, 2.0, "why"
        journal.begin_run(2, 4)
        done.ended_s = 9e9  # in this run
        journal.put([done, failed, running, waiting])
        status = status_of([tmp_path / "j"])
        assert status.counts == {DONE: 1, FAILED: 1, RUNNING: 1, WAITING: 1}
        assert (status.bytes_left, status.sound_s, status.worked_s) == (200, 60.0, 2.0)
        assert [row.error for row in status.failed] == ["why"]
        # 100 bytes since the beginning, 200 to go.
        assert status.left_s is not None and 0 <= status.left_s < 60
    assert status_of([tmp_path / "j", tmp_path / "j"]).counts[DONE] == 2
    assert status_of([tmp_path / "j"]).left_s is None


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
def test_merged_journals_know_the_best_of_each(tmp_path, order):
    for name, states in (("one", (DONE, FAILED, RUNNING)), ("two", (FAILED, DONE, WAITING, DONE))):
        with Journal(tmp_path / name) as journal:
            journal.put(rows(*states))
    with Journal(tmp_path / "all") as journal:
        assert merge_into(journal, [Path(tmp_path, name) for name in order]) == 4
        states = [row.state for row in sorted(journal.rows(), key=lambda row: row.name)]
    assert states == [DONE, DONE, RUNNING, DONE]
