"""A sounddevice without devices: streams whose callbacks the test calls itself."""

from __future__ import annotations

from types import SimpleNamespace

from rtsep.devices import choice as devices
from rtsep.devices import device_stream, portaudio

HOSTAPIS = ("ALSA", "JACK Audio Connection Kit")


class Flags(SimpleNamespace):
    """What PortAudio says with a block: the flags that are up."""

    def __init__(self, *up):
        names = ("input_overflow", "input_underflow", "output_overflow", "output_underflow")
        super().__init__(**{name: name in up for name in names})

    def __bool__(self):
        return any(vars(self).values())


class Times(SimpleNamespace):
    """When PortAudio says that a block is captured and played, in seconds; 0 where it does not."""

    def __init__(self, captured_s=0.0, played_s=0.0):
        super().__init__(inputBufferAdcTime=captured_s, outputBufferDacTime=played_s)


NO_FLAGS, NO_TIMES = Flags(), Times()


class PortAudioError(Exception):
    pass


def device(name, rate=44_100, inputs=2, outputs=2, hostapi=0):
    return {
        "name": name, "default_samplerate": float(rate), "max_input_channels": inputs,
        "max_output_channels": outputs, "hostapi": hostapi,
    }  # fmt: skip


class FakeSounddevice:
    """What the program uses of sounddevice.

    refused: kinds of stream that cannot be opened. only: rates that devices take, by name.
    scans: how often devices were looked for since the first time.
    """

    PortAudioError = PortAudioError
    _initialized = 1

    def __init__(self, *devices, refused=(), only=()):
        self.list(*devices)
        self.refused, self.only = refused, dict(only)
        self.default = SimpleNamespace(device=(0, len(devices) - 1))
        self.opened = []
        self.scans = 0

    def list(self, *devices):
        """The devices that there are now."""
        self.devices = [{"index": i, **entry} for i, entry in enumerate(devices)]

    def _terminate(self):
        assert not any(stream.active for stream in self.opened)

    def _initialize(self):
        self.scans += 1

    def query_devices(self):
        return self.devices

    def query_hostapis(self, index=None):
        apis = [{"name": name} for name in HOSTAPIS]
        return apis if index is None else apis[index]

    def check_input_settings(self, device, channels, dtype, samplerate):
        rate = self.only.get(self.devices[device]["name"], samplerate)
        if rate != samplerate:
            raise PortAudioError("Invalid sample rate")

    check_output_settings = check_input_settings

    def __getattr__(self, kind):
        if not kind.endswith("Stream"):
            raise AttributeError(kind)
        return lambda **options: self._open(kind, options)

    def _open(self, kind, options):
        if kind in self.refused:
            raise PortAudioError("Illegal combination of I/O devices")
        told = {"latency": (0.01, 0.02) if kind == "Stream" else 0.01}
        stream = FakeStream(kind=kind, active=False, closed=False, **{**options, **told})
        self.opened.append(stream)
        return stream


def install(monkeypatch, *listed, **options):
    """Let the program use a FakeSounddevice with the devices `listed`, which is returned."""
    module = FakeSounddevice(*listed, **options)
    for user in (device_stream, devices, portaudio):
        monkeypatch.setattr(user, "sounddevice", lambda: module)
    return module


class FakeStream(SimpleNamespace):
    def start(self):
        self.active = True

    def abort(self):
        self.active = False

    def close(self):
        self.closed = True
