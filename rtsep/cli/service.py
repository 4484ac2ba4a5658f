"""`rtsep-monitor --install-service`: start at login, as a user's unit of systemd."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rtsep.cli.common import OneLineParser
from rtsep.cli.config_file import config_home
from rtsep.errors import RtsepError, UsageError
from rtsep.system.part_file import write_whole

DEFAULT_NAME = "rtsep"
# By it a unit is known to be ours to replace and to remove.
MARK = "# Written by rtsep-monitor --install-service; --uninstall-service removes it."
# What a person had set when the service was installed holds for it as well.
VARIABLES = "RTSEP_"
RESTART_S = 5


def add_service_arguments(parser: argparse._ActionsContainer) -> None:
    """Add the options that install and remove a service."""
    for option, text in (
        (
            "--install-service",
            "start at login with the other options given (Linux, systemd), and exit",
        ),
        ("--uninstall-service", "remove that service's unit, and exit"),
    ):
        parser.add_argument(
            option, nargs="?", const=DEFAULT_NAME, metavar="NAME",
            help=f"{text} (NAME: {DEFAULT_NAME})",
        )  # fmt: skip


def install_service(args: argparse.Namespace, words: Sequence[str], program: str) -> str:
    """Write the unit of `args.install_service`; returns what to tell the person.

    words: the command line, of which all other options are the service's. Raises UsageError for a name
    or an option that cannot be, and RtsepError where the unit cannot be written.
    """
    path = _unit_path(args.install_service)
    for name, value in vars(args).items():
        if isinstance(value, Path) and not value.is_absolute():
            raise UsageError(
                f"--{name.replace('_', '-')} {value}: a service begins in no folder of yours: give the"
                " whole path"
            )
    if os.path.lexists(path) and not _is_ours(path):
        raise UsageError(
            f"{path} was not written by {program}: choose another name with --install-service NAME"
        )
    variables = {
        name: value for name, value in sorted(os.environ.items()) if name.startswith(VARIABLES)
    }
    text = unit_text([_program_path(program), *_options(words)], variables)
    try:
        write_whole(path, lambda file: file.write(text.encode()))
    except OSError as error:
        raise RtsepError(f"cannot write {path}: {error.strerror}: make it possible") from None
    return (
        f"{path} is written; to start it now and at each login:\n"
        "  systemctl --user daemon-reload\n"
        f"  systemctl --user enable --now {path.name}"
    )


def uninstall_service(name: str, program: str) -> str:
    """Remove the unit; returns what to tell the person. Raises UsageError, RtsepError."""
    path = _unit_path(name)
    if not os.path.lexists(path):
        raise UsageError(f"--uninstall-service {name}: there is no {path}")
    if not _is_ours(path):
        raise UsageError(f"{path} was not written by {program}: remove it by hand")
    try:
        path.unlink()
    except OSError as error:
        raise RtsepError(f"cannot remove {path}: {error.strerror}") from None
    return (
        f"{path} is removed; to end what it has started:\n"
        f"  systemctl --user disable --now {path.name}\n"
        "  systemctl --user daemon-reload"
    )


def unit_text(command: Sequence[str], variables: Mapping[str, str]) -> str:
    """A unit that runs `command` at login with these variables of the environment set."""
    program, *options = command
    # The program's own name is not subject to variables.
    line = " ".join([_quoted(program), *(_quoted(word).replace("$", "$$") for word in options)])
    environment = "".join(
        f"Environment={_quoted(f'{name}={value}')}\n" for name, value in variables.items()
    )
    return f"""{MARK}
[Unit]
Description=rtsep: live music source separation
After=pipewire.service pipewire-pulse.service wireplumber.service pulseaudio.service

[Service]
ExecStart={line}
{environment}Restart=on-failure
RestartSec={RESTART_S}
# An option that is impossible does not become possible.
RestartPreventExitStatus=2
# 128 and the number of the signal that ended it.
SuccessExitStatus=129 130 143

[Install]
WantedBy=default.target
"""


def _unit_path(name: str) -> Path:
    if sys.platform != "linux":
        raise UsageError("a service needs systemd, which Linux alone has: leave the option out")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise UsageError(
            f"a service cannot be called {name!r}: use letters, digits, dots, dashes and underscores"
        )
    return config_home() / "systemd" / "user" / f"{name.removesuffix('.service')}.service"


def _is_ours(path: Path) -> bool:
    try:
        return path.read_text(errors="replace").startswith(MARK)
    except OSError as error:
        raise RtsepError(f"cannot read {path}: {error.strerror}") from None


def _program_path(program: str) -> str:
    """Where the installed program lies."""
    import sysconfig

    found = shutil.which(program, path=sysconfig.get_path("scripts")) or shutil.which(program)
    if found is None:
        raise RtsepError(f"{program} is not installed as a program: install rtsep with pip first")
    return os.path.abspath(found)


def _options(words: Sequence[str]) -> list[str]:
    """The words without those that ask for the service."""
    finder = OneLineParser(presets=False, add_help=False)
    add_service_arguments(finder)
    rest = finder.parse_known_args(words)[1]
    # No display in the journal; warnings and the control's address are still told.
    return rest if {"-q", "--quiet"} & set(rest) else [*rest, "--quiet"]


def _quoted(word: str) -> str:
    """A word as systemd reads it: quotes, backslashes, specifiers and line ends escaped."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    escaped = escaped.replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"' if re.search(r"[^\w@+=:,./-]", escaped) or not word else escaped
