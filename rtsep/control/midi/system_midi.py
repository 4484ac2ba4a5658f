"""MIDI of the system: ALSA, Core MIDI or Windows, through python-rtmidi. Its only place."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rtsep.errors import RtsepError

_LABELS = {"linux": "alsa", "darwin": "coremidi", "win32": "windows"}
_APIS = {
    "linux": "API_LINUX_ALSA", "darwin": "API_MACOSX_CORE", "win32": "API_WINDOWS_MM",
}  # fmt: skip
_ALSA_SEQUENCER = Path("/dev/snd/seq")


class SystemMidi:
    """What the system lists."""

    label = _LABELS.get(sys.platform, "system")

    def __init__(self) -> None:
        # Asks for names; each device that is heard has one of its own.
        self._asking: Any = None

    def names(self) -> dict[str, str]:
        """The devices; see JackMidi. Raises RtsepError where the system has no MIDI."""
        if self._asking is None:
            self._asking = _new_input()
        return {name: name for name in self._asking.get_ports()}

    def open(self, name: str, on_message: Callable[[bytes], None]) -> _Connection:
        """Hear a device; `on_message` is called by a thread. Raises RtsepError."""
        names = list(self.names())
        if name not in names:
            raise RtsepError(f"{name} has gone")
        heard = _new_input()
        try:
            heard.open_port(names.index(name), "rtsep")
        except _rtmidi().RtMidiError as error:
            raise RtsepError(f"cannot open {name} ({error})") from error
        heard.set_callback(lambda event, _data=None: on_message(bytes(event[0])))
        return _Connection(self, name, heard)

    def close(self) -> None:
        """Ask no longer."""
        if self._asking is not None:
            self._asking.delete()
            self._asking = None


class _Connection:
    """A device that is heard."""

    def __init__(self, system: SystemMidi, name: str, heard: Any):
        self._system, self._name, self._heard = system, name, heard

    def is_there(self) -> bool:
        """Whether the system still lists it."""
        return self._name in self._system.names()

    def close(self) -> None:
        """Hear it no longer."""
        self._heard.close_port()
        self._heard.delete()


def _rtmidi() -> Any:
    try:
        import rtmidi
    except ImportError:
        raise RtsepError("python-rtmidi is not there: pip install 'rtsep[midi]'") from None
    return rtmidi


def _new_input() -> Any:
    rtmidi = _rtmidi()
    if sys.platform not in _APIS:
        raise RtsepError(f"no MIDI of {sys.platform} is known")
    # Asked for in vain, ALSA prints lines of its own.
    if _APIS[sys.platform] == "API_LINUX_ALSA" and not _ALSA_SEQUENCER.exists():
        raise RtsepError(f"ALSA has no MIDI: {_ALSA_SEQUENCER} is missing (modprobe snd-seq)")
    try:
        return rtmidi.MidiIn(getattr(rtmidi, _APIS[sys.platform]), "rtsep")
    except rtmidi.RtMidiError as error:
        raise RtsepError(f"the system has no MIDI ({error})") from error
