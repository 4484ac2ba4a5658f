"""What goes into a pipe: at once, and converted to what raw PCM is to be."""

from __future__ import annotations

import io

import numpy as np
import pytest

from rtsep.errors import UsageError
from rtsep.files.pipe_writer import PipeTarget, PipeWriter
from rtsep.files.raw_pcm import RawFormat
from tests.files.sounds import RATE, music, signal_to_noise_db


def test_every_block_goes_out_at_once():
    pipe = io.BytesIO()
    writer = PipeWriter(PipeTarget(io.BufferedWriter(pipe, 1 << 20), "it", None, "float"), RATE, 2)
    writer.write(np.zeros((0, 2), np.float32))
    assert pipe.getvalue() == b""  # no header before there is sound
    for count in (1, 2):
        writer.write(music(0.01))
        assert len(pipe.getvalue()) == 44 + count * 441 * 8


@pytest.mark.parametrize(("channels_in", "channels_out"), [(1, 2), (2, 1), (2, 2)])
def test_raw_pcm_gets_its_rate_and_channels(channels_in, channels_out):
    pipe = io.BytesIO()
    sound = music(1.0, 48_000, channels_in)
    target = PipeTarget(pipe, "it", RawFormat("f32le", 24_000, channels_out))  # type: ignore[arg-type]
    writer = PipeWriter(target, 48_000, channels_in)
    writer.write(sound)
    writer.commit()
    result = np.frombuffer(pipe.getvalue(), "<f4").reshape(-1, channels_out)
    # The tones end below 3 kHz, so that every second sample is the sound at half the rate.
    expected = sound[::2]
    if channels_in != channels_out:
        expected = expected.mean(axis=1, keepdims=True).repeat(channels_out, axis=1)
    assert len(result) == pytest.approx(24_000, abs=1)
    assert signal_to_noise_db(result[: len(expected)], expected[: len(result)]) > 60


def test_what_integers_cannot_hold_is_counted():
    writer = PipeWriter(PipeTarget(io.BytesIO(), "it"), RATE, 1)
    writer.write(np.array([[0.5], [-2.0], [1.5], [1.0]], np.float32))
    assert (writer.clipped_samples, writer.peak) == (2, 2.0)


def test_an_impossible_bit_depth_is_told():
    with pytest.raises(UsageError, match="cannot hold bit depth 24: choose 16 or float"):
        PipeTarget(io.BytesIO(), "it", None, "24")
