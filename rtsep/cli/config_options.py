"""Options from the file of settings, put below those of the command line.

A value of the file becomes words of a command line, which argparse checks as if they were typed. What is
not typed then has the file's value. Options that exclude each other, or set the same thing, replace each
other: those of a preset take the place of the program's table's, typed ones of both.
"""

from __future__ import annotations

import argparse
import copy
import os
from collections.abc import Iterable
from typing import Any, NoReturn

from rtsep.cli.config_file import PRESET, Layer, suggestion
from rtsep.errors import UsageError

# What a program does in place of its work is asked for at the moment.
TYPED_ONLY = {
    "help", PRESET, "list-devices", "list-midi", "list-apps", "list-presets", "install-service",
    "uninstall-service", "midi-learn",
}  # fmt: skip


class NotGiven(list[Any]):
    """Stands for an option that was not typed; one that collects begins with nothing."""

    def __copy__(self) -> list[Any]:
        return []


class FileOptions:
    """What the file says about a parser's options, and how to put it below what is typed.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Whose options they are.
    layers : iterable of Layer
        What counts for more last.

    Raises
    ------
    UsageError
        For an option that is not there and a value that it does not take.
    """

    def __init__(self, parser: argparse.ArgumentParser, layers: Iterable[Layer]):
        self._parser = parser
        # The value of each option that the file sets, by the option's action.
        self._values: dict[argparse.Action, Any] = {}
        for layer in layers:
            self._add(layer)
        # By dest: None yet, or what was typed.
        self._not_given = {
            action.dest: NotGiven()
            for set_action in self._values
            for action in (set_action, *self._rivals(set_action))
        }

    @property
    def set_actions(self) -> list[argparse.Action]:
        """Those that have a value from the file."""
        return list(self._values)

    def begin(self, namespace: argparse.Namespace) -> None:
        """Mark what the file sets as not typed yet."""
        for dest, mark in self._not_given.items():
            setattr(namespace, dest, mark)

    def finish(self, namespace: argparse.Namespace) -> None:
        """Give what was not typed the file's values, or the built-in ones."""
        typed = {
            dest for dest, mark in self._not_given.items() if getattr(namespace, dest) is not mark
        }
        for dest in self._not_given.keys() - typed:
            setattr(namespace, dest, self._built_in(dest))
        for action, value in self._values.items():
            concerned = {action.dest, *(rival.dest for rival in self._rivals(action))}
            if not concerned & typed:
                setattr(namespace, action.dest, value)

    def _built_in(self, dest: str) -> Any:
        value = self._parser.get_default(dest)
        if isinstance(value, str):
            action = next(action for action in self._parser._actions if action.dest == dest)
            value = self._parser._get_value(action, value)
        return value

    def _add(self, layer: Layer) -> None:
        values: dict[argparse.Action, Any] = {}
        names: dict[argparse.Action, str] = {}
        for name, value in layer.options.items():
            action = self._action(name, layer.where)
            for rival in self._rivals(action):
                self._values.pop(rival, None)
            self._values.pop(action, None)
            words = _words(action, f"--{name}", value, f"{layer.where} {name}")
            if words:
                parsed = _parsed(action, words, f"{layer.where} {name} = {value!r}")
                for rival in self._rivals(action):
                    if rival in names and _collect(action, rival):
                        parsed = [*values.pop(rival), *parsed]
                    elif rival in names:
                        raise UsageError(
                            f"{layer.where} {name}: not allowed with {names[rival]}: leave out one"
                        )
                names[action] = name
                values[action] = parsed
        self._values |= values

    def _action(self, name: str, where: str) -> argparse.Action:
        if name in TYPED_ONLY:
            raise UsageError(f"{where} {name}: is for the command line alone: leave it out")
        actions = {
            option[2:]: action
            for action in self._parser._actions
            for option in action.option_strings
            if option.startswith("--")
        }
        if name not in actions:
            hint = suggestion(name, actions.keys() - TYPED_ONLY)
            raise UsageError(f"{where} {name}: {self._parser.prog} has no option --{name}: {hint}")
        return actions[name]

    def _rivals(self, action: argparse.Action) -> list[argparse.Action]:
        """The options that set the same thing, or cannot be given beside it."""
        found = [other for other in self._parser._actions if other.dest == action.dest]
        for group in self._parser._mutually_exclusive_groups:
            if action in group._group_actions:
                found += group._group_actions
        return [other for other in found if other is not action]


def _collect(*actions: argparse.Action) -> bool:
    """Whether these options add to one list."""
    kinds = (argparse._AppendAction, argparse._AppendConstAction)
    return len({action.dest for action in actions}) == 1 and all(
        isinstance(action, kinds) for action in actions
    )


class _Checker(argparse.ArgumentParser):
    """Parses one option; an error says where in the file it is."""

    def __init__(self, where: str):
        super().__init__(add_help=False, allow_abbrev=False)
        self.where = where

    def error(self, message: str) -> NoReturn:
        _, separator, reason = message.partition(": ")
        raise UsageError(f"{self.where}: {reason if separator else message}")


def _parsed(action: argparse.Action, words: list[str], where: str) -> Any:
    """What argparse makes of the words."""
    checker = _Checker(where)
    alone = copy.copy(action)
    alone.required = False
    checker._add_action(alone)
    namespace = argparse.Namespace(**{action.dest: NotGiven()})
    return getattr(checker.parse_args(words, namespace), action.dest)


def _words(action: argparse.Action, option: str, value: Any, where: str) -> list[str]:
    """The option as it would be typed; nothing where it would be left out."""
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise UsageError(f"{where} = {value!r}: must be true or false")
        opposite = f"--no-{option[2:]}"
        if value:
            return [option]
        return [opposite] if opposite in action.option_strings else []
    repeatable = isinstance(action, argparse._AppendAction)
    if isinstance(value, bool):
        # Only an option with a value that may be left out is a switch as well.
        if action.nargs == "?":
            return [option] if value else []
        raise UsageError(f"{where} = {str(value).lower()}: needs a value, as --help says")
    many = action.nargs not in (None, "?")
    if not isinstance(value, list):
        return _typed(option, [value], where)
    if repeatable:
        each = value if not many or any(isinstance(v, list) for v in value) else [value]
        return [
            word
            for part in each
            for word in _typed(option, part if isinstance(part, list) else [part], where)
        ]
    if not many:
        raise UsageError(f"{where} = {value!r}: takes one value, not a list")
    return _typed(option, value, where) if value else []


def _typed(option: str, values: list[Any], where: str) -> list[str]:
    texts = [_text(value, where) for value in values]
    # A value may begin with a dash.
    return [f"{option}={texts[0]}"] if len(texts) == 1 else [option, *texts]


def _text(value: Any, where: str) -> str:
    if isinstance(value, str):
        # As a shell would.
        return os.path.expanduser(value) if value.startswith("~/") else value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value}"
    raise UsageError(f"{where} = {value!r}: must be a text or a number")
