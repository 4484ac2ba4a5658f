"""Which devices are chosen, and as how many streams they are opened."""

from __future__ import annotations

import functools
import gc
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from rtsep.devices import portaudio, two_clock_stream
from rtsep.devices.choice import DeviceSettings, choose_devices
from rtsep.devices.device_stream import DuplexStream
from rtsep.devices.open import open_stream
from rtsep.devices.two_clock_stream import TwoClockStream
from rtsep.errors import RtsepError, UsageError
from tests.devices.fake_portaudio import NO_FLAGS, NO_TIMES, Flags, Times, device, install

BLOCK = 512
MICROPHONE = device("Microphone", 48_000, inputs=1, outputs=0)
SPEAKERS = device("Speakers", 44_100, inputs=0)


@pytest.fixture
def fake(monkeypatch):
    return functools.partial(install, monkeypatch)


def test_two_devices_keep_their_own_rates(fake):
    fake(MICROPHONE, SPEAKERS)
    chosen = choose_devices(DeviceSettings(), 2)
    assert not chosen.one_clock
    assert (chosen.input_rate, chosen.output_rate) == (48_000, 44_100)
    assert (chosen.channels_in, chosen.channels_out) == (1, 2)
    asked = choose_devices(DeviceSettings(sample_rate=96_000), 2)
    assert (asked.input_rate, asked.output_rate) == (96_000, 96_000)


def test_one_device_and_clients_of_one_server_share_a_clock(fake):
    system, other = (
        device(name, rate, hostapi=1) for name, rate in (("system", 44_100), ("other", 1))
    )
    fake(device("interface", 48_000), system, other)
    for source, target, rate in (("interface", "interface", 48_000), ("other", "system", 44_100)):
        chosen = choose_devices(DeviceSettings(input_device=source, output_device=target), 2)
        assert chosen.one_clock
        assert chosen.input_rate == chosen.output_rate == rate
    settings = DeviceSettings(input_device="interface", output_device="system")
    assert not choose_devices(settings, 2).one_clock


def test_one_interface_under_two_names_is_opened_as_one_where_told_so(fake):
    fake(MICROPHONE, SPEAKERS)
    chosen = choose_devices(DeviceSettings(one_clock=True), 2)
    assert chosen.one_clock
    assert (chosen.input_rate, chosen.output_rate) == (44_100, 44_100)
    fake(MICROPHONE, device("far", inputs=0, hostapi=1))
    settings = DeviceSettings(input_device="Microphone", output_device="far", one_clock=True)
    with pytest.raises(UsageError, match="two host APIs"):
        choose_devices(settings, 2)


def test_the_device_that_refuses_the_rate_is_named(fake):
    fake(MICROPHONE, SPEAKERS, only={"Microphone": 48_000})
    with pytest.raises(UsageError, match=r"input device 'Microphone' .* 44100 Hz .* 48000 Hz"):
        choose_devices(DeviceSettings(sample_rate=44_100), 2)


def _opened(settings=DeviceSettings(), process=None, on_xruns=None):  # noqa: B008
    return open_stream(choose_devices(settings, 2), settings, process, on_xruns)


def test_one_clock_is_one_stream_and_two_are_two(fake):
    both = fake(device("interface"))
    assert isinstance(_opened(), DuplexStream)
    assert [stream.kind for stream in both.opened] == ["Stream"]
    two = fake(MICROPHONE, SPEAKERS)
    stream = _opened(DeviceSettings(device_latency=0.05, block=BLOCK))
    assert isinstance(stream, TwoClockStream)
    assert [(part.kind, part.device, part.samplerate) for part in two.opened] == [
        ("InputStream", 0, 48_000),
        ("OutputStream", 1, 44_100),
    ]
    # A block of each, and what is spared and held in between.
    assert BLOCK / 48_000 + BLOCK / 44_100 < stream.latency_s[0] < 0.04
    assert "clocks of their own" in stream.remarks[0]


def test_a_device_that_is_refused_as_one_stream_is_opened_as_two(fake):
    fake(device("interface"), refused=["Stream"])
    assert isinstance(_opened(), TwoClockStream)


def test_devices_that_are_refused_either_way_are_told_in_one_line(fake):
    module = fake(device("interface"), refused=["Stream", "OutputStream"])
    with pytest.raises(RtsepError, match=r"^cannot open 'interface' and 'interface' together: .*$"):
        _opened()
    assert module.opened[0].closed
    fake(MICROPHONE, SPEAKERS, refused=["OutputStream"])
    with pytest.raises(RtsepError, match=r"^cannot open the output device 'Speakers': .*$"):
        _opened()


def test_filling_the_outputs_buffers_before_any_input_is_no_dropout(fake):
    xruns = []
    module = fake(device("interface"))
    stream = _opened(DeviceSettings(block=BLOCK), lambda block, out: None, xruns.append)
    silence = np.zeros((BLOCK, 2), np.float32)

    def block(times, *flags):
        module.opened[0].callback(silence, silence.copy(), BLOCK, times, Flags(*flags))

    assert stream.measured_latency_s is None
    for _ in range(3):  # it holds 20 ms, 1.7 blocks
        block(NO_TIMES, "input_underflow")
    assert len(xruns) == 1
    block(Times(0.0, 0.5))
    assert stream.measured_latency_s is None  # a clock that stands at 0 is none
    block(Times(10.0, 10.05))
    block(Times(10.1, 10.17))
    assert stream.measured_latency_s == pytest.approx(0.06)
    block(Times(10.2, 10.26), "input_underflow")  # now it is one
    assert len(xruns) == 2


class Clockwork:
    """A bridged pair of devices, block by block on a clock of the test's own."""

    def __init__(self, module, monkeypatch, process):
        self.now_s, self.position = 0.0, 0
        clock = SimpleNamespace(perf_counter=lambda: self.now_s)
        monkeypatch.setattr(two_clock_stream, "time", clock)
        self.xruns: list = []
        self.stream = _opened(DeviceSettings(block=BLOCK), process, self.xruns.append)
        self._input, self._output = (part.callback for part in module.opened)

    def play(self, blocks, sound, *, input_flags=NO_FLAGS, output_flags=NO_FLAGS):
        """What the output was given of `sound`, a function of seconds."""
        heard = np.zeros((blocks * BLOCK, 2), np.float32)
        for start in range(0, len(heard), BLOCK):
            self.now_s += BLOCK / 44_100
            seconds = (self.position + np.arange(BLOCK)) / 44_100
            self.position += BLOCK
            block = np.repeat(sound(seconds)[:, np.newaxis], 2, axis=1).astype(np.float32)
            self._input(block, BLOCK, None, input_flags)
            self._output(heard[start : start + BLOCK], BLOCK, None, output_flags)
        return heard


@pytest.fixture
def clockwork(fake, monkeypatch):
    module = fake(device("in"), device("out"))
    return lambda process: Clockwork(module, monkeypatch, process)


def test_a_sound_goes_through_both_streams(clockwork):
    def process(block, out):
        out[:] = -0.5 * block

    pair = clockwork(process)
    heard = pair.play(400, lambda seconds: np.sin(2 * np.pi * 440 * seconds))[200 * BLOCK :, 0]
    t = np.arange(200 * BLOCK, 400 * BLOCK) / 44_100
    waves = np.stack([np.cos(2 * np.pi * 440 * t), np.sin(2 * np.pi * 440 * t)], axis=1)
    there, *_ = np.linalg.lstsq(waves, heard)
    assert np.linalg.norm(there) == pytest.approx(0.5, abs=1e-3)
    np.testing.assert_allclose(heard, waves @ there, atol=1e-4)
    assert pair.stream.stats()["clock_drift_ppm"] == pytest.approx(0, abs=1)
    assert pair.xruns == []


def test_trouble_of_either_device_is_counted_once(clockwork):
    pair = clockwork(lambda block, out: None)
    pair.play(100, np.sin)
    pair.play(1, np.sin, input_flags=Flags("input_overflow"))
    pair.play(1, np.sin, output_flags=Flags("output_underflow"))
    pair.play(100, np.sin)
    pair.now_s += 1.0
    for _ in range(20):  # nothing comes in
        pair._output(np.zeros((BLOCK, 2), np.float32), BLOCK, None, NO_FLAGS)
    counted = [tuple(flag for flag, up in told._asdict().items() if up) for told in pair.xruns]
    assert counted == [("input_overflow",), ("output_underflow",), ("input_underflow",)]


def test_bad_samples_between_two_clocks_are_told_and_heard_for_no_longer_than_a_click(clockwork):
    def process(block, out):
        out[:] = block

    pair, told = clockwork(process), []
    pair.stream.on_bad_samples = told.append
    pair.play(200, np.cos)

    def broken(seconds):
        sound = np.cos(seconds)
        sound[10:13] = np.nan, 1e38, -np.inf
        return sound

    heard = np.concatenate([pair.play(1, broken), pair.play(100, np.cos)])
    assert sum(told) == 3
    assert np.isfinite(heard).all()
    assert np.abs(heard).max() < 1.1
    assert np.abs(heard[-BLOCK:]).min() > 0.1


def test_a_stream_that_is_closed_lets_go_of_what_played_through_it(clockwork):
    class Player:
        def process(self, block, out):
            out[:] = block

    player = Player()
    pair, gone = clockwork(player.process), weakref.ref(player)
    pair.play(10, np.sin)
    gc.disable()
    try:
        del player
        assert pair.stream.close()
        assert gone() is None
    finally:
        gc.enable()


def test_what_the_callback_raises_is_kept_and_the_sound_goes_on(clockwork):
    def process(block, out):
        raise RuntimeError("broken")

    pair = clockwork(process)
    heard = pair.play(200, lambda seconds: np.sin(2 * np.pi * 440 * seconds))
    assert str(pair.stream.failure) == "broken"
    assert np.abs(heard[100 * BLOCK :]).max() > 0.9


def test_a_portaudio_that_does_not_start_again_is_asked_once_more_at_the_next_look(
    fake, monkeypatch
):
    module = fake(MICROPHONE, SPEAKERS)

    def refuse():
        raise module.PortAudioError("Unanticipated host error")

    with monkeypatch.context() as broken:
        broken.setattr(module, "_initialize", refuse)
        with pytest.raises(
            RtsepError, match=r"PortAudio does not start: .*Unanticipated host error"
        ):
            portaudio.rescan()
    # sounddevice would refuse to end what has not begun.
    monkeypatch.setattr(module, "_initialized", 0)
    monkeypatch.setattr(module, "_terminate", refuse)
    portaudio.rescan()
    assert module.scans == 1


def test_a_device_that_cannot_be_started_is_said(fake, monkeypatch):
    module = fake(MICROPHONE, SPEAKERS)

    def refuse(stream):
        raise module.PortAudioError("Device unavailable")

    monkeypatch.setattr("tests.devices.fake_portaudio.FakeStream.start", refuse)
    settings = DeviceSettings()
    stream = open_stream(choose_devices(settings, 2), settings, lambda block, out: None, print)
    with pytest.raises(RtsepError, match=r"cannot be started: .*Device unavailable"):
        stream.start()


def test_a_number_of_another_script_is_a_name(fake):
    fake(MICROPHONE, SPEAKERS)
    with pytest.raises(UsageError, match="no input device '²'"):
        choose_devices(DeviceSettings(input_device="²"), 2)
