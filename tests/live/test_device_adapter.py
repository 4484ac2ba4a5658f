"""Between device and engine: rates, channels, recording."""

import numpy as np
import pytest
import soundfile

from rtsep.errors import UsageError
from rtsep.live import device_adapter
from rtsep.live.device_adapter import DeviceAdapter
from rtsep.live.engine import Engine
from rtsep.live.plans.plan import StreamPlan
from rtsep.live.recorder import Recorder
from rtsep.nets.registry import find_model
from rtsep.weights.load_nets import load_nets

PLAN = StreamPlan("short", frames=64, stride=4, look_ahead=0, compute_delay=4)
STEMS = ("vocals", "accompaniment")


@pytest.fixture(scope="module")
def nets(_made_up_weights_folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RTSEP_WEIGHTS", str(_made_up_weights_folder))
        return load_nets(find_model("spleeter:2stems"))


@pytest.fixture
def make_engine(nets):
    engines = []

    def make(**options):
        engine = Engine(
            find_model("spleeter:2stems"), nets, PLAN, dict.fromkeys(STEMS, 1.0), **options
        )
        engine.start()
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.stop()


def _through(adapter, audio, size):
    out = np.zeros((len(audio), adapter.channels_out), np.float32)
    for at in range(0, len(audio) - size + 1, size):
        adapter.engine.wait_for_workers()
        adapter.process(audio[at : at + size], out[at : at + size])
    return out


def _tone(rate, samples, channels):
    t = np.arange(samples) / rate
    fade = np.minimum(1, t / 0.2)
    sides = [0.3 * fade * np.sin(2 * np.pi * f * t) for f in (440, 660)[:channels]]
    return np.stack(sides, axis=1).astype(np.float32)


@pytest.mark.parametrize("rate", [48_000, 96_000])
def test_blocks_of_any_length_are_one_stream(make_engine, rate):
    engine = make_engine()
    engine.bypass = True
    adapter = DeviceAdapter(engine, rate, 2, 2)
    audio = _tone(rate, 2 * rate, 2)
    out = np.zeros_like(audio)
    rng, at = np.random.default_rng(1), 0
    while at < len(audio):
        size = int(rng.integers(1, rng.choice([20, 900, 8192])))
        engine.wait_for_workers()
        adapter.process(audio[at : at + size], out[at : at + size])
        at += size
    begins = int(engine.plan.latency_samples * rate / 44_100 + adapter.delay_samples + 0.3 * rate)
    seconds = np.arange(begins, len(out)) / rate
    for side, frequency_hz in enumerate((440, 660)):
        angles = 2 * np.pi * frequency_hz * seconds
        waves = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        there, *_ = np.linalg.lstsq(waves, out[begins:, side])
        assert np.linalg.norm(there) == pytest.approx(0.3, abs=3e-4)
        np.testing.assert_allclose(out[begins:, side], waves @ there, atol=1e-4)


@pytest.mark.parametrize(("rate", "size"), [(48_000, 480), (48_000, 1024), (32_000, 256)])
def test_another_rate_is_a_delay_that_is_told(make_engine, rate, size):
    engine = make_engine()
    engine.bypass = True
    adapter = DeviceAdapter(engine, rate, 2, 2)
    audio = _tone(rate, size * (2 * rate // size), 2)
    out = _through(adapter, audio, size)
    delay = engine.plan.latency_samples * rate / 44_100 + adapter.delay_samples
    assert adapter.latency_samples == delay
    assert adapter.delay_samples < 0.00013 * rate * max(1, 44_100 / rate)
    # The delay need not be whole: compare with the tone itself, that much later.
    t = np.arange(len(out)) / rate - delay / rate
    expected = np.stack([0.3 * np.sin(2 * np.pi * f * t) for f in (440, 660)], axis=1)
    steady = slice(int(delay + 0.3 * rate), None)
    np.testing.assert_allclose(out[steady], expected[steady], atol=3e-4)


@pytest.mark.parametrize("rate", [4_000, 8_000, 16_000, 22_050, 32_000, 47_999, 48_000, 88_200])
def test_an_impulse_comes_out_after_the_delay_that_is_told(make_engine, rate):
    engine = make_engine()
    engine.bypass = True
    adapter = DeviceAdapter(engine, rate, 2, 2)
    at = rate // 5 + 3
    audio = np.zeros((rate * 3 // 4, 2), np.float32)
    audio[at] = 0.5
    heard = _through(adapter, audio, 100)[:, 0].astype(np.float64)
    centre = heard @ np.arange(len(heard)) / heard.sum()
    assert centre - at == pytest.approx(adapter.latency_samples, abs=0.05)


@pytest.mark.parametrize("rate", [8_000, 32_000, 44_101, 48_000, 96_000, 192_000])
def test_at_another_rate_blocks_make_no_difference_to_any_bit(make_engine, rate):
    samples = 500 * (rate // 1000)
    audio = np.random.default_rng(rate).uniform(-0.3, 0.3, (samples, 2)).astype(np.float32)
    heard = []
    for size in (1, 500, len(audio)):
        engine = make_engine()
        engine.bypass = True
        heard.append(_through(DeviceAdapter(engine, rate, 2, 2), audio, size))
    assert np.std(heard[0][-100:]) > 0.05
    np.testing.assert_array_equal(heard[0], heard[1])
    np.testing.assert_array_equal(heard[0], heard[2])


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_at_another_rate_stems_add_up_to_the_mix(make_engine, rate):
    engine = make_engine(separate_stems=True)
    adapter = DeviceAdapter(engine, rate, 2, 6, heard=device_adapter.MIX_AND_STEMS)
    out = _through(adapter, _tone(rate, rate, 2), 500)
    np.testing.assert_allclose(out[:, 2:4] + out[:, 4:], out[:, :2], atol=3e-6)
    assert np.std(out[-1000:, :2]) > 0.1


def test_mono_in_and_out(make_engine):
    engine = make_engine()
    adapter = DeviceAdapter(engine, 44_100, 1, 1)
    audio = _tone(44_100, 60 * 1024, 1)
    out = _through(adapter, audio, 1024)
    latency = engine.plan.latency_samples
    np.testing.assert_allclose(out[latency:], audio[:-latency], atol=2e-6)


def test_each_stem_on_its_own_pair(make_engine):
    engine = make_engine(separate_stems=True)
    adapter = DeviceAdapter(engine, 44_100, 2, 4, heard=device_adapter.STEMS)
    audio = _tone(44_100, 60 * 1024, 2)
    out = _through(adapter, audio, 1024)
    latency = engine.plan.latency_samples
    total = out[:, :2] + out[:, 2:]
    np.testing.assert_allclose(total[latency:], audio[:-latency], atol=3e-6)
    with pytest.raises(UsageError, match="needs 4 output channels: got 2"):
        DeviceAdapter(engine, 44_100, 2, 2, heard=device_adapter.STEMS)


def test_what_is_recorded_is_what_was_heard(make_engine, tmp_path):
    engine = make_engine(separate_stems=True)
    recorder = Recorder(tmp_path, STEMS)
    adapter = DeviceAdapter(engine, 44_100, 2, 2, recorder=recorder)
    out = _through(adapter, _tone(44_100, 80 * 1024, 2), 1024)
    recorder.close()
    assert recorder.failure is None
    assert recorder.lost_samples == 0
    stems = [soundfile.read(path, dtype="float32")[0] for path in recorder.paths]
    np.testing.assert_allclose(sum(stems), out, atol=2e-6)


def test_a_full_disk_ends_the_recording_and_not_the_sound(make_engine, tmp_path, monkeypatch):
    from rtsep.files.recording_file import RecordingFile

    def full(recording, block):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RecordingFile, "append", full)
    engine = make_engine(separate_stems=True)
    recorder = Recorder(tmp_path / "rec", STEMS)
    adapter = DeviceAdapter(engine, 44_100, 2, 2, recorder=recorder)
    audio = _tone(44_100, 60 * 1024, 2)
    out = _through(adapter, audio, 1024)
    recorder.close()
    assert "no space left" in str(recorder.failure)
    assert recorder.lost_samples == len(audio)
    latency = engine.plan.latency_samples
    np.testing.assert_allclose(out[latency:], audio[:-latency], atol=2e-6)
