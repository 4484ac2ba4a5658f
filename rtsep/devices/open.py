"""PortAudio as a backend: one stream where both sides share a clock, else two."""

from __future__ import annotations

from collections.abc import Callable

from rtsep.devices.audio_stream import Process
from rtsep.devices.backend import Ends
from rtsep.devices.choice import Devices, DeviceSettings, check_number, choose_devices
from rtsep.devices.device_stream import DeviceStream, DuplexStream
from rtsep.devices.portaudio import rescan
from rtsep.devices.two_clock_stream import TwoClockStream
from rtsep.errors import RtsepError


class PortAudioBackend:
    """Devices as PortAudio lists them; a backend.Backend[Devices].

    Parameters
    ----------
    settings : DeviceSettings
        Which devices.
    channels_out : int
        Channels wanted of the output where the settings do not say.
    """

    def __init__(self, settings: DeviceSettings, channels_out: int = 2):
        self.settings, self._channels_out = settings, channels_out

    def find(self, before: Ends | None = None) -> Devices:
        """The devices that were asked for, see `choose_devices`; `before`: those that were lost."""
        if before is None:
            return choose_devices(self.settings, self._channels_out)
        rescan()
        devices = choose_devices(self.settings, self._channels_out)
        for number, name, name_before in (
            (self.settings.input_device, devices.input_name, before.input_name),
            (self.settings.output_device, devices.output_name, before.output_name),
        ):
            check_number(number, name, name_before)
        return devices

    def open(
        self, ends: Devices, process: Process, on_xruns: Callable[[object], None]
    ) -> DeviceStream:
        """One stream where both sides have one clock and PortAudio takes them together, else two."""
        return open_stream(ends, self.settings, process, on_xruns)


def open_stream(
    devices: Devices, settings: DeviceSettings, process: Process, on_xruns: Callable[[object], None]
) -> DeviceStream:
    """One stream where both sides have one clock and PortAudio takes them together, else two.

    Raises RtsepError where the devices cannot be opened.
    """
    if not devices.one_clock:
        return TwoClockStream(devices, settings, process, on_xruns)
    try:
        return DuplexStream(devices, settings, process, on_xruns)
    except RtsepError as refused:
        try:
            return TwoClockStream(devices, settings, process, on_xruns)
        except RtsepError:
            raise refused from None
