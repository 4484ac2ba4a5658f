"""Offline separation: the official pipeline, block sizes, channels, rates and bad input."""

import numpy as np
import pytest

import rtsep
from rtsep.nets.registry import OFFICIAL_FRAMES, find_model
from rtsep.nets.unet import UNet, UNetState
from rtsep.weights import library as weights
from rtsep_bench import official

RATE = 44_100
pytestmark = pytest.mark.usefixtures("made_up_weights")


def _music(seconds, rate=RATE, channels=2, seed=0, noise=0.3):
    """Chords with noise bursts: something for every bin, different on both sides."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    sound = [
        sum(np.sin(2 * np.pi * f * t + c) / (i + 2) for i, f in enumerate((110, 554, 3520)))
        + noise * rng.standard_normal(len(t)) * (np.sin(2 * np.pi * 2 * t) > 0.7)
        for c in range(channels)
    ]
    return (0.2 * np.stack(sound, axis=1)).astype(np.float32)


def _official(audio, model, extension):
    """The stems by Spleeter's pipeline in float64: everything but the nets themselves."""
    config = find_model(model)
    arrays = weights.load(config)
    nets = [UNet(config, arrays[stem]) for stem in config.stems]
    state = UNetState(OFFICIAL_FRAMES, config.bins)

    def masks(magnitudes):
        out = np.zeros((len(nets), OFFICIAL_FRAMES, 2, config.bins), np.float32)
        for net, mask in zip(nets, out):
            state.run(net, magnitudes, mask)
        return out

    stems = official.stems(audio, config, masks)
    return {stem: stems[extension, stem] for stem in config.stems}


@pytest.mark.parametrize("extension", ["zeros", "average"])
def test_stems_are_the_official_pipelines(extension):
    audio = _music(13.1)
    got = rtsep.Separator("spleeter:2stems", mask_extension=extension).separate(audio, RATE)
    expected = _official(audio, "spleeter:2stems", extension)
    for stem, reference in expected.items():
        assert got[stem].shape == audio.shape
        noise = np.sum((got[stem] - reference) ** 2)
        assert 10 * np.log10(np.sum(reference**2) / noise) > 100, stem


@pytest.mark.parametrize("extension", ["average", "top"])
@pytest.mark.parametrize("samples", [1, 700, 4096, 13_001])
def test_short_recordings_keep_their_length(samples, extension):
    audio = _music(1)[:samples]
    out = rtsep.Separator(mask_extension=extension).separate(audio, RATE)
    assert [part.shape for part in out.values()] == [audio.shape] * 2
    np.testing.assert_allclose(out["vocals"] + out["accompaniment"], audio, atol=1e-6)


def test_any_block_sizes_give_the_same_samples():
    audio = _music(14)
    separator = rtsep.Separator()
    whole = separator.separate(audio, RATE)["vocals"]
    rng = np.random.default_rng(4)
    for longest in (900, 100_000):
        stream, parts, at = separator.stream(), [], 0
        while at < len(audio):
            size = int(rng.integers(0, longest))
            parts.append(stream.push(audio[at : at + size])["vocals"])
            at += size
        parts.append(stream.flush()["vocals"])
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_output_comes_before_the_input_ends():
    stream = rtsep.Separator().stream()
    assert len(stream.push(_music(13))["vocals"]) > 11 * RATE


def test_everything_but_a_stem_is_the_sum_of_the_others():
    audio = _music(2)
    every = rtsep.Separator("spleeter:4stems", jobs=2).separate(audio, RATE)
    two = rtsep.Separator("spleeter:4stems", stems=["drums", "no_drums"], jobs=1)
    got = two.separate(audio, RATE)
    assert two.stems == ("drums", "no_drums")
    np.testing.assert_array_equal(got["drums"], every["drums"])
    others = every["vocals"] + every["bass"] + every["other"]
    np.testing.assert_allclose(got["no_drums"], others, atol=1e-6)


def test_one_dimensional_audio_is_mono():
    assert rtsep.Separator().separate(np.zeros(5000), RATE)["vocals"].shape == (5000, 1)


def test_auto_level_shows_the_nets_the_same_whatever_the_recordings_level():
    separator = rtsep.Separator(auto_level=True)
    audio = _music(4)
    loud, quiet = (separator.separate(audio * gain, RATE)["vocals"] for gain in (1, 0.05))
    np.testing.assert_allclose(20 * quiet, loud, atol=1e-4)
    plain = rtsep.Separator().separate(audio * 0.05, RATE)["vocals"]
    assert np.abs(20 * plain - loud).max() > 1e-3


def test_silence_stays_silent():
    out = rtsep.Separator().separate(np.zeros((60_000, 2)), RATE)
    assert max(np.abs(part).max() for part in out.values()) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "spleeter:3stems"}, "unknown model 'spleeter:3stems'.*spleeter:2stems"),
        ({"stems": ["voice"]}, "no stem 'voice'.*vocals"),
        ({"mask_extension": "mirror"}, "mask extension 'mirror'"),
        ({"jobs": 0}, "jobs must be at least 1: got 0"),
    ],
)
def test_impossible_options_are_named(options, words):
    with pytest.raises(rtsep.UsageError, match=words):
        rtsep.Separator(**options)


def test_three_channels_are_refused():
    with pytest.raises(rtsep.UsageError, match=r"got \(100, 3\); mix it down"):
        rtsep.Separator().separate(np.zeros((100, 3)), RATE)
