"""One recording to separate, as a record: what is read, and where its stems go."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rtsep.errors import UsageError
from rtsep.files.byte_source import ByteStream
from rtsep.files.formats import OutputFormat
from rtsep.files.pipe_writer import PipeTarget, PipeWriter
from rtsep.files.raw_pcm import RawFormat
from rtsep.files.reader import AudioReader
from rtsep.files.writer import StemWriter


@dataclass(frozen=True)
class SeparationJob:
    """What is asked for of one recording.

    Parameters
    ----------
    source : Path or ByteStream
        The recording.
    targets : mapping of str to Path or PipeTarget
        Where each stem to be written goes; stems that are left out are not written.
    format : OutputFormat
        Of the files.
    bit_depth : str, optional
        Of the files, see `rtsep.files.writer.StemWriter`.
    start_s, duration_s : float, optional
        The part of the source to separate, in seconds; None for all.
    track, strict : optional
        See `rtsep.files.reader.AudioReader`.
    raw : RawFormat, optional
        What raw PCM the stream holds.

    Raises
    ------
    UsageError
        Where no stem is to be written.
    """

    source: Path | ByteStream
    targets: Mapping[str, Path | PipeTarget]
    format: OutputFormat
    bit_depth: str | None = None
    start_s: float | None = None
    duration_s: float | None = None
    track: int | None = None
    strict: bool = False
    raw: RawFormat | None = None

    def __post_init__(self) -> None:
        if not self.targets:
            raise UsageError(f"nothing to do for {self.label}: name at least one stem's file")

    @property
    def label(self) -> str:
        """How the recording is called in messages."""
        return self.source.label if isinstance(self.source, ByteStream) else str(self.source)

    @property
    def title(self) -> str:
        """The same, without a file's folder."""
        return self.source.label if isinstance(self.source, ByteStream) else self.source.name

    def open(self) -> AudioReader:
        """Open the source; raises AudioFileError where it has no sound."""
        return AudioReader(
            self.source, self.start_s, self.duration_s, self.track, self.strict, self.raw
        )

    def begin(self, reader: AudioReader, stack: ExitStack) -> dict[str, StemWriter | PipeWriter]:
        """Begin to write the stems of what `reader` reads; `stack` ends it."""
        rate, channels = reader.sample_rate, reader.channels
        writers: dict[str, StemWriter | PipeWriter] = {}
        for stem, target in self.targets.items():
            if isinstance(target, PipeTarget):
                writers[stem] = PipeWriter(target, rate, channels)
            else:
                writers[stem] = stack.enter_context(
                    StemWriter(
                        target, rate, channels, self.format, self.bit_depth, reader.samples_estimate
                    )
                )
        return writers
