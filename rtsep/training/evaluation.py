"""How well the nets separate songs that they were not trained on: the SDR of each stem.

As `rtsep-separate` does it: windows of the recipe's frames, ratio masks where every stem has a net (each
net's own mask otherwise), silence above the nets' bins, the inverse transform. Whole songs would take
too long, so windows are spread evenly over each. The figures are plain energy ratios over all of them,

    10 log10(sum of stem^2 / sum of (stem - estimate)^2),

lower than, and not comparable with, museval's. A stem's figure is the mean over the songs that have it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from rtsep.constants import FRAME_LENGTH, HOP, SAMPLE_RATE
from rtsep.training.losses import spectra
from rtsep.training.recipe import Recipe
from rtsep.training.song_cache import Song, read
from rtsep.training.torch_nets import Nets

# Of each song, at most so much is evaluated.
SECONDS_PER_SONG = 48.0
# Samples at a window's ends that not all of its frames cover.
EDGE = FRAME_LENGTH - HOP
SILENT_ENERGY = 1e-2


def evaluate(
    nets: Nets, recipe: Recipe, songs: Sequence[Song], device: torch.device
) -> dict[str, float]:
    """The SDR of each stem in dB, mean over the songs; stems that no song has are left out."""
    figures: dict[str, list[float]] = {stem: [] for stem in recipe.names}
    nets.eval()
    with torch.inference_mode():
        for song in songs:
            energy = np.zeros((2, len(recipe.stems)))
            for mixture, stems in _windows(song, recipe):
                estimates = separate(nets, recipe, mixture.to(device)).cpu()
                inside = slice(EDGE, recipe.window_samples - EDGE)
                true = stems[:, inside].double()
                error = true - estimates[:, inside].double()
                energy[0] += true.square().sum((1, 2)).numpy()
                energy[1] += error.square().sum((1, 2)).numpy()
            for index, stem in enumerate(recipe.names):
                if energy[0, index] > SILENT_ENERGY:
                    ratio = energy[0, index] / max(energy[1, index], 1e-12)
                    figures[stem].append(10 * math.log10(ratio))
    return {stem: float(np.mean(values)) for stem, values in figures.items() if values}


def windows_of(song: Song, recipe: Recipe) -> int:
    """How many windows of a song are evaluated."""
    most = max(1, int(SECONDS_PER_SONG * SAMPLE_RATE / recipe.window_samples))
    return min(most, max(1, song.samples // recipe.window_samples))


def separate(nets: Nets, recipe: Recipe, mixture: torch.Tensor) -> torch.Tensor:
    """(window samples, 2) float32 to (stems with nets, window samples, 2)."""
    everything = spectra(mixture, FRAME_LENGTH // 2 + 1)
    seen = everything[..., : recipe.bins]
    masks = nets(seen.abs().unsqueeze(0))[0].float()
    if recipe.rest:
        masks = masks / masks.sum(0).clamp(min=1)
    else:
        powers = (masks * seen.abs()).square()
        masks = (powers + 1e-10 / len(masks)) / (powers.sum(0) + 1e-10)
    masked = torch.zeros(len(masks), *everything.shape, dtype=everything.dtype, device=masks.device)
    masked[..., : recipe.bins] = masks * seen
    return _samples(masked).transpose(1, 2)


def _samples(masked: torch.Tensor) -> torch.Tensor:
    """(stems, channels, frames, all bins) to (stems, channels, samples), by overlap-add."""
    window = torch.hann_window(FRAME_LENGTH, device=masked.device)
    frames = torch.fft.irfft(masked, FRAME_LENGTH) * (window / 1.5)
    stems, channels, count, _ = frames.shape
    length = (count - 1) * HOP + FRAME_LENGTH
    columns = frames.reshape(stems * channels, count, FRAME_LENGTH).transpose(1, 2)
    folded = torch.nn.functional.fold(columns, (1, length), (1, FRAME_LENGTH), stride=(1, HOP))
    return folded.reshape(stems, channels, length)


def _windows(song: Song, recipe: Recipe) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Windows of a song: mixture (samples, 2), and stems with nets (stems, samples, 2)."""
    count = recipe.window_samples
    windows = windows_of(song, recipe)
    room = max(0, song.samples - count)
    for number in range(windows):
        start = int(room * (number + 0.5) / windows)
        parts = {stem: read(sound, start, count) for stem, sound in song.stems.items()}
        silence = np.zeros((count, 2), np.float32)
        stems = np.stack(
            [sum((parts.get(p, silence) for p in group), silence) for _, group in recipe.stems]
        )
        if song.mixture is not None:
            mixture = read(song.mixture, start, count)
        else:
            used = {p for _, group in recipe.stems for p in group} | set(recipe.rest)
            mixture = sum((parts[stem] for stem in parts if stem in used), silence)
        yield torch.from_numpy(mixture), torch.from_numpy(stems)
