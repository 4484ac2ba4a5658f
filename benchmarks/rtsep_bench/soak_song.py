"""The song of `rtsep-bench soak`, which goes round, and what the program must make of it.

The song is as long as a number of runs of the nets, so that it is cut into the same windows every time
it comes round, and sounds the same. What it sounds like depends on one thing more: the phase, that is on
which of its samples the windows begin. There is a reference for each where there are few, as in a graph
whose cycles divide a hop; elsewhere for some, which the others are close to.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.dsp.resample import StreamResampler
from rtsep.dsp.varispeed import Varispeed
from rtsep.live.live_separator import LiveSeparator
from rtsep.live.plans.plan import StreamPlan
from rtsep_bench.sound import music, song

LEAST_S = 6.0
# Exact references are made for so many phases at most, else close ones for CLOSE_PHASES: what lies
# between two of them is 40 dB and more from their mean (soak_warp.py tells how much).
MOST_PHASES, CLOSE_PHASES = 8, 16
BLOCK = 1024
# Of a song that is compared to parts of a sample.
HIGHEST_HZ = 18_000.0


@dataclass(frozen=True)
class Wanted:
    """What the program is asked for, but for the devices."""

    model: str
    stem: str
    plan: StreamPlan
    precision: str


@dataclass(frozen=True)
class References:
    """What the song sounds like.

    rate: samples per second.  song: one round of it, (samples, 2) float32.
    sounds: (phases, samples, 2) float32, the program's output for it, each turned by the delay alone.
    exact: what is heard is one of `sounds` to the sample; else it lies between two of them, which are
        as far apart as any.  run: samples from one window of the nets to the next.
    settles_s: what was heard longer ago than this has no part in what is heard.
    """

    rate: int
    song: NDArray[np.float32]
    sounds: NDArray[np.float32]
    exact: bool
    settles_s: float
    run: float


def shortest_round(plan: StreamPlan, rate: int) -> int:
    """Samples at `rate` of the shortest song of a whole number of runs.

    So many that they are a multiple of a run's samples at 44.1 kHz, which is where the nets are.
    """
    run = plan.hop * plan.stride
    return run * rate // math.gcd(run * rate, SAMPLE_RATE)


def make_song(plan: StreamPlan, rate: int, file: Path | None) -> NDArray[np.float32]:
    """A song that goes round: of a file, or a seeded one. (samples, 2) float32 at `rate`.

    Raises AudioFileError.
    """
    step = shortest_round(plan, rate)
    samples = step * math.ceil(LEAST_S * rate / step)
    seconds = samples / rate + 0.5
    sound = music(seconds) if file is None else song(file, seconds)
    if rate != SAMPLE_RATE:
        resampler = StreamResampler(SAMPLE_RATE, rate, 2)
        sound = np.concatenate([resampler.push(sound), resampler.flush()])
    return np.ascontiguousarray(sound[:samples])


def make_references(
    wanted: Wanted, rate: int, block: int | None, file: Path | None, say: Callable[[str], None],
    *, follows_clocks: bool = False,
) -> References:  # fmt: skip
    """Separate the song offline, as `rtsep-monitor` does with a file.

    block: the song begins with one of the device's blocks of so many samples; None where it may begin
        anywhere.
    follows_clocks: the program has the song through the resampler by which it follows a clock.
    """
    plan = wanted.plan
    sound = make_song(plan, rate, file)
    if follows_clocks:
        sound = without_highest(sound, rate)
    played = through_clocks(sound, rate) if follows_clocks else sound
    cycle = shortest_round(plan, rate)
    offsets = list(range(0, cycle, math.gcd(block or 1, cycle)))
    exact = len(offsets) <= MOST_PHASES
    if not exact:
        run = plan.hop * plan.stride * rate / SAMPLE_RATE
        offsets = [round(k * run / CLOSE_PHASES) for k in range(CLOSE_PHASES)]
    settles = plan.history_frames * plan.hop + plan.latency_samples + plan.frame_length
    settles_s = settles / SAMPLE_RATE
    before = cycle * math.ceil(settles_s * rate / cycle)
    lead = np.concatenate([played] * math.ceil(before / len(sound)))[-before:]
    live = LiveSeparator(
        wanted.model, stems=(wanted.stem,), latency=plan.name, sample_rate=rate, masking="ratio",
        auto_level=False, paced=False, precision=wanted.precision,
    )  # fmt: skip
    sounds = np.zeros((len(offsets), len(sound), 2), np.float32)
    with live:
        for number, offset in enumerate(offsets):
            say(f"what the song must sound like, {number + 1} of {len(offsets)}")
            if number:
                live.reset()
            whole = np.concatenate([np.zeros((offset, 2), np.float32), lead, played])
            for at in range(0, len(whole), BLOCK):
                live.process(whole[at : at + BLOCK], whole[at : at + BLOCK])
            sounds[number] = whole[-len(sound) :]
    run_samples = plan.hop * plan.stride * rate / SAMPLE_RATE
    return References(rate, sound, sounds, exact, settles_s, run_samples)


def without_highest(song: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """A song that goes round, without what no short filter moves by parts of a sample."""
    spectrum = np.fft.rfft(song, axis=0)
    spectrum[int(HIGHEST_HZ * len(song) / rate) :] = 0.0
    return np.fft.irfft(spectrum, len(song), axis=0).astype(np.float32)


def through_clocks(song: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """What a steady Varispeed makes of a song that goes round: its filter is none that only delays."""
    varispeed = Varispeed(rate, rate, 2, BLOCK)
    heard = np.zeros((2 * len(song), 2), np.float32)
    at = 0
    for begin in range(0, len(heard), BLOCK):
        out = heard[begin : begin + BLOCK]
        while lacking := varispeed.lacking(len(out)):
            varispeed.push(song[np.arange(at, at + lacking) % len(song)])
            at += lacking
        varispeed.take(out)
    return heard[len(song) :]
