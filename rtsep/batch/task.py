"""What a process does for one recording: a task goes in, an outcome comes out. Both go through pipes.

Three kinds: hash the content, where another recording of the same length may have the same; separate;
make stems from those of a recording with the same content.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rtsep.batch import storage
from rtsep.batch.settings import BatchSettings
from rtsep.errors import AudioFileError, RtsepError
from rtsep.files.formats import OutputFormat, find_format
from rtsep.files.reader import AudioReader
from rtsep.offline.job import SeparationJob

if TYPE_CHECKING:
    from rtsep.offline.separate_file import SeparationReport
    from rtsep.offline.separator import Separator

CHUNK_BYTES = 1 << 20
# How far a stem's length may be from what is expected of its input: encoders' delays and padding.
TOLERATED_S = 0.1

# Called with the seconds of sound that a task is about to separate; None where they are not known.
OnBegin = Callable[["float | None"], None]


@dataclass(frozen=True)
class Task:
    """One piece of work.

    kind: "separate", "hash" or "duplicate".  source: what is read; for a duplicate the recording that
    has the same content.  targets: file of each stem; for a duplicate `originals` are those to take.
    skip_existing: leave a recording whose stems are there, of the right length.  link: make duplicates
    hard links.
    """

    kind: str
    source: str
    targets: Mapping[str, str] = field(default_factory=dict)
    originals: Mapping[str, str] = field(default_factory=dict)
    size_bytes: int = 0
    skip_existing: bool = False
    link: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    error: why it failed, in one line; None where it did not.  content: SHA-256 of the source.
    sizes_bytes: of each stem's file.  report: of a separation.  skipped: the stems were there already.
    """

    error: str | None = None
    content: str | None = None
    sizes_bytes: Mapping[str, int] = field(default_factory=dict)
    report: SeparationReport | None = None
    skipped: bool = False


def perform(
    task: Task, settings: BatchSettings, separator: Callable[[], Separator], on_begin: OnBegin
) -> Outcome:
    """Do one task; what goes wrong with its files is told in the outcome."""
    try:
        if task.kind == "hash":
            with storage.at_hand(task.source) as path:
                return Outcome(content=content_of(path))
        if task.kind == "duplicate":
            for stem, target in task.targets.items():
                storage.duplicate(task.originals[stem], target, task.link)
            return Outcome(sizes_bytes=_sizes(task.targets))
        return _separate(task, settings, separator, on_begin)
    except RtsepError as error:
        return Outcome(error=str(error))
    except MemoryError:
        return Outcome(error=f"{task.source}: there is not enough memory for it")


def content_of(path: Path) -> str:
    """SHA-256 of a file; raises AudioFileError."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    except FileNotFoundError:
        raise AudioFileError(f"no such file: {path}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise AudioFileError(f"cannot read {path}: {reason}") from error
    return digest.hexdigest()


def _separate(
    task: Task, settings: BatchSettings, separator: Callable[[], Separator], on_begin: OnBegin
) -> Outcome:
    from rtsep.offline.separate_file import separate_job

    output_format = find_format(settings.format)
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(storage.at_hand(task.source))
        job = SeparationJob(
            path,
            {stem: Path(target) for stem, target in task.targets.items()},
            output_format,
            settings.bit_depth,
            settings.start_s,
            settings.duration_s,
            settings.track,
            settings.strict,
        )
        try:
            reader = stack.enter_context(job.open())
            if task.skip_existing and _are_there(task.targets, reader, output_format):
                return Outcome(skipped=True, sizes_bytes=_sizes(task.targets))
            estimate = reader.samples_estimate
            on_begin(None if estimate is None else estimate / reader.sample_rate)
            with storage.to_be_sent(task.targets) as files:
                local = dataclasses.replace(job, targets=files)
                report = separate_job(separator(), local, reader)
        except RtsepError as error:
            # A copy that was fetched has a name that nobody knows.
            raise AudioFileError(str(error).replace(str(path), task.source)) from error
        content = content_of(path)
    report = dataclasses.replace(
        report,
        label=task.source,
        targets={stem: _shown(target) for stem, target in task.targets.items()},
    )
    return Outcome(content=content, sizes_bytes=_sizes(task.targets), report=report)


def _shown(target: str) -> Path:
    return target if storage.has_scheme(target) else Path(target)  # type: ignore[return-value]


def _sizes(targets: Mapping[str, str]) -> dict[str, int]:
    sizes = {}
    for stem, target in targets.items():
        size = storage.size_of(target)
        if size is None:
            raise AudioFileError(f"cannot write {target}: it is not there after it was written")
        sizes[stem] = size
    return sizes


def _are_there(targets: Mapping[str, str], reader: AudioReader, output: OutputFormat) -> bool:
    """Whether every stem is there, as long as what `reader` would read."""
    import soundfile

    if reader.samples_estimate is None:
        return False
    expected_s = reader.samples_estimate / reader.sample_rate
    for target in targets.values():
        if storage.size_of(target) is None:
            return False
        try:
            with storage.at_hand(target) as path:
                info = soundfile.info(os.fsencode(path) if os.name != "nt" else str(path))
        except (RtsepError, soundfile.LibsndfileError, OSError):
            return False
        if info.samplerate != output.stored_rate(reader.sample_rate):
            return False
        if abs(info.frames / info.samplerate - expected_s) > TOLERATED_S:
            return False
    return True
