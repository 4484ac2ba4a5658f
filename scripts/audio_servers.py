"""Install the audio servers that the tests of `rtsep-monitor` run on: PulseAudio and JACK.

    python scripts/audio_servers.py

Standard library only. Installs what is missing with apt-get, as root or where sudo asks for no
password; elsewhere says in one line what is missing, and exits with status 1: the tests that need it
are then skipped and say why.
"""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

# What shows that a package is there. JACK's tools have a package of their own on newer systems.
PROGRAMS = {
    "pulseaudio": "pulseaudio",
    "pactl": "pulseaudio-utils",
    "jackd": "jackd2",
    "jack_lsp": "jack-example-tools",
}
PULSE_PLUGIN = "*-linux-gnu*/alsa-lib/libasound_module_pcm_pulse.so"
TIMEOUT_S = 600


def missing_packages() -> list[str]:
    """Debian packages that are still to be installed, in the order to do it in."""
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if not any(Path("/usr/lib").glob(PULSE_PLUGIN)):
        missing.append("libasound2-plugins")
    if ctypes.util.find_library("portaudio") is None:
        missing.append("libportaudio2")
    return missing


def apt_get() -> list[str] | None:
    """How to call apt-get without being asked anything; None where that cannot be done."""
    if not sys.platform.startswith("linux") or shutil.which("apt-get") is None:
        return None
    # jackd2 would ask for real-time priority.
    command = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"]
    if os.geteuid() == 0:
        return command
    if shutil.which("sudo") and not _status(["sudo", "-n", "true"]):
        return ["sudo", "-n", *command]
    return None


def install() -> list[str]:
    """Install what is missing as far as it can be; returns what is missing still."""
    if not missing_packages() or (command := apt_get()) is None:
        return missing_packages()
    _status([*command, "update"])
    # One by one: a package that a system does not have must not hold up the others. The list is
    # made anew each time, since one may bring what another stands for.
    for package in missing_packages():
        if package in missing_packages():
            _status([*command, "install", "--no-install-recommends", package])
    return missing_packages()


def _status(command: list[str]) -> int:
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, timeout=TIMEOUT_S,
        ).returncode  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return 1


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
