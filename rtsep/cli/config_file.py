"""The person's own settings: config.toml, of which every program reads its table and a preset.

    [rtsep-monitor]                  options of a program, by their long names
    [rtsep-bench.latency]            ... of a command of it
    [preset.karaoke]                 options of a preset, for the program that it is given to
    [preset.karaoke.rtsep-monitor]   ... for this program alone; these count for more

What the options are worth: config_options.py.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtsep.errors import UsageError, one_line

FILE_VARIABLE = "RTSEP_CONFIG"
FILE_NAME = "config.toml"
# Those of pyproject.toml.
PROGRAMS = (
    "rtsep-monitor", "rtsep-play", "rtsep-separate", "rtsep-weights", "rtsep-bench", "rtsep-train",
)  # fmt: skip
PRESET = "preset"


@dataclass(frozen=True)
class Layer:
    """Options of one table. where: the file and the table, for messages; options: by long name."""

    where: str
    options: dict[str, Any]


def config_home() -> Path:
    """The folder of all programs' settings."""
    if sys.platform == "linux":
        # As platformdirs does, whose import would make each start 5 ms slower.
        return Path(os.environ.get("XDG_CONFIG_HOME", "").strip() or "~/.config").expanduser()
    from platformdirs import user_config_path

    return user_config_path()


def config_path() -> Path | None:
    """The file to read; None where there is none, or none is wanted. Raises UsageError."""
    named = os.environ.get(FILE_VARIABLE)
    if named == "":
        return None
    if named is not None:
        path = Path(named).expanduser()
        if not os.path.lexists(path):
            raise UsageError(
                f"{FILE_VARIABLE}={named}: there is no such file: correct the name, or set it to"
                " nothing to do without a file"
            )
        return path
    path = config_home() / "rtsep" / FILE_NAME
    return path if os.path.lexists(path) else None


def layers(prog: str, preset: str | None) -> list[Layer]:
    """The tables that hold for a program, what counts for more last.

    Parameters
    ----------
    prog : str
        The program, and its command if it has some: ``rtsep-bench latency``.
    preset : str, optional
        The preset's name.

    Raises
    ------
    UsageError
        For a file that cannot be read, an unknown table, and a preset that is not there.
    """
    path = config_path()
    if path is None:
        if preset is None:
            return []
        raise UsageError(
            f"--preset {preset}: there is no file of settings: write [{PRESET}.{preset}] into"
            f" {config_home() / 'rtsep' / FILE_NAME} (docs/presets.md)"
        )
    content = _read(path)
    found = []
    table = _within(content, prog, "")
    if table is not None:
        found.append(Layer(f"{path}: [{_dotted(prog)}]", table))
    if preset is not None:
        found += _preset_layers(content.get(PRESET, {}), path, prog, preset)
    return found


def preset_names() -> list[str]:
    """The names of all presets. Raises UsageError for a file that cannot be read."""
    path = config_path()
    return [] if path is None else sorted(_read(path).get(PRESET, {}))


def check_commands(program: str, commands: Collection[str]) -> None:
    """Raise UsageError where a table of a program that has commands holds anything but theirs."""
    path = config_path()
    if path is None:
        return
    content = _read(path)
    presets = {f"{PRESET}.{name}.": table for name, table in content.get(PRESET, {}).items()}
    for before, table in {"": content, **presets}.items():
        within = _within(table, program, before) or {}
        for name, value in within.items():
            if name not in commands:
                raise UsageError(
                    f"{path}: [{before}{program}] {name}: {program} has no such command to have a"
                    f" table: {suggestion(name, commands)}"
                )
            if not isinstance(value, dict):
                raise UsageError(
                    f"{path}: {before}{program}.{name} must be a table: write"
                    f" [{before}{program}.{name}]"
                )


def _preset_layers(presets: dict[str, Any], path: Path, prog: str, preset: str) -> list[Layer]:
    if preset not in presets:
        raise UsageError(
            f"--preset {preset}: {path} has no [{PRESET}.{preset}]: {suggestion(preset, presets)}"
        )
    table = presets[preset]
    common = {key: value for key, value in table.items() if key not in PROGRAMS}
    name = f"{PRESET}.{preset}"
    own = _within(table, prog, f"{name}.")
    if not common and own is None and table:
        raise UsageError(
            f"--preset {preset}: {path} has it for {', '.join(table)}, not for {prog}: write"
            f" [{name}.{_dotted(prog)}], or leave it out"
        )
    found = [Layer(f"{path}: [{name}]", common)]
    if own is not None:
        found.append(Layer(f"{path}: [{name}.{_dotted(prog)}]", own))
    return found


def _within(content: dict[str, Any], prog: str, before: str) -> dict[str, Any] | None:
    """The table of a program, or of a command of it. before: the name of what it is in."""
    table: Any = content
    for key in prog.split():
        table = table.get(key)
        if table is None:
            return None
        before += key
        if not isinstance(table, dict):
            raise UsageError(f"{config_path()}: {before} must be a table: write [{before}]")
        before += "."
    found: dict[str, Any] = table
    return found


def _dotted(prog: str) -> str:
    return prog.replace(" ", ".")


def _read(path: Path) -> dict[str, Any]:
    """The file's content, of which only known tables are there. Raises UsageError."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    way_out = f"correct it, or set {FILE_VARIABLE} to nothing to do without"
    try:
        content: dict[str, Any] = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}: {way_out}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is no TOML: {one_line(error)}: {way_out}") from error
    for name, table in content.items():
        if name not in (*PROGRAMS, PRESET):
            hint = suggestion(name, (*PROGRAMS, PRESET))
            raise UsageError(f"{path}: there is no program {name!r} to have a table: {hint}")
        if not isinstance(table, dict):
            raise UsageError(f"{path}: {name} must be a table: write [{name}]")
    for name, table in content.get(PRESET, {}).items():
        if not isinstance(table, dict):
            raise UsageError(
                f"{path}: {PRESET}.{name} must be a table with a preset's options: write"
                f" [{PRESET}.NAME] above {name}"
            )
    return content


def suggestion(word: str, known: Iterable[str]) -> str:
    """What to do about an unknown word."""
    import difflib  # where there is a mistake only

    names = sorted(known)
    near = difflib.get_close_matches(word, names, 3) or (names if len(names) <= 8 else [])
    return f"did you mean {' or '.join(near)}?" if near else "correct it, or leave it out"
