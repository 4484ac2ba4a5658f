"""With masks continued above the nets' bins the stems add up to the input, at any rate."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import soundfile

import rtsep
from rtsep.nets.registry import find_model
from rtsep.nets.unet import UNet
from rtsep.offline.separate_file import separate_file
from tests.choices import each_once
from tests.weights.made_up_weights import made_up_arrays

LIMIT_DB = -100


@functools.cache
def _net(model: str, stem: int) -> UNet:
    return UNet(find_model(model), made_up_arrays(stem))


@pytest.fixture
def make(monkeypatch):
    """Makes separators with made-up nets of any model."""

    def load_nets(config, _progress, precision):
        return [_net(config.name, stem) for stem in range(len(config.stems))]

    monkeypatch.setattr("rtsep.offline.separator.load_nets", load_nets)
    return lambda model="spleeter:2stems", extension="average", stems=None: rtsep.Separator(
        model, mask_extension=extension, stems=stems
    )


def _noise(rate, channels=2, seconds=0.4):
    """White: all that resampling removes is there, too."""
    rng = np.random.default_rng(rate)
    return (0.1 * rng.standard_normal((int(seconds * rate), channels))).astype(np.float32)


def _error_db(stems, audio):
    error = sum(part.astype(np.float64) for part in stems) - audio
    return 10 * np.log10(np.sum(error**2) / np.sum(audio.astype(np.float64) ** 2))


@pytest.mark.parametrize(
    ("rate_and_channels", "extension"),
    each_once(
        [
            (8000, 2), (16_000, 1), (22_050, 2), (32_000, 1), (44_100, 2), (44_100, 1), (48_000, 2),
            (88_200, 1), (96_000, 2), (192_000, 2), (37_801, 1),
        ],
        ["average", "top"],
    ),
    ids=str,
)  # fmt: skip
def test_two_stems_at_every_rate(make, rate_and_channels, extension):
    rate, channels = rate_and_channels
    audio = _noise(rate, channels)
    out = make(extension=extension).separate(audio, rate)
    assert {part.shape for part in out.values()} == {audio.shape}
    assert _error_db(out.values(), audio) < LIMIT_DB


@pytest.mark.parametrize(
    ("model", "rate", "stems"),
    [
        ("spleeter:4stems", 48_000, None),
        ("spleeter:5stems", 8000, None),
        ("spleeter:5stems-16kHz", 96_000, None),
        ("spleeter:4stems", 22_050, ("bass", "no_bass")),
        ("spleeter:4stems", 48_000, ("other", "no_other")),
        ("spleeter:5stems", 48_000, ("no_vocals", "vocals")),
    ],
)
def test_more_stems_and_pairs(make, model, rate, stems):
    audio = _noise(rate)
    out = make(model, stems=stems).separate(audio, rate)
    assert tuple(out) == (stems or find_model(model).stems)
    assert _error_db(out.values(), audio) < LIMIT_DB


def test_an_output_is_the_same_whichever_others_are_given_out(make):
    audio, rate = _noise(48_000), 48_000
    model = "spleeter:4stems"
    every = make(model).separate(audio, rate)
    for stems in (("other",), ("vocals",), ("other", "drums"), ("no_vocals", "other", "no_other")):
        out = make(model, stems=stems).separate(audio, rate)
        assert tuple(out) == stems
        for stem in set(stems) & set(every):
            np.testing.assert_array_equal(out[stem], every[stem])
        if "no_other" in out:
            # What two other models of the same sum would be: every output stands for its stems.
            assert _error_db((out["no_other"], every["other"]), audio) < LIMIT_DB
            assert _error_db((out["no_vocals"], every["vocals"]), audio) < LIMIT_DB


@pytest.mark.parametrize("rate", [8000, 96_000])
def test_block_lengths_do_not_change_a_sample(make, rate):
    audio = _noise(rate, seconds=13)
    separator = make()
    whole = separator.separate(audio, rate)
    assert _error_db(whole.values(), audio) < LIMIT_DB
    rng, parts, at = np.random.default_rng(1), {stem: [] for stem in whole}, 0
    block = np.empty_like(audio)
    with separator.stream(rate) as stream:
        while at < len(audio):
            count = min(int(rng.integers(0, rng.choice([3, 90_000]))), len(audio) - at)
            # The caller's array, used again and again.
            block[:count] = audio[at : at + count]
            for stem, part in stream.push(block[:count]).items():
                parts[stem].append(part)
            at += count
        for stem, part in stream.flush().items():
            parts[stem].append(part)
    for stem, samples in whole.items():
        np.testing.assert_array_equal(np.concatenate(parts[stem]), samples)


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 2), (8000, 1)])
def test_files_of_floats(make, tmp_path, rate, channels):
    audio = _noise(rate, channels)
    soundfile.write(tmp_path / "in.wav", audio, rate, subtype="FLOAT")
    separator = make()
    targets = {stem: tmp_path / f"{stem}.wav" for stem in separator.stems}
    separate_file(separator, tmp_path / "in.wav", targets, bit_depth="float")
    stems = [soundfile.read(path, always_2d=True)[0] for path in targets.values()]
    assert _error_db(stems, audio) < LIMIT_DB


def test_what_resampling_removes_goes_to_the_last_stem_only(make):
    rate = 96_000
    tone = 0.3 * np.sin(2 * np.pi * 30_000 * np.arange(rate) / rate)
    out = make("spleeter:4stems").separate(tone, rate)
    inside = slice(rate // 10, -rate // 10)
    np.testing.assert_allclose(out["other"][inside, 0], tone[inside], atol=1e-5)
    for stem in ("vocals", "drums", "bass"):
        assert np.abs(out[stem][inside]).max() < 1e-5


def test_with_zeros_all_stems_stay_silent_above_the_nets_bins(make):
    rate = 48_000
    tone = 0.3 * np.sin(2 * np.pi * 15_000 * np.arange(rate) / rate)
    for part in make(extension="zeros").separate(tone, rate).values():
        assert np.abs(part[rate // 10 : -rate // 10]).max() < 1e-4
