"""Where rtsep keeps what it can make or fetch again: kernels, timings, weights, the demo's song.

It stands among the kernels because these know nothing of rtsep, while all of rtsep knows them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

NO_HOME = "this user has no home folder (HOME names none, and the system has no entry for the user)"


def user_cache() -> Path | None:
    """The user's cache folder of rtsep, which need not exist; None where the user has no home.

    ``$XDG_CACHE_HOME/rtsep`` or ``~/.cache/rtsep``, ``~/Library/Caches/rtsep`` on macOS,
    ``%LOCALAPPDATA%\\rtsep\\Cache`` on Windows.
    """
    if sys.platform == "win32":
        named, below_home, ours = os.environ.get("LOCALAPPDATA"), "AppData/Local", "rtsep/Cache"
    elif sys.platform == "darwin":
        named, below_home, ours = None, "Library/Caches", "rtsep"
    else:
        named, below_home, ours = os.environ.get("XDG_CACHE_HOME"), ".cache", "rtsep"
    # The XDG specification has relative paths ignored: they would mean another folder in every cwd.
    if named and Path(named).is_absolute():
        return Path(named, ours)
    home = _home()
    return None if home is None else home / below_home / ours


def _home() -> Path | None:
    """The home folder; Path.home() takes an empty HOME for the root folder."""
    home = os.environ.get("USERPROFILE" if sys.platform == "win32" else "HOME")
    if not (home and Path(home).is_absolute()) and sys.platform != "win32":
        import pwd

        try:
            home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            return None
    return Path(home) if home and Path(home).is_absolute() else None
