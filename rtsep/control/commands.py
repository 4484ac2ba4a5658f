"""The seam between the control and a program: what the program implements.

    class Player(CommandMethods):
        def do_seek(self, position_s: float) -> None: ...
        def state(self) -> dict: ...

makes `seek` a command of that program, from the page, from the protocol and from the terminal's keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from rtsep.control.protocol import COMMANDS, Command
from rtsep.errors import UsageError

_PREFIX = "do_"


class Controllable(Protocol):
    """What is controlled. All of it is called from the program's main thread."""

    @property
    def commands(self) -> Sequence[str]:
        """Names of the commands that it takes, of protocol.COMMANDS."""
        ...

    def state(self) -> dict[str, Any]:
        """The state of now as docs/control.md has it, for json.dumps; asked for 15 times a second."""
        ...

    def perform(self, command: Command) -> None:
        """Do it. Raises UsageError with a line where that is impossible."""
        ...


class CommandMethods:
    """A Controllable whose commands are its methods: `do_seek(position_s)` is the command `seek`.

    The arguments have been checked against protocol.COMMANDS; optional ones may be left out.
    """

    @property
    def commands(self) -> Sequence[str]:
        """Names of the commands that it has methods for."""
        return [name for name in COMMANDS if hasattr(self, _PREFIX + name)]

    def perform(self, command: Command) -> None:
        """Call the method; raises UsageError where there is none, or as the method does."""
        method = getattr(self, _PREFIX + command.name, None)
        if method is None:
            raise UsageError(
                f"{command.name} means nothing here: choose from {', '.join(self.commands)}"
            )
        method(**command.arguments)
