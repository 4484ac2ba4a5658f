"""From chosen devices to a stream: one where both sides share a clock, else two."""

from __future__ import annotations

from collections.abc import Callable

from rtsep.devices.choice import Devices, DeviceSettings
from rtsep.devices.device_stream import DeviceStream, DuplexStream, Process
from rtsep.devices.two_clock_stream import TwoClockStream
from rtsep.errors import RtsepError


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
