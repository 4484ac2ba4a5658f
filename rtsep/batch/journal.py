"""What has become of every input, in a SQLite file: who is killed at any moment finds it as it was.

One row for each input. A process writes its row before it begins and after its stems have their final
names, each time as one transaction of the write-ahead log, which a killed process cannot tear. A row
that says "running" when nobody runs was in flight: it is done again.

One run at a time writes to a journal; anybody may read it meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from rtsep.errors import RtsepError, UsageError
from rtsep.system.file_lock import try_lock

# "rtsJ", and what the tables are like.
APPLICATION_ID = 0x7274734A
FORMAT_VERSION = 1
WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
STATES = (WAITING, RUNNING, DONE, FAILED)
LOCK_SUFFIX = "-lock"
# How long a reader or writer waits for another that is in the middle of a transaction.
BUSY_S = 30.0
# How long the end of a run waits for readers to be done, so as to leave one file.
READERS_S = 5.0

# Names are bytes: a name need not be text.
_TABLES = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE inputs (
    name BLOB PRIMARY KEY,
    state TEXT NOT NULL,
    settings TEXT NOT NULL,
    outputs TEXT NOT NULL,
    size_bytes INTEGER,
    modified_ns INTEGER,
    content TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    began_s REAL,
    ended_s REAL,
    sound_s REAL,
    worked_s REAL,
    error TEXT
) WITHOUT ROWID;
CREATE INDEX by_content ON inputs (content);
CREATE TABLE runs (
    number INTEGER PRIMARY KEY,
    host TEXT NOT NULL,
    workers INTEGER NOT NULL,
    began_s REAL NOT NULL,
    ended_s REAL,
    left_at_begin INTEGER NOT NULL
);
"""
_COLUMNS = (
    "name, state, settings, outputs, size_bytes, modified_ns, content, attempts, began_s, ended_s,"
    " sound_s, worked_s, error"
)


@dataclass
class Row:
    """One input.

    Attributes
    ----------
    name : str
        Its full path, or its name with a scheme.
    state : str
        One of STATES.
    settings : str
        The digest of what was asked for, see BatchSettings.
    outputs : dict of str to (str, int or None)
        By stem: its file, and the length in bytes, once it is written.
    size_bytes, modified_ns : int or None
        Of the input: its length and when it was changed.
    content : str or None
        SHA-256 of the input.
    attempts : int
        How often it was begun in the run that did it.
    began_s, ended_s : float or None
        When, in seconds since 1970.
    sound_s, worked_s : float or None
        Seconds of sound that were separated, and that it took.
    error : str or None
        Why it failed.
    """

    name: str
    state: str
    settings: str
    outputs: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    size_bytes: int | None = None
    modified_ns: int | None = None
    content: str | None = None
    attempts: int = 0
    began_s: float | None = None
    ended_s: float | None = None
    sound_s: float | None = None
    worked_s: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class Run:
    """One run: host, workers, when (seconds since 1970; end None if it was killed, or goes on)."""

    host: str
    workers: int
    began_s: float
    ended_s: float | None
    left_at_begin: int


class Journal:
    """The journal in `path`; with None one in memory, which nobody else sees.

    Use it in a ``with`` statement.

    Attributes
    ----------
    identity : str
        Letters and digits that no other journal has.

    Raises
    ------
    RtsepError
        Where the file cannot be written, or another run writes to it.
    UsageError
        Where it is no journal.
    """

    def __init__(self, path: Path | None):
        self.path = path
        self.lock: BinaryIO | None = None
        with contextlib.ExitStack() as stack:
            if path is not None:
                self.lock = stack.enter_context(_locked(path))
            self._database = stack.enter_context(contextlib.closing(_connect(path, "rwc")))
            with self._told():
                _check_or_make(self._database, path)
                self._database.execute("PRAGMA synchronous = NORMAL")
            self.identity = self._about("identity") or ""
            self._life = stack.pop_all()
        self._run: int | None = None

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the run and let go of the file."""
        with contextlib.suppress(RtsepError):
            self.end_run()
        # Without a log beside it, so that who reads it later leaves none; readers prevent it meanwhile.
        gives_up_s = time.monotonic() + READERS_S
        while not self._is_without_log() and time.monotonic() < gives_up_s:
            time.sleep(0.02)
        self._life.close()

    def _is_without_log(self) -> bool:
        try:
            mode = self._database.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
        except sqlite3.Error:
            return False
        return bool(mode != "wal")

    def rows(self) -> Iterator[Row]:
        """Every row, in the order of the names."""
        with self._told():
            yield from _rows(self._database)

    def put(self, rows: Iterable[Row]) -> None:
        """Write rows, in place of what they are now, all or none of them."""
        marks = ",".join("?" * len(_COLUMNS.split(",")))
        with self._told(), self._whole():
            self._database.executemany(
                f"REPLACE INTO inputs ({_COLUMNS}) VALUES ({marks})", map(_values, rows)
            )

    def forget(self, names: Iterable[str]) -> None:
        """Remove rows."""
        with self._told(), self._whole():
            self._database.executemany(
                "DELETE FROM inputs WHERE name = ?", ((os.fsencode(name),) for name in names)
            )

    def begin_run(self, workers: int, left: int) -> None:
        """Note that a run begins which has `left` inputs to do."""
        with self._told():
            self._run = self._database.execute(
                "INSERT INTO runs (host, workers, began_s, left_at_begin) VALUES (?, ?, ?, ?)",
                (socket.gethostname(), workers, time.time(), left),
            ).lastrowid

    def end_run(self) -> None:
        """Note that the run has ended."""
        if self._run is not None:
            with self._told():
                self._database.execute(
                    "UPDATE runs SET ended_s = ? WHERE number = ?", (time.time(), self._run)
                )
            self._run = None

    def _about(self, name: str) -> str | None:
        with self._told():
            found = self._database.execute(
                "SELECT value FROM about WHERE name = ?", (name,)
            ).fetchone()
        return None if found is None else found[0]

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """One transaction."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def _told(self) -> contextlib.AbstractContextManager[None]:
        return _told(self.path)


def read_journal(path: Path) -> tuple[list[Row], list[Run], bool]:
    """The rows and runs of a journal, also of one that is being written, and whether it is.

    Raises RtsepError where there is none, or it cannot be read.
    """
    if not path.is_file():
        raise RtsepError(f"there is no journal {path}: name the file that a run was given")
    with _told(path), contextlib.closing(_connect(path, "ro")) as database:
        _check(database, path)
        rows = list(_rows(database))
        runs = [
            Run(*values)
            for values in database.execute(
                "SELECT host, workers, began_s, ended_s, left_at_begin FROM runs ORDER BY number"
            )
        ]
    return rows, runs, _is_locked(path)


def _connect(path: Path | None, mode: str) -> sqlite3.Connection:
    with _told(path):
        if path is None:
            return sqlite3.connect(":memory:", isolation_level=None)
        # An address of a file: names may hold ? and #.
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}", BUSY_S, isolation_level=None, uri=True
        )


def _check_or_make(database: sqlite3.Connection, path: Path | None) -> None:
    if database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        _check(database, path)
        database.execute("PRAGMA journal_mode = WAL")
        return
    if path is not None and database.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise RtsepError(
            f"the disk of {path} cannot hold a journal: choose a folder of this machine"
        )
    # Whole or not at all: a run that is killed here leaves an empty file, which is made anew.
    database.executescript(
        f"BEGIN; {_TABLES} INSERT INTO about VALUES ('identity', '{secrets.token_hex(6)}');"
        f" PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT_VERSION}; COMMIT;"
    )


def _check(database: sqlite3.Connection, path: Path | None) -> None:
    if database.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise UsageError(f"{path} is a database, but no journal of rtsep: name another file")
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version != FORMAT_VERSION:
        raise UsageError(
            f"{path} is a journal of version {version}, this rtsep writes {FORMAT_VERSION}: begin"
            " another one"
        )


def _rows(database: sqlite3.Connection) -> Iterator[Row]:
    for name, *values in database.execute(f"SELECT {_COLUMNS} FROM inputs"):
        row = Row(os.fsdecode(name), *values)
        row.outputs = {stem: tuple(value) for stem, value in json.loads(values[2]).items()}
        yield row


def _values(row: Row) -> tuple[Any, ...]:
    values: Mapping[str, Any] = vars(row) | {
        "name": os.fsencode(row.name),
        "outputs": json.dumps(row.outputs),
        # A name within it may be no text.
        "error": None if row.error is None else row.error.encode(errors="replace").decode(),
    }
    return tuple(values[name.strip()] for name in _COLUMNS.split(","))


# The workers of a run that was killed end by themselves, within moments.
LOCK_WAIT_S, LOCK_POLL_S = 5.0, 0.05


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """Hold the journal's lock: a file beside it, which is removed at the end.

    The system drops the lock with the last process that has the file open: this one and its workers, so
    that none of them is at work any more when another run begins.
    """
    lock_path = _lock_path(path)
    deadline_s = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = lock_path.open("a+b")
        except OSError as error:
            raise RtsepError(f"cannot write the journal {path}: {error.strerror}") from error
        with file:
            # Whoever had it may have removed the file that was opened here.
            if try_lock(file) and _is_file(lock_path, file):
                try:
                    yield file
                finally:
                    # Windows does not remove a file that is open: it stays, and does no harm.
                    with contextlib.suppress(OSError):
                        lock_path.unlink()
                return
        if time.monotonic() > deadline_s:
            raise RtsepError(
                f"another run writes to the journal {path}: wait for its end, or name another file"
            )
        time.sleep(LOCK_POLL_S)


def _lock_path(path: Path) -> Path:
    return Path(f"{path}{LOCK_SUFFIX}")


def _is_file(path: Path, file: BinaryIO) -> bool:
    """Whether `path` still leads to the open file."""
    with contextlib.suppress(OSError):
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    return False


def _is_locked(path: Path) -> bool:
    try:
        with _lock_path(path).open("r+b") as file:
            return not try_lock(file)
    except OSError:
        return False


@contextlib.contextmanager
def _told(path: Path | None) -> Iterator[None]:
    """Turn SQLite's errors into one line that names the journal."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise RtsepError(
            f"cannot use the journal {path}: {error}: look at its folder, and for room on the disk"
        ) from error
    except sqlite3.DatabaseError as error:
        raise UsageError(f"{path} is no journal ({error}): name another file") from error
