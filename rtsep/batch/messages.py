"""What a run and its worker processes say to each other, through pipes, as pickles with their length."""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

from rtsep.batch.settings import BatchSettings
from rtsep.batch.task import Outcome

_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True)
class Orders:
    """The first message to a worker. writer: its name in temporary files, see part_file.py."""

    settings: BatchSettings
    writer: str


@dataclass(frozen=True)
class Ready:
    """The model is loaded. private_bytes: see memory.py.  why_not_shared: see Separator."""

    precision: str
    private_bytes: int | None
    why_not_shared: str | None


@dataclass(frozen=True)
class Refused:
    """The model cannot be loaded; the worker ends."""

    error: str
    exit_status: int


@dataclass(frozen=True)
class Begun:
    """The recording is open. sound_s: how much of it is to be separated, if that is known."""

    sound_s: float | None


@dataclass(frozen=True)
class Pulse:
    """Sent once a second."""

    private_bytes: int | None


@dataclass(frozen=True)
class Finished:
    """A task is done, or has failed."""

    outcome: Outcome
    private_bytes: int | None


Message = Ready | Refused | Begun | Pulse | Finished


def send(file: BinaryIO, message: Any) -> None:
    """Write one message; raises OSError where the reader has gone."""
    content = pickle.dumps(message, protocol=5)
    file.write(_LENGTH.pack(len(content)) + content)
    file.flush()


def receive(file: BinaryIO) -> Any:
    """The next message; None at the end, also of a writer that was killed in the middle of one."""
    head = file.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    content = file.read(length)
    return pickle.loads(content) if len(content) == length else None
