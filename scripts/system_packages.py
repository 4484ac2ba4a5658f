"""Packages of the system: installed only where nothing is asked, and nothing else is removed.

A sound server may conflict with the one that plays this person's sound. So the package manager is
asked first what it would do; what it would remove is a reason not to. Standard library only.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from steps import output_of, run_logged, say

# A package manager that hangs (no network, a lock) does not hold up what works without it.
INSTALL_TIMEOUT_S = 300


@dataclass(frozen=True)
class Change:
    """What installing would do to the system: names of packages."""

    installed: list[str]
    removed: list[str]


def install_system_packages(
    what_for: str, apt: Sequence[str], dnf: Sequence[str] = ()
) -> str | None:
    """Install packages, by their names for either manager, after saying so.

    what_for: in a few words, for the person.
    Returns None where all are installed, else in a few words why not.
    """
    root = _root_prefix()
    if shutil.which("apt-get"):
        if root is None:
            return f"not allowed without a password: apt install {' '.join(apt)}"
        return _install_with_apt(what_for, apt, root)
    if dnf and shutil.which("dnf"):
        if root is None:
            return f"not allowed without a password: dnf install {' '.join(dnf)}"
        say(f"installing system packages for {what_for}: {', '.join(dnf)}")
        # dnf removes nothing unless --allowerasing is given.
        command = [*root, "dnf", "install", "--assumeyes", *dnf]
        return None if run_logged(command, INSTALL_TIMEOUT_S) else "dnf could not install them"
    return "no package manager that is known here (apt-get, dnf) has them"


def _install_with_apt(what_for: str, names: Sequence[str], root: list[str]) -> str | None:
    # Lists that cannot be renewed may still do.
    run_logged([*root, "apt-get", "update"], INSTALL_TIMEOUT_S)
    # A package that this release of the system does not have must not hold up the others.
    known = [name for name in names if simulate([name]) is not None]
    change = simulate(known) if known else None
    if change is None:
        return f"apt-get cannot install {', '.join(names)}"
    if change.removed:
        return f"installing {', '.join(known)} would remove {', '.join(change.removed)}"
    if change.installed:
        say(f"installing system packages for {what_for}: {', '.join(change.installed)}")
    # No package may ask anything (jackd2 would, for real-time priority), which sudo's own
    # environment would allow.
    quietly = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install"]
    quietly += ["--yes", "--no-install-recommends", "--no-remove", *known]
    if not run_logged(quietly, INSTALL_TIMEOUT_S):
        return f"apt-get could not install {', '.join(known)}"
    unknown = [name for name in names if name not in known]
    return f"apt-get does not know {', '.join(unknown)}" if unknown else None


def simulate(names: Sequence[str]) -> Change | None:
    """What `apt-get install` would do; None where it could not. Needs no rights."""
    command = ["apt-get", "--simulate", "install", "--no-install-recommends", *names]
    printed = output_of(command, INSTALL_TIMEOUT_S)
    if printed is None:
        return None
    lines = [line.split() for line in printed.splitlines()]
    return Change(
        installed=[words[1] for words in lines if words[:1] == ["Inst"]],
        removed=[words[1] for words in lines if words[:1] in (["Remv"], ["Purg"])],
    )


def _root_prefix() -> list[str] | None:
    """What stands before a command to run it as root; None where that needs a password."""
    if os.name == "nt":
        return None
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and run_logged(["sudo", "-n", "true"]):
        return ["sudo", "-n"]
    return None
