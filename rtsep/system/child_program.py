"""Programs of this package in processes of their own."""

from __future__ import annotations

import sys


def command(module: str, *arguments: str) -> list[str]:
    """The words that run `module` as a program in this Python.

    It imports from where this process does. `python -m` would look into the current folder first, and
    in a clone run the rtsep that lies there in place of the one that is installed.
    """
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; import runpy;"
        f" runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    )
    return [sys.executable, "-c", code, *arguments]
