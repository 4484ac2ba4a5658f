"""Keys: read one by one from a terminal that is given back as it was, and what they do."""

import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from rtsep.cli.terminal.keys import KEYS, KeyReader, handle_key, help_line, help_table
from rtsep.control.mixing import MixCommands
from rtsep.live.mixer import MixControls
from rtsep.nets.registry import find_model

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")


class Desk:
    """The mix of two stems, and a display that only notes its freezes."""

    def __init__(self):
        config = find_model("spleeter:2stems")
        self.engine = SimpleNamespace(
            stems=config.stems, gains=np.zeros(2, np.float32), bypass=False
        )
        self.controls = MixControls(self.engine, dict.fromkeys(config.stems, 1.0))
        self.commands = MixCommands(self.controls, dict)
        self.freezes = 0

    def toggle_freeze(self):
        self.freezes += 1

    def press(self, keys):
        return [handle_key(key, self.commands, self) for key in keys]

    @property
    def gains(self):
        return pytest.approx(self.engine.gains.tolist())


def test_keys_act_on_the_selected_stem():
    desk = Desk()
    desk.press("2m")
    assert desk.gains == [1.0, 0.0]
    desk.press("m1s")
    assert desk.gains == [1.0, 0.0]
    desk.press("S2--")
    assert desk.gains == [1.0, 10 ** (-2 / 20)]
    desk.press("+=")
    assert desk.gains == [1.0, 1.0]


def test_f_fades_within_two_seconds():
    desk = Desk()
    desk.press("f")
    desk.controls.tick(10.0)
    desk.controls.tick(11.0)
    assert desk.gains == [0.5, 1.0]
    desk.controls.tick(12.0)
    assert desk.gains == [0.0, 1.0]


def test_b_bypasses_and_space_freezes():
    desk = Desk()
    desk.press("b ")
    assert desk.engine.bypass
    assert desk.freezes == 1


def test_only_q_quits_and_other_keys_do_nothing():
    desk = Desk()
    assert desk.press("9x0é²٣\x1a\n") == [True] * 8
    assert desk.controls.selected == "vocals"
    assert desk.gains == [1.0, 1.0]
    assert desk.press("qQ") == [False, False]


def test_help_names_every_key():
    assert len(help_line()) < 80
    assert len(help_table().splitlines()) == len(KEYS)
    for key, _, meaning in KEYS:
        assert key in help_line()
        assert meaning in help_table()


@pytest.fixture
def terminal(monkeypatch):
    """A pseudo-terminal as stdin; gives the person's end and the program's."""
    import pty

    person, program = pty.openpty()
    monkeypatch.setattr(sys, "stdin", os.fdopen(program, "r", closefd=False))
    yield person, program
    os.close(program)
    os.close(person)


def settings(descriptor):
    import termios

    return termios.tcgetattr(descriptor)


def type_keys(person, text):
    os.write(person, text.encode())


@posix
def test_keys_come_one_by_one_without_enter_or_waiting(terminal):
    person, _ = terminal
    with KeyReader() as keys:
        assert keys.poll() is None
        type_keys(person, "1m ")
        assert [keys.poll() for _ in range(4)] == ["1", "m", " ", None]


@posix
def test_inside_there_is_no_echo_and_ctrl_z_is_a_key(terminal):
    person, program = terminal
    with KeyReader() as keys:
        type_keys(person, "s\x1a")
        assert [keys.poll(), keys.poll()] == ["s", "\x1a"]
        os.set_blocking(person, False)
        with pytest.raises(BlockingIOError):
            os.read(person, 10)
        import termios

        assert settings(program)[3] & termios.ISIG  # Ctrl-C


@posix
@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt, SystemExit])
def test_the_terminal_is_given_back_as_it_was(terminal, error):
    _, program = terminal
    before = settings(program)
    try:
        with KeyReader():
            assert settings(program) != before
            if error is not None:
                raise error
    except BaseException as raised:
        assert type(raised) is error
    assert settings(program) == before


@posix
@pytest.mark.parametrize(
    "sequence", ["\x1b[A", "\x1bOP", "\x1b[3~", "\x1b[1;5C", "\x1b"], ids=ascii
)
def test_arrows_and_function_keys_are_no_digits_and_letters(terminal, sequence):
    person, _ = terminal
    with KeyReader() as keys:
        type_keys(person, f"b{sequence}")
        assert [keys.poll(), keys.poll()] == ["b", None]


@posix
def test_in_the_background_the_terminal_is_left_alone(terminal, monkeypatch):
    person, program = terminal
    before = settings(program)
    monkeypatch.setattr(os, "tcgetpgrp", lambda descriptor: os.getpgrp() + 1)
    with KeyReader() as keys:
        assert settings(program) == before
        type_keys(person, "q\n")
        assert keys.poll() is None


@posix
def test_a_terminal_that_has_gone_gives_no_more_keys(monkeypatch):
    import pty

    person, program = pty.openpty()
    monkeypatch.setattr(sys, "stdin", os.fdopen(program, "r"))
    with KeyReader() as keys:
        os.close(person)
        assert [keys.poll(), keys.poll()] == [None, None]


@pytest.mark.parametrize("closed", [True, False])
def test_without_a_terminal_there_are_no_keys(tmp_path, monkeypatch, closed):
    file = tmp_path / "keys"
    file.write_text("q")
    with file.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        if closed:
            stdin.close()
        with KeyReader() as keys:
            assert keys.poll() is None


def test_without_stdin_there_are_no_keys(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with KeyReader() as keys:
        assert keys.poll() is None
