"""The engine driven from a file in place of a device: as fast as it goes, or paced like a device."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.dsp.channels import to_stereo
from rtsep.dsp.resample import StreamResampler
from rtsep.files.formats import format_of
from rtsep.files.pipe_writer import PipeTarget, PipeWriter
from rtsep.files.reader import AudioReader
from rtsep.files.writer import StemWriter
from rtsep.live.live_engine import LiveEngine, process_timed, process_unpaced
from rtsep.live.priority import audio_first
from rtsep.live.recorder import Recorder


def run_unpaced(
    engine: LiveEngine, blocks: Iterable[NDArray[np.float32]]
) -> Iterator[NDArray[np.float32]]:
    """Push stereo blocks of any length through a started engine; yield as many samples each.

    blocks: (samples, 2) float32. Yields (samples, engine.output_channels) float32, delayed by
    engine.plan.latency_samples. The workers are waited for, so no mask is ever late.
    """
    for block in blocks:
        out = np.zeros((len(block), engine.output_channels), np.float32)
        process_unpaced(engine, block, out)
        yield out


def run_paced(
    engine: LiveEngine, blocks: Iterable[NDArray[np.float32]]
) -> Iterator[NDArray[np.float32]]:
    """Like run_unpaced, but each block at the time a device would ask for it; masks may be late."""
    with audio_first():
        due = time.perf_counter()
        for block in blocks:
            due += len(block) / SAMPLE_RATE
            time.sleep(max(0.0, due - time.perf_counter()))
            engine.check()
            out = np.zeros((len(block), engine.output_channels), np.float32)
            process_timed(engine, block, out)
            yield out


def run_file(
    engine: LiveEngine,
    reader: AudioReader,
    target: Path | PipeTarget | None,
    recorder: Recorder | None,
    *,
    paced: bool,
    tick: Callable[[], None] = lambda: None,
) -> None:
    """Play what `reader` reads through the engine into `target` and the recorder.

    The engine's latency is taken out: the target begins with the file's first sample and is as
    long. A file's format is that of its extension, at the bit depth that loses least; it appears when it
    is complete. A pipe gets every block as it is made. What the recorder has stays in any case.
    tick: called after every block.

    Raises AudioFileError where a file cannot be read or written, UsageError for an unknown extension.
    A recorder that fails ends the run only if nothing else is written.
    """
    drive = run_paced if paced else run_unpaced
    with contextlib.ExitStack() as stack:
        writer: StemWriter | PipeWriter | None = None
        if target is not None:
            writer = _writer(target, reader)
            stack.enter_context(writer)
        to_skip = engine.plan.latency_samples
        for out in drive(engine, _stereo_blocks(engine, reader)):
            kept = out[min(to_skip, len(out)) :]
            to_skip -= len(out) - len(kept)
            if recorder is not None:
                recorder.push(kept, wait=not paced)
                if recorder.failure is not None and writer is None:
                    return
            if writer is not None:
                writer.write(np.ascontiguousarray(kept[:, :2]))
            tick()
        if writer is not None:
            writer.commit()


def _writer(target: Path | PipeTarget, reader: AudioReader) -> StemWriter | PipeWriter:
    if isinstance(target, PipeTarget):
        return PipeWriter(target, SAMPLE_RATE, 2)
    output = format_of(target)
    estimate = None
    if reader.samples_estimate is not None:
        estimate = math.ceil(reader.samples_estimate * SAMPLE_RATE / reader.sample_rate)
    depth = output.best_bit_depth or None
    return StemWriter(target, SAMPLE_RATE, 2, output, depth, estimate)


def _stereo_blocks(engine: LiveEngine, reader: AudioReader) -> Iterator[NDArray[np.float32]]:
    """The file at 44.1 kHz in stereo, in blocks of a hop, and as much silence as the latency."""
    resampler = StreamResampler(reader.sample_rate, SAMPLE_RATE, reader.channels)
    hop = engine.plan.hop
    for block in reader.blocks(hop if reader.is_stream else 16 * hop):
        yield from _pieces(to_stereo(resampler.push(block)), hop)
    yield from _pieces(to_stereo(resampler.flush()), hop)
    yield from _pieces(np.zeros((engine.plan.latency_samples, 2), np.float32), hop)


def _pieces(block: NDArray[np.float32], length: int) -> Iterator[NDArray[np.float32]]:
    for at in range(0, len(block), length):
        yield block[at : at + length]
