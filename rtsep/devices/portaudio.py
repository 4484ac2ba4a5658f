"""The PortAudio library: the only place that imports sounddevice."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from rtsep.errors import MissingLibraryError, RtsepError

INSTALL = (
    "the PortAudio library is not installed: Debian/Ubuntu `apt install libportaudio2`, Fedora "
    "`dnf install portaudio`, macOS `brew install portaudio`, Windows `pip install --force-reinstall "
    "sounddevice` (its wheel brings it)"
)
# On Linux it is always the configuration: PortAudio asks ALSA for its devices and ALSA refuses.
CANNOT_START = "PortAudio does not start: " + (
    "the ALSA configuration seems to be broken (~/.asoundrc, /etc/asound.conf, ALSA_CONFIG_PATH): "
    "`aplay -L` says where"
    if sys.platform == "linux"
    else "restart the system's sound service"
)
NO_DEVICES = "there are no audio devices: connect one, or start the sound server"


def sounddevice() -> Any:
    """The module; raises MissingLibraryError naming the package of each system.

    Raises RtsepError where PortAudio is there and does not start.
    """
    if sys.platform == "linux":
        _prepare_alsa()
    try:
        import sounddevice as module
    except OSError as error:
        raise MissingLibraryError(f"{INSTALL} ({error})") from None
    except Exception as error:
        # It starts while it is imported: its class of errors goes with the import that failed.
        if type(error).__name__ != "PortAudioError":
            raise
        raise RtsepError(f"{CANNOT_START} ({reason(error)})") from None
    return module


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """Turn PortAudio's errors into one RtsepError. what: what cannot be done, and a remedy."""
    portaudio_error = sounddevice().PortAudioError
    try:
        yield
    except portaudio_error as error:
        raise RtsepError(f"{what} ({reason(error)})") from None


def rescan() -> None:
    """Look for devices anew, which PortAudio does only when it starts; no stream may be open.

    Raises RtsepError where it does not start again; the next call tries once more.
    """
    module = sounddevice()
    with refusals(CANNOT_START):
        if module._initialized:
            module._terminate()
        module._initialize()


def device_list() -> str:
    """All devices, one per line, with their numbers and channels."""
    with refusals("the audio devices cannot be listed: restart the sound server"):
        return str(sounddevice().query_devices()) or NO_DEVICES


def reason(error: Exception) -> str:
    """PortAudio's own words for what went wrong, in one line."""
    return " ".join(str(error.args[0] if error.args else error).split())


@cache
def _prepare_alsa() -> None:
    """Find a configuration that PortAudio would end the process on, and let ALSA print nothing.

    ALSA complains on stderr about devices that nobody asked for, in the midst of the display. What
    matters comes back through PortAudio. The handler of complaints must not be Python, since it is
    called on audio threads: it is a function of the C library that takes and does nothing.
    """
    try:
        alsa, libc = ctypes.CDLL("libasound.so.2"), ctypes.CDLL(None)
        alsa.snd_lib_error_set_handler(ctypes.cast(libc.getpid, ctypes.c_void_p))
        alsa.snd_strerror.restype = ctypes.c_char_p
        status = alsa.snd_config_update()
        configuration = ctypes.c_void_p.in_dll(alsa, "snd_config")
    except (OSError, AttributeError, ValueError):  # PortAudio without ALSA
        return
    if status < 0:
        raise RtsepError(f"{CANNOT_START} ({alsa.snd_strerror(status).decode(errors='replace')})")
    # With no device defined at all, PortAudio aborts on a failed assertion.
    if alsa.snd_config_search(configuration, b"pcm", ctypes.byref(ctypes.c_void_p())) < 0:
        raise RtsepError(f"{CANNOT_START} (it is missing or defines nothing)")
