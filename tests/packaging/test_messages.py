"""Messages of the library are for its callers, too, who have no command line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import rtsep

ROOT = Path(rtsep.__file__).parent
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*(?![\w>-])")
# A command to run, such as `rtsep-weights fetch spleeter:2stems --force`, is one for everybody.
COMMAND = re.compile(r"`[a-z-]+ [^`]*`")
# What only programs use: their own rooms, the devices that are opened for them, and what they start.
OF_PROGRAMS = ("cli/", "devices/", "live/device_session.py", "routing/loopback.py")


def _sentences(path: Path) -> Iterator[str]:
    """Every text of a module with a space in it; ``{}`` stands for what an f-string puts in."""
    parts: set[ast.AST] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            parts.update(node.values)
            yield "".join(p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)
        elif isinstance(node, ast.Constant) and node not in parts and " " in str(node.value):
            yield str(node.value)


def test_the_library_names_no_option_of_a_program() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {text!r}"
        for path in ROOT.rglob("*.py")
        if not path.relative_to(ROOT).as_posix().startswith(OF_PROGRAMS)
        for text in _sentences(path)
        if OPTION.search(COMMAND.sub("", text))
    ]
    assert not found, "name the parameter, or say it in words: " + "; ".join(found)
