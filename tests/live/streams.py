"""What tests of the engine share: sounds, streams that wait for the workers, an offline twin."""

from __future__ import annotations

import numpy as np

from rtsep.live.file_session import run_unpaced
from rtsep.nets.kinds import kind_of
from rtsep_bench import official

HOP = 1024


def noise(samples, seed=0):
    """(samples, 2) float32 at -20 dBFS."""
    return (0.1 * np.random.default_rng(seed).standard_normal((samples, 2))).astype(np.float32)


def push(engine, audio, sizes=(HOP,)):
    """`audio` through the engine, in blocks of the given sizes, again and again."""

    def blocks():
        at = i = 0
        while at < len(audio):
            yield audio[at : at + sizes[i % len(sizes)]]
            at += sizes[i % len(sizes)]
            i += 1

    return np.concatenate(list(run_unpaced(engine, blocks())))


def through(engine, audio, sizes=(HOP,)):
    """`audio` and its latency of silence through the engine, in blocks of the given sizes."""
    silence = np.zeros((engine.plan.latency_samples, 2), np.float32)
    return push(engine, np.concatenate([audio, silence]), sizes)


def offline(config, nets, plan, audio, independent=False):
    """The first stem by the plan's masks, window by window, and the transform, all in float64.

    By the ratio mask of the nets, or by the first one's own mask (`independent`); above its
    bins by the mean of all or of the top ones, the lower of the two.
    """
    spectra = official.analyse(audio)
    # A frame of zeros stands before the song there; the engine's first one holds a hop of it.
    heard = slice(1, 1 + len(audio) // HOP)
    magnitude = np.abs(spectra[heard, : config.bins]).astype(np.float32)
    estimates = [_masks(config, net, plan, magnitude).transpose(0, 2, 1) for net in nets]
    if config.stems[0] in config.underrated and not independent:
        estimates[0] *= plan.underrated_weight
    if not independent:
        power = [(estimate * magnitude) ** plan.ratio_exponent for estimate in estimates]
        mask = (power[0] + 0.5e-10) / (sum(power) + 1e-10)
    else:
        mask = np.minimum(estimates[0], 1)
    beyond = np.minimum(mask.mean(1, keepdims=True), mask[:, -256:].mean(1, keepdims=True))
    beyond = np.repeat(beyond, spectra.shape[1] - config.bins, 1)
    masked = np.zeros_like(spectra)
    masked[heard] = spectra[heard] * np.concatenate([mask, beyond], 1)
    return official.synthesise(masked, len(audio))


def _masks(config, net, plan, magnitude):
    """(frames, channels, bins) float64, the mean over the plan's views."""
    return np.mean([_view(view, config, net, plan, magnitude) for view in plan.views], axis=0)


def _view(view, config, net, plan, magnitude):
    """What one view says: one run of the whole net every plan.stride frames."""
    frames, shift = len(magnitude), view.shift
    bins = np.arange(config.bins) + shift
    moved = magnitude[:, np.clip(bins, 0, config.bins - 1)]
    moved[:, (bins < 0) | (bins >= config.bins)] = 0
    history = np.concatenate([np.zeros((view.frames, config.bins, 2), np.float32), moved])
    state = kind_of(config).state(config, view.frames, "f32")
    masks = np.zeros((view.frames, 2, config.bins), np.float32)
    out = np.zeros((frames, 2, config.bins))
    for newest in range(plan.stride - 1, frames, plan.stride):
        seen = history[: newest + 1 + view.frames][-view.frames + plan.extrapolated :]
        behind = (seen[-1:] + seen[::-1][: plan.extrapolated]) / 2
        state.run(net, np.concatenate([seen, behind]), masks)
        for back in range(plan.stride):
            t = newest - plan.look_ahead - back
            if t >= 0:
                out[t] = masks[len(seen) - 1 - plan.look_ahead - back]
    return out[:, :, np.clip(np.arange(config.bins) - shift, 0, config.bins - 1)]
