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
    assert adapter.delay_samples < 0.016 * rate
    # The delay need not be whole: compare with the tone itself, that much later.
    t = np.arange(len(out)) / rate - delay / rate
    expected = np.stack([0.3 * np.sin(2 * np.pi * f * t) for f in (440, 660)], axis=1)
    steady = slice(int(delay + 0.3 * rate), None)
    np.testing.assert_allclose(out[steady], expected[steady], atol=3e-4)


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
