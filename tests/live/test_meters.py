"""Levels: a sine of known level is shown as such, per stem and in the mix."""

import numpy as np
import pytest

from rtsep.dsp.stft import Analysis
from rtsep.dsp.windows import hann_pair
from rtsep.live.engine import Engine
from rtsep.live.meters import AVERAGED_HOPS, FLOOR_DBFS, Levels
from rtsep.live.plans.plan import StreamPlan
from rtsep.nets.registry import find_model
from rtsep.nets.unet import UNet
from rtsep.weights import library as weights

HOP = 1024
EVERY_HOP = StreamPlan("every hop", frames=64, stride=1, look_ahead=0, compute_delay=2)
# Amplitude 0.5: 6.02 dB below full scale, whose rms is at -3.01 dBFS.
SINE_DBFS = -9.03
HALF_DB = 6.02


def sine(samples, amplitudes=(0.5, 0.5)):
    phase = 2 * np.pi * 997 * np.arange(samples)[:, np.newaxis] / 44_100
    return (np.array(amplitudes) * np.sin(phase)).astype(np.float32)


@pytest.mark.parametrize("frame_length", [4096, 2048])
def test_a_sine_has_its_level_by_spectrum_and_by_samples(frame_length):
    windows = hann_pair(frame_length, frame_length // 4)
    levels = Levels(["all", "quarter"], windows)
    assert levels.dbfs() == {"all": FLOOR_DBFS, "quarter": FLOOR_DBFS, "mix": FLOOR_DBFS}
    spectra = np.zeros((1, 2, frame_length // 2 + 1), np.complex64)
    Analysis(windows, 2, 1).transform(sine(frame_length), spectra)
    power = np.sum(np.abs(spectra) ** 2)
    for _ in range(AVERAGED_HOPS):
        levels.note(np.array([power, power / 16], np.float32), sine(HOP))
    assert levels.dbfs() == {
        "all": pytest.approx(SINE_DBFS, abs=0.02),
        "quarter": pytest.approx(SINE_DBFS - 2 * HALF_DB, abs=0.02),
        "mix": pytest.approx(SINE_DBFS, abs=0.05),
    }


def test_a_level_is_gone_once_it_is_averaged_out():
    levels = Levels(["vocals"], hann_pair(4096, HOP))
    levels.note(np.ones(1, np.float32), sine(HOP))
    for _ in range(AVERAGED_HOPS - 1):
        levels.note(np.zeros(1, np.float32), np.zeros((HOP, 2), np.float32))
    assert levels.dbfs()["mix"] == pytest.approx(SINE_DBFS - 10 * np.log10(AVERAGED_HOPS), abs=0.05)
    levels.note(np.zeros(1, np.float32), np.zeros((HOP, 2), np.float32))
    assert levels.dbfs() == {"vocals": FLOOR_DBFS, "mix": FLOOR_DBFS}


@pytest.fixture(scope="module")
def model(_made_up_weights_folder):
    config = find_model("spleeter:2stems")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RTSEP_WEIGHTS", str(_made_up_weights_folder))
        arrays = weights.load(config)
    return config, [UNet(config, arrays[stem]) for stem in config.stems]


@pytest.mark.parametrize(
    ("gains", "bypass", "mix_dbfs"),
    [
        ({"vocals": 1.0, "accompaniment": 1.0}, False, SINE_DBFS),
        ({"vocals": 0.5}, False, SINE_DBFS - 2 * HALF_DB),
        ({}, False, FLOOR_DBFS),
        ({}, True, SINE_DBFS),
    ],
    ids=["all stems", "one at half", "none", "bypass"],
)
@pytest.mark.parametrize("separate_stems", [False, True], ids=["mix only", "every stem"])
def test_an_engine_tells_its_stems_before_and_its_mix_after_the_gains(
    model, gains, bypass, mix_dbfs, separate_stems
):
    # Its workers are not started, so that it plays the input, half of it in each of the two stems.
    config, nets = model
    engine = Engine(config, nets, EVERY_HOP, gains, on_late="dry", separate_stems=separate_stems)
    engine.bypass = bypass
    audio = sine(20 * HOP)
    engine.process(audio, np.zeros((len(audio), engine.output_channels), np.float32))
    assert engine.levels_dbfs() == {
        "vocals": pytest.approx(SINE_DBFS - HALF_DB, abs=0.05),
        "accompaniment": pytest.approx(SINE_DBFS - HALF_DB, abs=0.05),
        "mix": pytest.approx(mix_dbfs, abs=0.05),
    }
