"""Separate one recording into its stems, while reading it, in bounded memory.

The loop behind `rtsep-separate`: a block is read, pushed through the separator, and whatever is
finished is written at once. Files take their final names together, at the end.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtsep.files.formats import DEFAULT_FORMAT, find_format
from rtsep.files.pipe_writer import PipeTarget, PipeWriter
from rtsep.files.reader import AudioReader
from rtsep.files.remarks import Remark
from rtsep.files.writer import StemWriter, commit_all
from rtsep.offline.job import SeparationJob

if TYPE_CHECKING:
    from rtsep.offline.separator import Separator

# 1.5 s at 44.1 kHz: well below what the network wants at once, so reading never lags behind.
SAMPLES_PER_BLOCK = 65_536

OnProgress = Callable[[float, "float | None"], None]


@dataclass(frozen=True)
class Clipping:
    """What did not fit into a stem's integer samples.

    Attributes
    ----------
    samples : int
        How many.
    peak : float
        The highest magnitude; full scale is 1.
    """

    samples: int
    peak: float

    @property
    def peak_dbfs(self) -> float:
        """The peak in dB relative to full scale."""
        return float(20 * np.log10(self.peak))


@dataclass(frozen=True)
class SeparationReport:
    """What became of one recording.

    Attributes
    ----------
    label : str
        How it is called.
    targets : dict of str to Path or PipeTarget
        Where its stems are.
    duration_s : float
        Seconds of sound that were separated.
    elapsed_s : float
        Seconds it took, from the first block to the last stem's final name.
    first_output_s : float
        Seconds until the first samples were handed to the writers.
    sample_rate, stored_rate : int
        Of the source and of the stems, in Hz.
    source_channels, channels : int
        Of the source and of the stems.
    clipping : dict of str to Clipping
        By stem, for those stems that went beyond full scale and could not keep it.
    remarks : tuple of Remark
        What was found in the source, see AudioReader.
    """

    label: str
    targets: dict[str, Path | PipeTarget]
    duration_s: float
    elapsed_s: float
    first_output_s: float
    sample_rate: int
    stored_rate: int
    source_channels: int
    channels: int
    clipping: dict[str, Clipping]
    remarks: tuple[Remark, ...]

    @property
    def times_real_time(self) -> float:
        """How many times faster than real time it ran."""
        return self.duration_s / self.elapsed_s


def separate_file(
    separator: Separator,
    source: str | Path,
    targets: Mapping[str, str | Path],
    *,
    format: str = DEFAULT_FORMAT,
    bit_depth: str | None = None,
    start_s: float | None = None,
    duration_s: float | None = None,
    track: int | None = None,
    strict: bool = False,
    on_progress: OnProgress | None = None,
) -> SeparationReport:
    """Separate an audio file into one file per stem, while reading it, in bounded memory.

    Parameters
    ----------
    separator : Separator
        The model, loaded.
    source : str | Path
        The file to read.
    targets : Mapping[str, str | Path]
        The file for each stem to be written; stems of `separator` that are left out are not written.
    format, bit_depth : str, optional
        Of the stems' files, see `StemWriter`.
    start_s, duration_s : float, optional
        The part of the source to separate, in seconds; None for all.
    track, strict : optional
        See `AudioReader`.
    on_progress : OnProgress | None
        Called after every block with the seconds of stems written so far and those expected in all
        (None if unknown).

    Returns
    -------
    SeparationReport
        What was done, how long it took, and what was found in the source.

    Raises
    ------
    AudioFileError
        If the source cannot be read or a stem cannot be written.
    UsageError
        For an impossible format, and where there is no target.

    Notes
    -----
    The stems' files take their final names together, at the end. On any exception no target has been
    touched and no partial file is left.
    """
    job = SeparationJob(
        Path(source),
        {stem: Path(target) for stem, target in targets.items()},
        find_format(format),
        bit_depth,
        start_s,
        duration_s,
        track,
        strict,
    )
    with job.open() as reader:
        return separate_job(separator, job, reader, on_progress)


def separate_job(
    separator: Separator,
    job: SeparationJob,
    reader: AudioReader,
    on_progress: OnProgress | None = None,
) -> SeparationReport:
    """Separate what `reader`, which `job` has opened, reads; see `separate_file`."""
    started = time.perf_counter()
    rate = reader.sample_rate
    expected_s = None if reader.samples_estimate is None else reader.samples_estimate / rate
    first_output_s = 0.0
    samples_written = 0
    with contextlib.ExitStack() as stack:
        writers = job.begin(reader, stack)

        def write(stems: Mapping[str, NDArray[np.float32]]) -> None:
            nonlocal samples_written, first_output_s
            count = len(next(iter(stems.values())))
            if count and not samples_written:
                first_output_s = time.perf_counter() - started
            for stem, writer in writers.items():
                writer.write(stems[stem])
            samples_written += count
            if on_progress is not None:
                on_progress(samples_written / rate, expected_s)

        stream = stack.enter_context(separator.stream(rate, reader.channels))
        for block in reader.blocks(SAMPLES_PER_BLOCK):
            write(stream.push(block))
        write(stream.flush())
        _commit(list(writers.values()))

    return SeparationReport(
        label=job.label,
        targets=dict(job.targets),
        duration_s=samples_written / rate,
        elapsed_s=time.perf_counter() - started,
        first_output_s=first_output_s,
        sample_rate=rate,
        stored_rate=next(iter(writers.values())).stored_rate,
        source_channels=reader.source_channels,
        channels=reader.channels,
        clipping={
            stem: Clipping(writer.clipped_samples, writer.peak)
            for stem, writer in writers.items()
            if writer.clipped_samples
        },
        remarks=tuple(reader.remarks),
    )


def _commit(writers: Sequence[StemWriter | PipeWriter]) -> None:
    """End what goes to pipes, then give all files their final names."""
    for writer in writers:
        if isinstance(writer, PipeWriter):
            writer.commit()
    commit_all([writer for writer in writers if isinstance(writer, StemWriter)])
