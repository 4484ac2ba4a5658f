"""The program of the process that serves the page and the WebSocket.

    python -m rtsep.control.server_process

A process of its own, because whatever clients do then costs the audio threads nothing of Python's
lock.
"""

from __future__ import annotations

import asyncio
import io
from typing import Any

from rtsep.control.address import Address, why_not_listening
from rtsep.control.child import ServingChild, run_child, say, tell, tell_command, tell_listening
from rtsep.control.client import Client
from rtsep.control.protocol import Command
from rtsep.control.server import ControlServer, Greeting


class ServerProcess(ServingChild):
    """The server, and the pipes to the main process."""

    def __init__(self, greeting: Greeting):
        super().__init__()
        self._server = ControlServer(greeting, self._on_command, self.note_arrival, say)

    async def run(self, address: Address, token: str | None, with_picture: bool) -> None:
        """Serve until the main process closes the pipe, or ends."""
        try:
            runner, port = await self._server.listen(address.host, address.port)
        except OSError as error:
            tell("unable", why_not_listening(address, error))
            return
        url = address.url(port, token)
        tell_listening([f"control {url}", *(_picture(url) if with_picture else [])])
        await self.serve()
        await runner.cleanup()

    def is_looked_at(self) -> bool:
        """Whether there are clients."""
        return bool(self._server.clients)

    def show(self, state: str) -> None:
        """Send all clients a state."""
        self._server.show(state)

    def answer(self, client: int, text: str) -> None:
        """Send a client a reply."""
        if client in self._server.clients:
            self._server.clients[client].answer(text)

    def _on_command(self, client: Client, command: Command, number: int | None) -> None:
        tell_command(client.number, command, number)


def _picture(url: str) -> list[str]:
    """The address as a QR code, in lines for a terminal, whose own colours do not matter."""
    import segno

    white_on_black, as_before = "\x1b[97;40m", "\x1b[0m"

    drawn = io.StringIO()
    segno.make(url, error="m", micro=False).terminal(drawn, border=2, compact=True)
    return [f"{white_on_black}{line}{as_before}" for line in drawn.getvalue().splitlines()]


def _serve(settings: dict[str, Any]) -> None:
    async def work() -> None:
        greeting = Greeting(**settings["greeting"])
        address = Address(**settings["address"])
        await ServerProcess(greeting).run(address, greeting.token, settings["with_picture"])

    asyncio.run(work())


if __name__ == "__main__":
    run_child(_serve)
