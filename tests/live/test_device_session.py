"""Devices that go and come back, on a sounddevice of the test's own. Real servers: test_pulse.py."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from rtsep.devices import device_stream, letting_go
from rtsep.devices.choice import DeviceSettings
from rtsep.devices.open import PortAudioBackend
from rtsep.devices.patience import MOST_HELD_S, RETRY_S, SOON_FOR_S, SOON_S
from rtsep.errors import RtsepError
from rtsep.live import priority
from rtsep.live.device_session import DeviceSession
from rtsep.live.live_stream import LiveStream
from rtsep.live.plans.notation import read_plan
from rtsep.live.priority import REAL_TIME, SessionPriority
from rtsep_bench.server_process import wait_until
from tests.devices.fake_portaudio import NO_FLAGS, NO_TIMES, FakeStream, device, install
from tests.live.streams import HOP, noise

PLAN = read_plan("64/4/0/4/hann")
INTERFACE, SPEAKERS = device("interface"), device("speakers", inputs=0)


class KeptSound:
    """What a recorder is handed, the mix first."""

    def __init__(self):
        self.blocks = []

    def push(self, block, wait=False):
        self.blocks.append(block.copy())

    @property
    def mix(self):
        return np.concatenate(self.blocks)[:, :2]


@pytest.fixture
def fake(monkeypatch):
    # The streams of the test are not called before it does so itself.
    monkeypatch.setattr(device_stream, "FIRST_BLOCK_S", 0.0)
    return install(monkeypatch, INTERFACE)


@pytest.fixture
def start_session(start_engine):
    def start(settings=DeviceSettings(), **options):  # noqa: B008
        engine = start_engine(PLAN, {"vocals": 1.0, "accompaniment": 1.0}, mask_extension="average")
        live = LiveStream(engine, recorder=options.get("recorder"))
        backend = PortAudioBackend(settings)
        session = DeviceSession(live, backend, backend.find(), **options)
        session.start()
        return session, engine

    return start


def _play(module, engine, sound):
    """Through the stream that was opened last; returns what came out."""
    out = np.zeros_like(sound)
    for at in range(0, len(sound), HOP):
        engine.wait_for_workers()
        block = slice(at, at + HOP)
        module.opened[-1].callback(sound[block], out[block], HOP, NO_TIMES, NO_FLAGS)
    return out


def _pull_the_plug(module):
    module.opened[-1].active = False


def test_what_the_engine_held_is_recorded_and_the_sound_goes_on(fake, start_session):
    recorder, told = KeptSound(), []
    session, engine = start_session(recorder=recorder, patience_s=5.0, say=told.append)
    before, after = noise(20 * HOP, 1), noise(20 * HOP, 2)
    latency = PLAN.latency_samples
    _play(fake, engine, before)
    _pull_the_plug(fake)
    session.tick(100.0)
    assert len(told) == 1 and "has gone" in told[0]
    assert fake.opened[-1].closed
    fake.list()
    session.tick(100.1)  # nothing there yet
    assert session.returns == 0
    # Unit gains: a pure delay, and none of it is lost.
    np.testing.assert_allclose(recorder.mix[latency:], before, atol=1e-5)
    fake.list(INTERFACE)
    session.tick(100.2)  # not looked at again so soon
    assert session.returns == 0
    session.tick(100.1 + 1.01 * SOON_S)
    assert session.returns == 1 and "is back" in told[-1] and fake.scans == 2
    out = _play(fake, engine, np.concatenate([after, np.zeros((latency, 2), np.float32)]))
    # As at the beginning: silence for the latency, then what comes in.
    np.testing.assert_allclose(out[:latency], 0, atol=1e-5)
    np.testing.assert_allclose(out[latency:], after, atol=1e-5)
    assert engine.counters.late_masks == 0
    assert session.stats()["device_returns"] == 1


def test_devices_are_looked_for_often_at_first_and_later_less_often(fake, start_session):
    session, _ = start_session(patience_s=60.0)
    _pull_the_plug(fake)
    fake.list()
    looked = []
    for now_s in np.arange(0.0, 10.0, 0.05):
        before = fake.scans
        session.tick(float(now_s))
        if fake.scans > before:
            looked.append(now_s)
    apart_s = np.diff(looked)
    assert looked[0] < 0.1
    soon = np.array(looked[:-1]) < SOON_FOR_S
    np.testing.assert_allclose(apart_s[soon], SOON_S, atol=0.06)
    np.testing.assert_allclose(apart_s[~soon], RETRY_S, atol=0.06)


def test_devices_of_another_rate_come_back(fake, start_session):
    session, _ = start_session(patience_s=5.0)
    at_first_ms = session.latency_ms["total"]
    _pull_the_plug(fake)
    fake.list(device("other", rate=48_000))
    session.tick(0.0)
    session.tick(0.1)
    assert session.ends.output_name == "other"
    assert fake.opened[-1].samplerate == 48_000
    assert session.latency_ms["total"] == pytest.approx(at_first_ms + 0.11, abs=0.01)  # resampling


def test_a_number_means_the_device_that_it_meant(fake, start_session):
    session, _ = start_session(DeviceSettings("0", "0"), patience_s=3.0)
    _pull_the_plug(fake)
    fake.list(device("something else"))
    session.tick(0.0)
    session.tick(1.0)
    assert session.returns == 0
    with pytest.raises(
        RtsepError, match=r"within 3 s: device 0 is 'something else' now, not 'inter"
    ):
        session.tick(3.0)


@pytest.mark.parametrize("lets_go", [True, False])
def test_without_patience_it_ends(fake, start_session, monkeypatch, lets_go):
    session, _ = start_session(patience_s=0.0)
    _pull_the_plug(fake)
    monkeypatch.setattr(device_stream.DeviceStream, "close", lambda self: lets_go)
    with pytest.raises(RtsepError, match="^the audio device has stopped"):
        session.tick(0.0)


@pytest.fixture
def hung(fake, monkeypatch):
    """A sounddevice that closes nothing before this is set."""
    monkeypatch.setattr(letting_go, "CLOSE_S", 0.05)
    monkeypatch.setattr(fake, "_exit_handler", lambda: None, raising=False)
    lets_go = threading.Event()
    monkeypatch.setattr(FakeStream, "abort", lambda self: lets_go.wait())
    yield lets_go
    lets_go.set()


def test_devices_are_not_opened_before_the_old_ones_are_let_go_of(fake, hung, start_session):
    recorder = KeptSound()
    session, engine = start_session(recorder=recorder, patience_s=60.0)
    _play(fake, engine, noise(20 * HOP))
    recorded = len(recorder.mix)
    _pull_the_plug(fake)
    for now_s in (0.0, 1.0, MOST_HELD_S - 1):
        session.tick(now_s)
    # The old callback may still come, so that nothing else touches the engine.
    assert (session.returns, fake.scans, len(recorder.mix)) == (0, 0, recorded)
    hung.set()
    wait_until(lambda: "rtsep closing" not in _threads(), "the old ones to be closed")
    session.tick(MOST_HELD_S)
    assert session.returns == 1 and len(recorder.mix) > recorded


def _threads():
    return [thread.name for thread in threading.enumerate()]


def test_where_portaudio_never_lets_go_it_ends(fake, hung, start_session):
    session, _ = start_session(patience_s=60.0)
    _pull_the_plug(fake)
    session.tick(0.0)
    session.tick(MOST_HELD_S)
    with pytest.raises(RtsepError, match="^the audio device has stopped"):
        session.tick(MOST_HELD_S + 0.1)
    assert session.returns == 0


def test_what_the_callback_raises_ends_it(fake, start_session, monkeypatch):
    session, engine = start_session(patience_s=60.0)
    monkeypatch.setattr(engine, "process", None)
    _play(fake, engine, noise(HOP))
    with pytest.raises(RtsepError, match="^the audio callback failed"):
        session.tick(0.0)


def test_a_priority_that_was_taken_away_is_told_once_and_again_when_it_is_taken_again(
    fake, start_session, monkeypatch
):
    granted, said = SessionPriority(REAL_TIME, "by RealtimeKit"), []
    monkeypatch.setattr(priority, "_session", granted)
    session, _ = start_session(say=said.append)
    for _ in range(2):
        session.tick(0.0)
    assert not said
    for times in (1, 2):
        granted.overrun()
        for _ in range(2):
            session.tick(0.0)
        assert len(said) == times
        assert "RealtimeKit allows" in said[-1] and "--device-latency" in said[-1]
        with priority.audio_first():
            session.tick(0.0)
