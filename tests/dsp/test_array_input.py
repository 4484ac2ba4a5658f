"""What programs hand in: types are scaled, and what cannot be meant is refused with its value."""

import fractions

import numpy as np
import pytest

import rtsep
from rtsep.dsp.array_input import as_samples, check_rate
from rtsep.dsp.bad_samples import LIMIT

RATE = 44_100


def _noise(samples=300, channels=2):
    return np.random.default_rng(0).uniform(-1, 1, (samples, channels))


@pytest.mark.parametrize(
    ("dtype", "zero", "full_scale"),
    [
        ("int8", 0, 128),
        ("uint8", 128, 128),
        ("int16", 0, 32_768),
        (">i2", 0, 32_768),
        ("int32", 0, 2**31),
    ],
)
def test_integers_are_scaled_by_their_type(dtype, zero, full_scale):
    audio = _noise()
    stored = (audio * (full_scale - 1) + zero).round().astype(dtype)
    np.testing.assert_allclose(as_samples(stored, RATE), audio, atol=1.5 / full_scale + 1e-7)
    lowest = np.full((3, 1), np.iinfo(dtype).min, dtype)
    np.testing.assert_array_equal(as_samples(lowest, RATE), np.full((3, 1), -1, np.float32))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble", ">f4"])
def test_floats_of_any_width_are_taken_as_they_are(dtype):
    audio = _noise().astype(dtype)
    got = as_samples(audio, RATE)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, audio.astype(np.float32))


def test_lists_strides_and_read_only_arrays_are_taken():
    audio = _noise().astype(np.float32)
    audio.flags.writeable = False
    assert as_samples(audio, RATE) is audio
    np.testing.assert_array_equal(as_samples(audio.tolist(), RATE), audio)
    np.testing.assert_array_equal(as_samples(audio[::-3, ::-1], RATE), audio[::-3, ::-1])
    np.testing.assert_array_equal(as_samples(np.asfortranarray(audio), RATE), audio)


@pytest.mark.parametrize(
    ("audio", "words"),
    [
        (np.zeros((9, 2), bool), "got bool"),
        (np.zeros((9, 2), complex), "got complex128"),
        (np.zeros((9, 2), object), "got object"),
        (np.zeros((9, 2), "datetime64[s]"), "got datetime64"),
        (np.zeros((9, 2), np.int64), "got int64; convert it"),
        (np.zeros((9, 2), np.uint16), "got uint16"),
        ([[1, 2], [3, 4]], "got int64"),
        ([["a", "b"]], "got str"),
        ([[1.0], [1.0, 2.0]], "list cannot be made one"),
        (None, r"shape \(samples, 1 or 2\): got \(\)"),
        ("song.wav", r"got \(\)"),
        (0.5, r"got \(\)"),
        (np.zeros((9, 0)), r"got \(9, 0\)$"),
        (np.zeros((9, 2, 1)), r"got \(9, 2, 1\)$"),
        (np.zeros((9, 6)), r"got \(9, 6\); mix it down first"),
        (np.zeros((2, 900)), r"got \(2, 900\); channels stand first here: hand in audio\.T"),
        (np.zeros((1, 900)), r"got \(1, 900\); .*audio\.T"),
    ],
)
def test_what_is_no_sound_is_refused_by_its_type_or_shape(audio, words):
    with pytest.raises(rtsep.UsageError, match=words):
        as_samples(audio, RATE)


@pytest.mark.parametrize(
    ("dtype", "value", "told"),
    [
        ("float32", np.nan, "nan"),
        ("float32", -np.inf, "-inf"),
        ("float32", 1e6, r"1e\+06"),
        ("float64", 1e300, r"1e\+300"),
        ("float16", np.inf, "inf"),
    ],
)
def test_bad_samples_are_refused_with_place_and_value(dtype, value, told):
    audio = _noise().astype(dtype)
    audio[147, 1] = value
    words = rf"at most 100000 .* sample 44247 \(1\.003 s\) is {told}; replace"
    with pytest.raises(rtsep.UsageError, match=words):
        as_samples(audio, RATE, first=44_100)


def test_samples_up_to_the_limit_are_taken():
    assert as_samples(np.array([LIMIT, -LIMIT]), RATE).shape == (2, 1)


@pytest.mark.parametrize("rate", [8000, 44_100.0, np.int32(48_000), np.float64(96_000)])
def test_whole_rates_are_taken_whatever_their_type(rate):
    assert check_rate(rate) == rate
    assert type(check_rate(rate)) is int


@pytest.mark.parametrize(
    "rate",
    [
        None, True, np.bool_(True), "44100", b"44100", np.nan, np.inf, -np.inf, 0, -44_100, 44_100.5,
        0.5, 2**40, 44_100j, [44_100], np.array([44_100]), fractions.Fraction(88_201, 2),
    ],
)  # fmt: skip
def test_rates_that_cannot_be_are_refused_with_their_value(rate):
    with pytest.raises(rtsep.UsageError, match="sample_rate must be a whole number") as refused:
        check_rate(rate)
    assert f"got {rate!r}; give the rate" in str(refused.value)


@pytest.mark.usefixtures("made_up_weights")
class TestSeparator:
    def test_integers_give_the_stems_of_the_floats(self):
        audio = (20_000 * _noise(3000)).astype(np.int16)
        separator = rtsep.Separator()
        got = separator.separate(audio, np.int64(RATE))
        expected = separator.separate(audio / 32_768, RATE)
        np.testing.assert_array_equal(got["vocals"], expected["vocals"])
        with separator.stream(RATE) as stream:
            stream.push(audio)
            np.testing.assert_array_equal(stream.flush()["vocals"], expected["vocals"])

    def test_no_samples_give_stems_without_samples(self):
        for rate in (RATE, 48_000):
            out = rtsep.Separator(mask_extension="top").separate(np.zeros((0, 2)), rate)
            assert {stem: part.shape for stem, part in out.items()} == {
                "vocals": (0, 2), "accompaniment": (0, 2),
            }  # fmt: skip

    def test_one_dimension_is_mono_for_a_stream_of_one_channel_only(self):
        separator = rtsep.Separator()
        with separator.stream(RATE, 1) as stream:
            stream.push(np.zeros(100))
            assert stream.flush()["vocals"].shape == (100, 1)
        with (
            separator.stream(RATE, 2) as stream,
            pytest.raises(rtsep.UsageError, match=r"shape \(samples, 2\): got \(100,\)"),
        ):
            stream.push(np.zeros(100))

    def test_a_block_that_is_refused_leaves_the_stream_as_it_was(self):
        audio = _noise(3000)
        separator = rtsep.Separator(mask_extension="top")
        for rate in (RATE, 48_000):
            with separator.stream(rate) as stream:
                stream.push(audio[:1000])
                bad = audio.copy()
                bad[5] = np.nan
                with pytest.raises(rtsep.UsageError, match=r"sample 1005 "):
                    stream.push(bad)
                stream.push(audio[1000:])
                got = stream.flush()["vocals"]
            np.testing.assert_array_equal(got, separator.separate(audio, rate)["vocals"])

    @pytest.mark.parametrize("end", ["flushed", "closed"])
    def test_a_stream_that_has_ended_says_so(self, end):
        stream = rtsep.Separator().stream()
        stream.flush() if end == "flushed" else stream.close()
        for call in (lambda: stream.push(np.zeros((5, 2))), stream.flush):
            with pytest.raises(rtsep.UsageError, match=f"has been {end}: begin a new one"):
                call()
        stream.close()

    @pytest.mark.parametrize("channels", [0, 3, -1, None, "2", True, 1.5])
    def test_channels_that_cannot_be_are_refused(self, channels):
        with pytest.raises(rtsep.UsageError, match="1 or 2 channels: got"):
            rtsep.Separator().stream(RATE, channels)

    def test_one_name_in_place_of_several_is_refused(self):
        with pytest.raises(rtsep.UsageError, match=r"got 'vocals'; write \['vocals'\]"):
            rtsep.Separator(stems="vocals")
