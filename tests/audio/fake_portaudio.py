"""A sounddevice without devices: streams whose callbacks the test calls itself."""

from __future__ import annotations

from types import SimpleNamespace

HOSTAPIS = ("ALSA", "JACK Audio Connection Kit")


class Flags(SimpleNamespace):
    """What PortAudio says with a block: the flags that are up."""

    def __init__(self, *up):
        names = ("input_overflow", "input_underflow", "output_overflow", "output_underflow")
        super().__init__(**{name: name in up for name in names})

    def __bool__(self):
        return any(vars(self).values())


NO_FLAGS = Flags()


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
    """

    PortAudioError = PortAudioError

    def __init__(self, *devices, refused=(), only=()):
        self.devices = [{"index": i, **entry} for i, entry in enumerate(devices)]
        self.refused, self.only = refused, dict(only)
        self.default = SimpleNamespace(device=(0, len(devices) - 1))
        self.opened = []

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


class FakeStream(SimpleNamespace):
    def start(self):
        self.active = True

    def abort(self):
        self.active = False

    def close(self):
        self.closed = True
