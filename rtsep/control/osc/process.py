"""The program of the process that speaks OSC.

python -m rtsep.control.osc.process
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from rtsep.control.address import Address, why_not_listening
from rtsep.control.child import ServingChild, run_child, tell, tell_command, tell_listening
from rtsep.control.command_path import state_values
from rtsep.control.osc.server import OscServer


class OscProcess(ServingChild):
    """The server, and the pipes to the main process."""

    def __init__(self) -> None:
        super().__init__()
        self._server = OscServer(
            lambda sender, command: tell_command(sender.number, command), self.note_arrival
        )

    async def run(self, address: Address) -> None:
        """Serve until the main process closes the pipe, or ends."""
        try:
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: self._server, local_addr=(address.host, address.port)
            )
        except OSError as error:
            tell("unable", why_not_listening(address, error))
            return
        place = address.place(transport.get_extra_info("sockname")[1])
        lines = [f"osc udp {place}"]
        if not address.is_loopback:
            lines.append(f"osc has no password: whoever reaches {place} can change the sound")
        tell_listening(lines)
        await self.serve()
        transport.close()

    def is_looked_at(self) -> bool:
        """Whether there are subscribers."""
        return bool(self._server.subscribers())

    def show(self, state: str) -> None:
        """Tell subscribers what has changed."""
        self._server.show(state_values(json.loads(state)))

    def answer(self, client: int, text: str) -> None:
        """Tell a sender that its command was refused."""
        self._server.refuse(client, json.loads(text)["why"])


def _serve(settings: dict[str, Any]) -> None:
    async def work() -> None:
        await OscProcess().run(Address(**settings["address"]))

    asyncio.run(work())


if __name__ == "__main__":
    run_child(_serve)
