"""Programs and libraries of the system that some tests use, and the Debian packages they are in.

A test that uses some is marked `needs(...)` with the keys of NEEDS: it is skipped where they are missing
(conftest.py), and `scripts/test.py` installs them where it may. Standard library only, for that script.
"""

from __future__ import annotations

import ctypes.util
import shutil
from pathlib import Path

PORTAUDIO = "the PortAudio library"
# What changes tempo and key in rtsep-play.
RUBBER_BAND = "the Rubber Band library"
# Through which programs that know ALSA reach PulseAudio.
PULSE_PLUGIN = "ALSA's PulseAudio plugin"
# Through which programs that know JACK reach PipeWire.
PIPEWIRE_JACK = "PipeWire's libjack"
# Daemons that lie in no folder of programs.
RTKIT, POLKIT = "rtkit-daemon", "polkitd"

# By need: what it takes, and the Debian package of each. JACK's tools have a package of their own on
# newer systems.
NEEDS = {
    "pulse": {
        "pulseaudio": "pulseaudio",
        "pactl": "pulseaudio-utils",
        "pacat": "pulseaudio-utils",
        "parec": "pulseaudio-utils",
        PULSE_PLUGIN: "libasound2-plugins",
        PORTAUDIO: "libportaudio2",
    },
    "jack": {
        "jackd": "jackd2",
        "jack_lsp": "jack-example-tools",
        "jack_connect": "jack-example-tools",
        PORTAUDIO: "libportaudio2",
    },
    # Never pipewire-alsa, which would remove pulseaudio.
    "pipewire": {
        "pipewire": "pipewire",
        "wireplumber": "wireplumber",
        "pipewire-pulse": "pipewire-pulse",
        "pw-dump": "pipewire-bin",
        "pw-loopback": "pipewire-bin",
        "pw-link": "pipewire-bin",
        "pw-play": "pipewire-bin",
        PIPEWIRE_JACK: "pipewire-jack",
        "dbus-daemon": "dbus",
        "pactl": "pulseaudio-utils",
        "pacat": "pulseaudio-utils",
        "parec": "pulseaudio-utils",
        PULSE_PLUGIN: "libasound2-plugins",
        PORTAUDIO: "libportaudio2",
    },
    "rtkit": {
        RTKIT: "rtkit",
        POLKIT: "polkitd",
        "dbus-daemon": "dbus",
        "setpriv": "util-linux",
    },
    "rubberband": {RUBBER_BAND: "librubberband2"},
    "strace": {"strace": "strace"},
    "mpv": {"mpv": "mpv"},
    "chromium": {"chromium": "chromium"},
    "ffmpeg": {"ffmpeg": "ffmpeg"},
    "systemd": {"systemd-analyze": "systemd"},
}

# Sound through them is paced by the clock: tests beside one another would make it late. Where that is no
# matter, as where a program is only refused, a test is marked `unhurried`.
SOUND_SERVERS = ("pulse", "jack", "pipewire")

# How pytest's answer to --show-needs begins (conftest.py).
NEEDS_LINE = "needs of the tests selected: "

# Where Debian and Fedora put libraries that are loaded by name.
_LIBRARY_FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
_NAMES = {PORTAUDIO: "portaudio", RUBBER_BAND: "rubberband"}
_LIBRARIES = {
    PULSE_PLUGIN: "alsa-lib/libasound_module_pcm_pulse.so",
    PIPEWIRE_JACK: "pipewire-0.3/jack/libjack.so.0",
}


_DAEMONS = {
    RTKIT: ("/usr/libexec/rtkit-daemon", "/usr/lib/rtkit/rtkit-daemon"),
    POLKIT: ("/usr/lib/polkit-1/polkitd", "/usr/libexec/polkitd"),
}


def daemon(name: str) -> str | None:
    """Where one of the daemons is, if it is there."""
    return next((path for path in _DAEMONS[name] if Path(path).exists()), None)


def missing(need: str) -> dict[str, str]:
    """What is missing of a need, and the package of each."""
    return {thing: package for thing, package in NEEDS[need].items() if not _is_there(thing)}


def why_missing(need: str) -> str | None:
    """A line on what is missing of a need; None where nothing is."""
    things = missing(need)
    if not things:
        return None
    return (
        f"missing: {', '.join(things)}; `python3 scripts/test.py` installs"
        f" {', '.join(dict.fromkeys(things.values()))} on Debian and Ubuntu where that removes nothing"
    )


def _is_there(thing: str) -> bool:
    if thing in _NAMES:
        return ctypes.util.find_library(_NAMES[thing]) is not None
    if thing in _DAEMONS:
        return daemon(thing) is not None
    if thing in _LIBRARIES:
        library, folders = _LIBRARIES[thing], [Path(folder) for folder in _LIBRARY_FOLDERS]
        return any(
            (folder / library).exists() or any(folder.glob(f"*-linux-gnu*/{library}"))
            for folder in folders
        )
    return shutil.which(thing) is not None
