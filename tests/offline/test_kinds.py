"""Files by nets of other kinds: windows of their own length, and one net for several stems."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import rtsep
from rtsep.errors import UsageError
from rtsep.nets.kinds import PLAYER_FRAMES, kind_of
from rtsep.nets.registry import find_model
from rtsep.offline.segments import SegmentSeparator
from rtsep.weights import library as weights
from rtsep_bench import official
from rtsep_bench.made_up import made_up_arrays, made_up_stems, write_made_up
from tests.live.several_stems import two_unets_together
from tests.live.streams import HOP, noise

PLAYER = replace(find_model("player-unet"), name="mine", weights_name="mine", stems=("a", "b"))


def test_it_separates_by_windows_of_its_own(tmp_path, monkeypatch):
    """Two segments of 192 frames, shown to the nets one by one, and the ratio mask of their results."""
    monkeypatch.setenv(weights.CACHE_VARIABLE, str(tmp_path))
    write_made_up(PLAYER, weights.weights_path("mine"))
    separator = rtsep.Separator("mine")
    audio = noise((PLAYER_FRAMES + 40) * HOP, seed=5)
    stems = separator.separate(audio, 44_100)
    kind = kind_of(PLAYER)
    state = kind.state(PLAYER, PLAYER_FRAMES, "f32")
    spectra = official.analyse(audio)
    magnitudes = np.abs(spectra[:, : PLAYER.bins]).astype(np.float32)
    estimates = np.zeros((2, 2 * PLAYER_FRAMES, 2, PLAYER.bins), np.float32)
    for of_stem, arrays in zip(estimates, made_up_stems(PLAYER).values()):
        net = kind.net(PLAYER, arrays, "f32")
        for first in (0, PLAYER_FRAMES):
            window = np.zeros((PLAYER_FRAMES, PLAYER.bins, 2), np.float32)
            part = magnitudes[first : first + PLAYER_FRAMES]
            window[: len(part)] = part
            state.run(net, window, of_stem[first : first + PLAYER_FRAMES])
    power = (estimates[:, : len(magnitudes)].transpose(0, 1, 3, 2) * magnitudes).astype(float) ** 2
    mask = (power[0] + 0.5e-10) / (power.sum(0) + 1e-10)
    masked = np.zeros_like(spectra)
    masked[:, : PLAYER.bins] = spectra[:, : PLAYER.bins] * mask
    np.testing.assert_allclose(stems["a"], official.synthesise(masked, len(audio)), atol=3e-6)


def test_one_net_of_several_stems(monkeypatch):
    config = find_model("spleeter:2stems")
    nets = [kind_of(config).net(config, arrays, "f32") for arrays in made_up_stems(config).values()]
    together, one_net = two_unets_together(config, nets, monkeypatch)
    audio = noise(70 * HOP, seed=6)
    outputs = {stem: (stem,) for stem in config.stems}
    found = []
    for model, its_nets in ((config, nets), (together, [one_net])):
        segments = SegmentSeparator(model, its_nets, outputs, 0, 64, 2, False)
        found.append(segments.push(audio))
        segments.close()
    for stem in config.stems:
        assert len(found[0][stem]) >= 60 * HOP
        np.testing.assert_array_equal(found[0][stem], found[1][stem])


def test_windows_that_the_nets_do_not_take():
    net = kind_of(PLAYER).net(PLAYER, made_up_arrays(0, PLAYER), "f32")
    with pytest.raises(UsageError, match="windows of multiples of 64 frames, not of 96"):
        SegmentSeparator(PLAYER, [net, net], {}, 0, 96, 1, False)
