"""Install the audio servers that the tests of `rtsep-monitor` run on: PulseAudio and JACK.

    python scripts/audio_servers.py

Standard library only. Installs what is missing with apt-get, as root or where sudo asks for no
password; elsewhere says in one line what is missing, and exits with status 1: the tests that need it
are then skipped and say why.
"""

from __future__ import annotations

import ctypes.util
import shutil
import sys
from pathlib import Path

from bootstrap import install_system_package

# What shows that a package is there. JACK's tools have a package of their own on newer systems.
PROGRAMS = {
    "pulseaudio": "pulseaudio",
    "pactl": "pulseaudio-utils",
    "jackd": "jackd2",
    "jack_lsp": "jack-example-tools",
}
PULSE_PLUGIN = "*-linux-gnu*/alsa-lib/libasound_module_pcm_pulse.so"


def missing_packages() -> list[str]:
    """Debian packages that are still to be installed, in the order to do it in."""
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if not any(Path("/usr/lib").glob(PULSE_PLUGIN)):
        missing.append("libasound2-plugins")
    if ctypes.util.find_library("portaudio") is None:
        missing.append("libportaudio2")
    return missing


def install() -> list[str]:
    """Install what is missing as far as it can be; returns what is missing still."""
    missing = missing_packages()
    if missing and shutil.which("apt-get"):
        install_system_package(*missing)
    return missing_packages()


def main() -> int:
    """Install and say what has come of it."""
    missing = install()
    if missing:
        print(f"audio servers: could not install {', '.join(missing)}; their tests are skipped")
        return 1
    print("audio servers: PulseAudio and JACK are installed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
