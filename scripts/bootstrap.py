"""What the scripts share: from a fresh clone to an environment in which rtsep runs.

    .venv made -> the package installed there, editable -> PortAudio looked for -> script begun again

Standard library only, since it runs before anything is installed. A step that has been done is
passed over. What pip and the system's package manager say goes to build/setup.log; its end is shown
where something fails. nox and uv would have to be installed first, which is what this does.
"""

from __future__ import annotations

import ctypes.util
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

from steps import CHECKOUT, LOG, begin_log, run_logged, say, show_log
from system_packages import install_system_packages

VENV = CHECKOUT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "rtsep-setup.json"

# Set for the script that is begun again inside the environment.
INSIDE = "RTSEP_INSIDE_ENVIRONMENT"

# The oldest pip that installs into another environment, as the tests of the packages do.
PIP = "pip>=22.3"

PORTAUDIO_MISSING = (
    "PortAudio is missing: live audio needs it, everything else works. Install libportaudio2"
    " (Debian, Ubuntu), portaudio (Fedora) or portaudio (macOS, brew install portaudio);"
    " on Windows it comes with the Python package sounddevice"
)


class SetupError(Exception):
    """The environment cannot be made; the message is one line for the user."""


def start_in_environment(
    script: str, extras: Sequence[str] = (), install_system: bool = True
) -> None:
    """Return at once inside the environment; elsewhere prepare it and begin `script` again in it.

    script: path of the running script, given the arguments of this process again.
    extras: optional dependencies of the package, as named in pyproject.toml.
    install_system: whether packages of the system may be installed.
    Ends the process with one line on stderr and status 1 where the environment cannot be made.
    """
    if os.environ.pop(INSIDE, None) == str(VENV):
        return
    try:
        prepare(extras, install_system)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        print(
            f"error: cannot set up {VENV}: {error.filename or VENV}: {error.strerror}: make room, or"
            " use a copy of rtsep that can be written to",
            file=sys.stderr,
        )
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    _begin_again([str(PYTHON), script, *sys.argv[1:]])


def prepare(extras: Sequence[str], install_system: bool = True) -> None:
    """Make the environment and install what is missing; raises SetupError where that fails."""
    if sys.version_info < (3, 10):  # noqa: UP036 - this file is what older versions meet first
        version = ".".join(str(number) for number in sys.version_info[:3])
        raise SetupError(
            f"rtsep needs Python 3.10 or later: {sys.executable} is {version};"
            " start the script with a newer one"
        )
    installed = _installed_extras(_stamp())
    if installed is not None and set(extras) <= installed:
        return
    begin_log()
    started = time.monotonic()
    if not _has_pip():
        _make_environment(install_system)
    # Extras asked for earlier stay.
    _install_package(sorted(set(extras) | (installed or set())))
    _find_portaudio(install_system)
    say(f"done in {time.monotonic() - started:.0f} s")


# --- the virtual environment ------------------------------------------------------------------


def _stamp() -> str:
    """What the installation depends on: pyproject.toml and the environment's Python, hashed."""
    digest = hashlib.sha256((CHECKOUT / "pyproject.toml").read_bytes())
    digest.update(_ask_python("import sys; print(sys.version)").encode())
    return digest.hexdigest()


def _installed_extras(stamp: str) -> set[str] | None:
    """Extras of the installation that is there; None if it is not the one described by `stamp`."""
    try:
        state = json.loads(STAMP.read_text(encoding="utf-8"))
        return set(state["extras"]) if state["stamp"] == stamp else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _ask_python(code: str) -> str:
    """What `code` prints in the environment; nothing where it fails or there is no environment."""
    try:
        result = subprocess.run(
            [str(PYTHON), "-c", code], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return result.stdout


def _has_pip() -> bool:
    return _ask_python("import pip; print(pip.__version__)") != ""


def _make_environment(install_system: bool) -> None:
    say(f"making the virtual environment {VENV}")
    if _make_with_venv() or _make_with_uv():
        return
    # Debian's own Python comes in parts; no other would gain anything from them.
    if sys.base_prefix == "/usr" and shutil.which("apt-get"):
        package = f"python3.{sys.version_info.minor}-venv"
        if install_system:
            install_system_packages("virtual environments", [package])
            if _make_with_venv():
                return
        raise SetupError(
            f"cannot make a virtual environment: apt install {package} (or install uv), then start"
            f" again; log: {LOG}"
        )
    show_log()
    raise SetupError(
        f"{sys.executable} cannot make a virtual environment: install its module ensurepip, or uv,"
        f" then start again; log: {LOG}"
    )


def _make_with_venv() -> bool:
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    # A child process looks: this one would not see what has been installed meanwhile.
    return run_logged([sys.executable, "-c", "import ensurepip"]) and run_logged(command)


def _make_with_uv() -> bool:
    uv = shutil.which("uv")
    if uv is None:
        return False
    return run_logged([uv, "venv", "--clear", "--seed", "--python", sys.executable, str(VENV)])


def _install_package(extras: Sequence[str]) -> None:
    say("installing rtsep and the packages it needs into it: a minute or two")
    STAMP.unlink(missing_ok=True)
    pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]
    target = f".[{','.join(extras)}]" if extras else "."
    if not (run_logged([*pip, PIP]) and run_logged([*pip, "--editable", target])):
        show_log()
        raise SetupError(f"the packages could not be installed: see above; log: {LOG}")
    state = {"stamp": _stamp(), "extras": list(extras)}
    STAMP.write_text(json.dumps(state), encoding="utf-8")


def _begin_again(command: list[str]) -> NoReturn:
    os.environ[INSIDE] = str(VENV)
    sys.stdout.flush()
    if os.name == "nt":  # exec there ends this process before the new one has finished
        sys.exit(subprocess.call(command))
    os.execv(command[0], command)


# --- PortAudio --------------------------------------------------------------------------------


def _find_portaudio(may_install: bool) -> None:
    """Install PortAudio where it is missing; say what to install where that is not possible."""
    # On other systems the library comes with the Python package sounddevice.
    if not sys.platform.startswith("linux") or ctypes.util.find_library("portaudio"):
        return
    if may_install:
        install_system_packages("live audio", ["libportaudio2"], dnf=["portaudio"])
    if not ctypes.util.find_library("portaudio"):
        say(PORTAUDIO_MISSING)
