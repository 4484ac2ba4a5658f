"""Single keys from the terminal while a stream runs, and what each of them does: see KEYS."""

from __future__ import annotations

import codecs
import os
import re
import sys
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from rtsep.control.protocol import Command, make_command
from rtsep.system.signals import shielded

if TYPE_CHECKING:
    from rtsep.control.mixing import MixCommands

# Key, its name in the display's help line, what it does.
Keys: TypeAlias = tuple[tuple[str, str, str], ...]
KEYS: Keys = (
    ("1-9", "stem", "select the stem that the next four keys act on"),
    ("m", "mute", "mute it, or no longer"),
    ("s", "solo", "hear it alone, with the others soloed, or no longer"),
    ("f", "fade", "fade it out, or in again, within 2 s"),
    ("+/-", "trim", "raise or lower it by 1 dB"),
    ("b", "bypass", "hear the input, delayed as much as the mix, or the mix again"),
    (
        "space",
        "freeze",
        "let the display stand still, or go on (--screen-reader: say how things stand)",
    ),
    ("q", "quit", "end the stream"),
)
FADE_S = 2.0
TRIM_STEP_DB = 1.0

# What arrow and function keys send: ESC [ ... letter or ~, or ESC O letter. Their letters and digits
# are no keys of ours.
_ESCAPE_SEQUENCE = re.compile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|O.|.)?", re.DOTALL)


class Freezable(Protocol):
    """What the keys do to a display."""

    def toggle_freeze(self) -> None:
        """Stand still, or go on."""
        ...


def help_line(keys: Keys = KEYS) -> str:
    """All keys in one line; those of rtsep-monitor in less than 80 characters."""
    return "  ".join(f"{key} {name}" for key, name, _ in keys)


def help_table(keys: Keys = KEYS) -> str:
    """One line per key, for `--help`."""
    return "\n".join(f"  {key:<7} {meaning}" for key, _, meaning in keys)


def handle_key(key: str, commands: MixCommands, display: Freezable) -> bool:
    """Do what `key` stands for; False to quit. Keys without a meaning are ignored.

    What the display and the choice of a stem are to others is their own affair; all else is a command.
    """
    match key.lower():
        case "q":
            return False
        case " ":
            display.toggle_freeze()
        case digit if digit in set("123456789"):
            commands.mixer.select(int(digit))
        case other:
            command = _command(other, commands.mixer.selected)
            if command is not None:
                commands.perform(command)
    return True


def _command(key: str, stem: str) -> Command | None:
    """The command that a key stands for, if it does."""
    match key:
        case "m":
            return make_command("mute", stem=stem)
        case "s":
            return make_command("solo", stem=stem)
        case "f":
            return make_command("fade", stem=stem, seconds=FADE_S)
        case "+" | "=":  # the same key without shift on many keyboards
            return make_command("trim", stem=stem, db=TRIM_STEP_DB)
        case "-":
            return make_command("trim", stem=stem, db=-TRIM_STEP_DB)
        case "b":
            return make_command("bypass")
    return None


class KeyReader:
    """Keys as they are pressed, without Enter and without waiting; none where stdin is no terminal.

    A context manager: inside it the terminal neither echoes nor collects lines, at its end, also
    after an exception, everything is as before. Ctrl-C still interrupts; Ctrl-Z does nothing, since
    a stopped program would leave its stream without sound and the shell without echo.
    """

    def __init__(self) -> None:
        self._terminal: _PosixTerminal | _WindowsTerminal | None = None
        self._keys: deque[str] = deque()

    def __enter__(self) -> KeyReader:
        if _is_terminal():
            with shielded():  # or the shell would be left without echo
                self._terminal = _WindowsTerminal() if sys.platform == "win32" else _PosixTerminal()
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._terminal is not None:
            self._terminal.restore()
            self._terminal = None

    def poll(self) -> str | None:
        """The oldest key not given out yet, one character; None if there is none."""
        if not self._keys and self._terminal is not None:
            self._keys.extend(self._terminal.read())
        return self._keys.popleft() if self._keys else None


def _is_terminal() -> bool:
    try:
        return sys.stdin is not None and os.isatty(sys.stdin.fileno())
    except (OSError, ValueError):  # closed, or replaced by something without a descriptor
        return False


class _PosixTerminal:
    """stdin in cbreak mode, as long as this program is in the terminal's foreground.

    In the background, reading from the terminal or changing its settings would stop the program.
    """

    def __init__(self) -> None:
        import termios

        self._descriptor = sys.stdin.fileno()
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")
        self._saved: list[Any] | None = None
        if not self._in_foreground():
            return
        self._saved = termios.tcgetattr(self._descriptor)
        local_flags, control_characters = 3, 6  # positions in what tcgetattr gives
        settings = termios.tcgetattr(self._descriptor)
        settings[local_flags] &= ~(termios.ICANON | termios.ECHO)
        characters = settings[control_characters]
        characters[termios.VMIN], characters[termios.VTIME] = 1, 0
        disabled = os.fpathconf(self._descriptor, "PC_VDISABLE").to_bytes(1, "little")
        for name in ("VSUSP", "VDSUSP"):  # VDSUSP: Ctrl-Y of BSD and macOS
            if hasattr(termios, name):
                characters[getattr(termios, name)] = disabled
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, settings)

    def read(self) -> str:
        """Everything typed since the last call."""
        import select

        if self._saved is None or not self._in_foreground():
            return ""
        if not select.select([self._descriptor], [], [], 0)[0]:
            return ""
        try:
            typed = os.read(self._descriptor, 1024)
        except OSError:  # the terminal has gone
            typed = b""
        if not typed:
            self._saved = None
        return _ESCAPE_SEQUENCE.sub("", self._decoder.decode(typed))

    def restore(self) -> None:
        """Give the terminal back as it was found."""
        import termios

        if self._saved is not None and self._in_foreground():
            # TCSAFLUSH: keys pressed and not read are not the shell's.
            termios.tcsetattr(self._descriptor, termios.TCSAFLUSH, self._saved)

    def _in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:  # stdin is not the controlling terminal: nobody's jobs run there
            return True


class _WindowsTerminal:
    """The console's keyboard; nothing to be switched or restored."""

    def read(self) -> str:
        """Everything typed since the last call."""
        import msvcrt

        console: Any = msvcrt
        typed = []
        while console.kbhit():
            key = console.getwch()
            if key in "\x00\xe0":  # arrow and function keys come in two parts
                console.getwch()
            elif key == "\x03":  # Ctrl-C, had it been pressed while getwch was waiting
                raise KeyboardInterrupt
            else:
                typed.append(key)
        return "".join(typed)

    def restore(self) -> None:
        """Nothing was changed."""
