"""The server: the page's files, and a WebSocket for each client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from aiohttp import web

from rtsep.control.access import WRONG_TOKEN_WAIT_S, is_own, token_fits
from rtsep.control.client import Client, OnCommand
from rtsep.control.protocol import (
    LONGEST_MESSAGE,
    TOO_MANY_CLIENTS,
    UNKNOWN_VERSION,
    VERSION,
    WRONG_TOKEN,
    hello,
)
from rtsep.control.rates import ALL_AT_ONCE, ALL_PER_S, Bucket

MOST_CLIENTS = 16
# A client that has gone without a word is noticed within one and a half of these.
HEARTBEAT_S = 20.0
# A connection that asks for nothing is closed after this time.
IDLE_S = 15.0
# At the end clients are waited for no longer.
SHUTDOWN_S = 0.5
# Hosts of whose wrong tokens the person is told.
MOST_TOLD = 20

_TYPES = {
    ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml",
}  # fmt: skip
_HEADERS = {
    # Nothing of other hosts, not even with a defect in the page.
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Not that of an older release.
    "Cache-Control": "no-cache",
}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Greeting:
    """What clients are told first. token: what they must know; None for nothing."""

    program: str
    release: str
    commands: Sequence[str]
    token: str | None


class ControlServer:
    """All clients, and what they are told.

    Parameters
    ----------
    greeting : Greeting
        With whom they speak.
    on_command : callable
        Is told which client wants which command, and what it calls it by.
    on_arrival : callable
        Is told that a client has come, who waits for a state.
    say : callable
        Tells the person a line.
    """

    def __init__(
        self,
        greeting: Greeting,
        on_command: OnCommand,
        on_arrival: Callable[[], None],
        say: Callable[[str], None],
    ):
        self.clients: dict[int, Client] = {}
        self._token = greeting.token
        self._hello = hello(greeting.program, greeting.release, greeting.commands)
        self._on_command, self._on_arrival, self._say = on_command, on_arrival, say
        self._all_clients = Bucket(ALL_PER_S, ALL_AT_ONCE)
        self._numbers = 0
        self._told: set[str] = set()

    async def listen(self, host: str, port: int) -> tuple[web.AppRunner, int]:
        """Begin to listen; returns what is to be cleaned up, and the port. Raises OSError."""
        app = web.Application(middlewares=[_guarded])
        for name, response in _page().items():
            app.router.add_get(f"/{name}", response)
        app.router.add_get("/v{version}", self._meet)
        runner = web.AppRunner(
            app, access_log=None, keepalive_timeout=IDLE_S, max_field_size=2048,
            max_line_size=2048, shutdown_timeout=SHUTDOWN_S,
        )  # fmt: skip
        await runner.setup()
        site = web.TCPSite(runner, host, port)
        await site.start()
        return runner, runner.addresses[0][1]

    def show(self, state: str) -> None:
        """Send all clients a state, a text of JSON."""
        for client in self.clients.values():
            client.show(state)

    async def _meet(self, request: web.Request) -> web.StreamResponse:
        """Let a client in, or say why not in a way that a page can read: by a code and a line."""
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S, compress=False, max_msg_size=LONGEST_MESSAGE, timeout=1.0
        )
        await socket.prepare(request)
        version = request.match_info["version"]
        if version != str(VERSION):
            await _refuse(socket, UNKNOWN_VERSION, f"protocol {version[:9]!a} is unknown")
        elif not token_fits(self._token, request.query.get("token", "")):
            self._tell_of_token(request.remote or "somebody")
            await asyncio.sleep(WRONG_TOKEN_WAIT_S)
            await _refuse(socket, WRONG_TOKEN, "wrong token: scan the code of this session")
        elif len(self.clients) >= MOST_CLIENTS:
            await _refuse(socket, TOO_MANY_CLIENTS, f"there are {MOST_CLIENTS} clients already")
        else:
            self._numbers += 1
            client = Client(socket, request, self._numbers)
            self.clients[client.number] = client
            try:
                self._on_arrival()
                await client.serve(self._hello, self._all_clients, self._on_command)
            finally:
                del self.clients[client.number]
        return socket

    def _tell_of_token(self, host: str) -> None:
        if host not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(host)
            self._say(f"control: {host} has a wrong token and was not let in")


async def _refuse(socket: web.WebSocketResponse, code: int, why: str) -> None:
    await socket.close(code=code, message=why.encode())


@web.middleware
async def _guarded(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Answer requests of this machine's own pages and of programs, and nothing else, in a line."""
    if not is_own(request.headers.get("Host"), request.headers.get("Origin")):
        return web.Response(status=403, text="this host or origin is not the control's own\n")
    try:
        return await handler(request)
    except web.HTTPException as error:
        return web.Response(status=error.status, text=f"{error.reason}\n", headers=_HEADERS)


def _page() -> dict[str, _Handler]:
    """What answers each address of the page. All of it is read once: no request names a file."""
    answers = {}
    for file in (files("rtsep.control") / "page").iterdir():
        suffix = file.name[file.name.rfind(".") :]
        if suffix in _TYPES:
            name = "" if file.name == "index.html" else file.name
            answers[name] = _answer(file.read_bytes(), _TYPES[suffix])
    return answers


def _answer(content: bytes, kind: str) -> _Handler:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=content, content_type=kind, charset="utf-8", headers=_HEADERS)

    return answer
