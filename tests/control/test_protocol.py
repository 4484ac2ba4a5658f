"""The protocol: what is a command, and that all else is refused in a line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsep.control.commands import CommandMethods
from rtsep.control.protocol import COMMANDS, Command, RefusedMessage, make_command, read_command
from rtsep.errors import UsageError

PAGE = Path(__file__).parents[2] / "docs" / "control.md"


def test_a_command_is_read_with_what_the_client_calls_it_by():
    text = '{"do": "gain", "stem": "vocals", "db": -6, "id": 7, "protocol": 1}'
    assert read_command(text) == (Command("gain", {"stem": "vocals", "db": -6.0}), 7)
    assert read_command('{"do": "unloop"}') == (Command("unloop", {}), None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "one JSON object"),
        ("[" * 4000, "one JSON object"),
        ('["gain"]', "one JSON object"),
        ('{"do": "gain", "stem": "vocals", "db": NaN}', "one JSON object"),
        ('{"do": "gain", "stem": "vocals", "db": 1e999}', "must lie within -120 to 60"),
        ('{"do": "gain", "stem": "vocals", "db": %s}' % ("9" * 400), "must lie within"),
        ('{"do": "gain", "stem": "vocals", "db": true}', "must be a number: got true"),
        ('{"do": "gain", "stem": "vocals"}', "gain needs db"),
        ('{"do": "gain", "stem": 3, "db": 0}', "must be a text"),
        ('{"do": "mute", "stem": "vocals", "on": 1}', "must be true or false: got 1"),
        ('{"do": "key", "semitones": 1.5}', "must be a whole number: got 1.5"),
        ('{"do": "open", "path": "/etc/passwd"}', 'unknown command "open": choose from gain'),
        ('{"do": "unloop", "file": "x"}', 'unloop takes no argument: got "file"'),
        ('{"do": ["gain"]}', 'must say what to "do"'),
        ('{"do": "unloop", "protocol": 2}', "protocol 2 is unknown: this is 1"),
        ('{"do": "unloop", "protocol": true}', "protocol true is unknown"),
        ('{"do": "unloop", "id": -1}', "id must be a whole number"),
    ],
)
def test_what_is_no_command_is_refused_in_a_line(text, why):
    with pytest.raises(RefusedMessage) as refused:
        read_command(text)
    assert why in str(refused.value)


def test_a_refusal_says_which_message_it_is_about():
    with pytest.raises(RefusedMessage) as refused:
        read_command('{"do": "fly", "id": 3}')
    assert refused.value.number == 3


TEXT = st.text(max_size=80)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=4,
)
# Near to commands, so that what lies behind the first checks is reached, too.
NEAR = st.fixed_dictionaries(
    {"do": st.sampled_from(list(COMMANDS)) | JSON},
    optional={
        name: JSON
        for name in ("id", "protocol", *(name for one in COMMANDS.values() for name in one))
    },
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(TEXT | JSON.map(json.dumps) | NEAR.map(json.dumps))
def test_whatever_comes_is_a_command_or_refused_in_a_printable_line(text):
    try:
        command, _ = read_command(text)
    except RefusedMessage as refused:
        assert str(refused).isprintable() and len(str(refused)) < 400
    else:
        assert make_command(command.name, **command.arguments) == command


def test_the_commands_of_a_program_are_its_methods():
    class Lamp(CommandMethods):
        def do_bypass(self, on=None):
            self.on = on

    lamp = Lamp()
    assert lamp.commands == ["bypass"]
    lamp.perform(make_command("bypass", on=True))
    assert lamp.on is True
    with pytest.raises(UsageError, match="seek means nothing here: choose from bypass"):
        lamp.perform(make_command("seek", position_s=1))


def test_the_documentation_has_every_command_with_its_limits():
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", PAGE.read_text(encoding="utf-8"), re.M)
    described = {}
    for name, parameters in COMMANDS.items():
        words = []
        for parameter, limits in parameters.items():
            word = f"`{parameter}`"
            if limits.kind in ("number", "whole"):
                word += f" {limits.lowest:.9g} to {limits.highest:.9g}"
            words.append(word + (", optional" if limits.is_optional else ""))
        described[name] = "; ".join(words) or "none"
    assert dict(rows) == described
