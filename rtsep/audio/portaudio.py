"""The PortAudio library: the only place that imports sounddevice."""

from __future__ import annotations

from rtsep.errors import MissingLibraryError

INSTALL = (
    "the PortAudio library is not installed: Debian/Ubuntu `apt install libportaudio2`, Fedora "
    "`dnf install portaudio`, macOS `brew install portaudio`, Windows `pip install --force-reinstall "
    "sounddevice` (its wheel brings it)"
)


def sounddevice():
    """The module; raises MissingLibraryError naming the package of each system."""
    try:
        import sounddevice as module
    except OSError as error:
        raise MissingLibraryError(f"{INSTALL} ({error})") from None
    return module


def rescan() -> None:
    """Look for devices anew, which PortAudio does only when it starts; no stream may be open."""
    module = sounddevice()
    module._terminate()
    module._initialize()


def device_list() -> str:
    """All devices, one per line, with their numbers and channels."""
    return str(sounddevice().query_devices())


def reason(error: Exception) -> str:
    """PortAudio's own words for what went wrong."""
    return str(error.args[0]) if error.args else str(error)
