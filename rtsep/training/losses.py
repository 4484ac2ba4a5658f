"""Spectra in torch, and what a training makes small.

    magnitude   mean of | mask |X| - |S| |, summed over the stems: Spleeter's own
    spectrum    mean of |mask X - S|, complex, summed over the stems: phases count, too
    sdr         minus the SDR of mask X, in dB, all windows of the batch together, mean over the stems
    si-sdr      minus the scale-invariant SDR of mask X, in dB, mean over the stems that sound

X: the mixture's spectrum, S: a stem's, both of the bins that the nets see. The frames' windows overlap
so that sums over spectra are those over samples but for a factor and the edges of a window. So SDR
and SI-SDR (Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019) need no inverse transform.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from rtsep.constants import FRAME_LENGTH, HOP
from rtsep.training.recipe import MAGNITUDE, SDR, SI_SDR, SPECTRUM

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]

# Below this energy in a window, stems of full scale having some 1e7 a second, a stem is silent.
SILENT_ENERGY = 1e-3


def spectra(samples: torch.Tensor, bins: int) -> torch.Tensor:
    """(..., samples, channels) to (..., channels, frames, bins) complex, the first bins."""
    moved = samples.transpose(-1, -2)
    flat = moved.reshape(-1, moved.shape[-1])
    window = torch.hann_window(FRAME_LENGTH, device=samples.device)
    transformed = torch.stft(
        flat, FRAME_LENGTH, HOP, window=window, center=False, return_complex=True
    )
    chosen = transformed[:, :bins].transpose(1, 2)
    return chosen.reshape(*moved.shape[:-1], *chosen.shape[1:])


def loss_named(name: str) -> Loss:
    """The loss: masks (batch, stems, 2, frames, bins), mixture (batch, 2, frames, bins) and stems
    (batch, stems, 2, frames, bins), both complex, to a number.
    """
    return {
        MAGNITUDE: magnitude_loss,
        SPECTRUM: spectrum_loss,
        SDR: sdr_loss,
        SI_SDR: si_sdr_loss,
    }[name]


def magnitude_loss(masks: torch.Tensor, mixture: torch.Tensor, stems: torch.Tensor) -> torch.Tensor:
    """See above."""
    errors = (masks * mixture.abs().unsqueeze(1) - stems.abs()).abs()
    return errors.mean((0, 2, 3, 4)).sum()


def spectrum_loss(masks: torch.Tensor, mixture: torch.Tensor, stems: torch.Tensor) -> torch.Tensor:
    """See above."""
    difference = torch.view_as_real(masks * mixture.unsqueeze(1) - stems)
    # The tiny number keeps the root's slope finite where a mask is right.
    errors = (difference.square().sum(-1) + 1e-12).sqrt()
    return errors.mean((0, 2, 3, 4)).sum()


def sdr_loss(masks: torch.Tensor, mixture: torch.Tensor, stems: torch.Tensor) -> torch.Tensor:
    """See above. A stem that is silent in a window counts, by what its mask lets through.

    Window by window, silence would be the best answer to songs in which a stem is quiet.
    """
    error, energy = (
        torch.view_as_real(spectrum).square().sum((0, 2, 3, 4, 5))
        for spectrum in (masks * mixture.unsqueeze(1) - stems, stems)
    )
    return 10 * torch.log10((error + SILENT_ENERGY) / (energy + SILENT_ENERGY)).mean()


def si_sdr_loss(masks: torch.Tensor, mixture: torch.Tensor, stems: torch.Tensor) -> torch.Tensor:
    """See above."""
    estimate = torch.view_as_real(masks * mixture.unsqueeze(1)).flatten(2)
    true = torch.view_as_real(stems).flatten(2)
    energy = true.square().sum(-1)
    scale = (estimate * true).sum(-1) / (energy + SILENT_ENERGY)
    target = scale.unsqueeze(-1) * true
    signal = target.square().sum(-1)
    distortion = (estimate - target).square().sum(-1)
    # A part in a thousand keeps what is nearly right from outweighing all else: 30 dB at most.
    floor = 1e-3 * energy + SILENT_ENERGY
    ratios_db = 10 * torch.log10((signal + floor) / (distortion + floor))
    sounding = (energy > SILENT_ENERGY).float()
    return -(ratios_db * sounding).sum() / sounding.sum().clamp(min=1)
