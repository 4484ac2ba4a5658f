"""One client of the control server: what it is sent, and how fast it is read."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable

from aiohttp import WSMsgType, web

from rtsep.control.protocol import Command, RefusedMessage, read_command, reply
from rtsep.control.rates import CLIENT_AT_ONCE, CLIENT_PER_S, Bucket

# A client that has not taken a message for so long has stopped reading.
SEND_LIMIT_S = 10.0
# Replies that it may leave unread.
MOST_REPLIES = 256

OnCommand = Callable[["Client", Command, "int | None"], None]


class Client:
    """A connection that has been let in.

    Of states it is sent the newest alone: one that reads slowly misses some, and holds up nobody.
    """

    def __init__(self, socket: web.WebSocketResponse, request: web.Request, number: int):
        self.number = number
        self._socket, self._request = socket, request
        self._bucket = Bucket(CLIENT_PER_S, CLIENT_AT_ONCE)
        self._replies: deque[str] = deque()
        self._state: str | None = None
        self._news = asyncio.Event()

    def show(self, state: str) -> None:
        """Send it a state, unless a newer one comes first."""
        self._state = state
        self._news.set()

    def answer(self, text: str) -> None:
        """Send it a reply; one that reads none of them is sent away."""
        if len(self._replies) >= MOST_REPLIES:
            self._send_away()
            return
        self._replies.append(text)
        self._news.set()

    async def serve(self, hello: str, all_clients: Bucket, on_command: OnCommand) -> None:
        """Speak with it until it goes."""
        self._replies.append(hello)
        self._news.set()
        sending = asyncio.create_task(self._send())
        try:
            async for message in self._socket:
                await self._bucket.take()
                await all_clients.take()
                if message.type is WSMsgType.TEXT:
                    self._take(message.data, on_command)
                elif message.type is WSMsgType.BINARY:
                    self.answer(reply(None, "a message must be text, of one JSON object"))
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending

    def _take(self, text: str, on_command: OnCommand) -> None:
        try:
            command, number = read_command(text)
        except RefusedMessage as refused:
            self.answer(reply(refused.number, str(refused)))
        else:
            on_command(self, command, number)

    async def _send(self) -> None:
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                while self._replies:
                    await self._send_text(self._replies.popleft())
                if self._state is not None:
                    state, self._state = self._state, None
                    await self._send_text(state)
        except (ConnectionError, TimeoutError, asyncio.TimeoutError):
            self._send_away()

    async def _send_text(self, text: str) -> None:
        await asyncio.wait_for(self._socket.send_str(text), SEND_LIMIT_S)

    def _send_away(self) -> None:
        """Close it at once: it would not read a farewell."""
        if self._request.transport is not None:
            self._request.transport.abort()
