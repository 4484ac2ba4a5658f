"""The control's server: who is let in, what they are told, and that nobody holds up the others."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import struct
import time

import aiohttp
import pytest
from aiohttp import WSMsgType

from rtsep.control import client, server
from rtsep.control.access import is_own
from rtsep.control.address import Address, read_address
from rtsep.control.control import Control
from rtsep.control.rates import Bucket
from rtsep.control.server import ControlServer, Greeting
from rtsep.control.ways import page_way
from rtsep.errors import UsageError
from rtsep_bench.server_process import wait_until
from tests.control.desk import PATIENCE_S, Desk, is_reply, served, talk, told
from tests.fuzz.mutations import share

LEVELS = '{"do": "gain", "stem": "vocals", "db": -12, "id": 1}'
# A frame of a client: final text, masked with zeros.
MASK = b"\0\0\0\0"


@pytest.fixture(scope="module")
def desk():
    with served() as one:
        yield one


def test_what_one_client_does_all_are_told(desk):
    async def work(session):
        async with (
            session.ws_connect(desk.socket_url()) as one,
            session.ws_connect(desk.socket_url()) as other,
        ):
            hello = await one.receive_json()
            assert hello["type"] == "hello" and hello["protocol"] == 1
            assert hello["commands"] == ["gain", "trim", "mute", "solo", "fade", "bypass", "plan"]
            await one.send_str('{"do": "mute", "stem": "drums", "on": true, "id": 5}')
            assert await told(one, is_reply) == {"type": "done", "id": 5}
            state = await told(
                other, lambda told: told["type"] == "state" and told["stems"][1]["muted"]
            )
            assert not state["stems"][1]["heard"]
            await one.send_str('{"do": "mute", "stem": "drums", "on": false}')
            await told(other, lambda told: told["type"] == "state" and told["stems"][1]["heard"])

    talk(work)
    assert desk.desk.mixer.gain("drums") == 1.0


def test_what_is_impossible_is_refused_to_the_one_who_asked(desk):
    async def work(session):
        async with session.ws_connect(desk.socket_url()) as one:
            for text, why in (
                ('{"do": "gain", "stem": "piano", "db": 0, "id": 2}', "no stem 'piano'"),
                ('{"do": "tempo", "percent": 80, "id": 2}', "tempo means nothing here"),
                ('{"do": "launch", "id": 2}', "unknown command"),
                ('{"do": "unloop", "protocol": 9, "id": 2}', "protocol 9 is unknown"),
            ):
                await one.send_str(text)
                reply = await told(one, is_reply)
                assert reply["type"] == "refused" and reply["id"] == 2 and why in reply["why"]
            await one.send_bytes(b"\x00")
            assert "must be text" in (await told(one, is_reply))["why"]

    talk(work)


def test_another_version_and_a_wrong_token_are_told_apart():
    with served(host="0.0.0.0") as one:
        assert len(one.token) >= 16

        async def work(session):
            for url, code, why in (
                (one.socket_url(version=2), 4400, "protocol '2' is unknown"),
                (one.socket_url(token="wrong"), 4401, "wrong token"),
                (one.socket_url(token="%ff%00"), 4401, "wrong token"),
            ):
                async with session.ws_connect(url) as refused:
                    message = await refused.receive()
                    assert message.type is WSMsgType.CLOSE
                    assert message.data == code and why in message.extra
            async with session.ws_connect(one.socket_url()) as let_in:
                assert (await let_in.receive_json())["type"] == "hello"

        talk(work)
        assert one.said == ["control: 127.0.0.1 has a wrong token and was not let in"]


def test_pages_of_others_are_not_let_in(desk):
    own = f"127.0.0.1:{desk.port}"

    async def work(session):
        for headers, status in (
            ({}, 200),
            ({"Origin": f"http://{own}"}, 200),
            ({"Origin": "http://elsewhere.example"}, 403),
            ({"Origin": "null"}, 403),
            # A name of somebody else's that leads here.
            ({"Host": f"elsewhere.example:{desk.port}"}, 403),
            ({"Host": f"elsewhere.example:{desk.port}", "Origin": "http://elsewhere.example"}, 403),
        ):
            async with session.get(f"http://{own}/", headers=headers) as answer:
                assert answer.status == status, headers
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(desk.socket_url(), origin="http://elsewhere.example")

    talk(work)


@pytest.mark.parametrize(
    ("host", "origin", "own"),
    [
        ("localhost:8765", "http://localhost:8765", True),
        ("[::1]:8765", "http://[::1]:8765", True),
        (f"{socket.gethostname()}:8765", None, True),
        ("192.168.0.7:8765", "http://192.168.0.7:8766", False),
        ("192.168.0.7:8765", "https://192.168.0.7:8765", False),
        ("[::1", None, False),
        (None, None, False),
    ],
)
def test_hosts_and_origins_of_this_machine(host, origin, own):
    assert is_own(host, origin) is own


def test_nothing_but_the_page_is_answered(desk):
    names = {file.name for file in (server.files("rtsep.control") / "page").iterdir()}

    async def work(session):
        for name in names:
            address = f"http://127.0.0.1:{desk.port}/{name.replace('index.html', '')}"
            async with session.get(address) as answer:
                assert answer.status == 200
                assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
                assert await answer.read()
        for path in ("index.html", "page/app.js", "app.js/", "desk.py", "%2e%2e/protocol.py"):
            url = aiohttp.client.URL(f"http://127.0.0.1:{desk.port}/{path}", encoded=True)
            async with session.get(url) as answer:
                assert (answer.status, await answer.text()) == (404, "Not Found\n"), path
        async with session.post(f"http://127.0.0.1:{desk.port}/") as answer:
            assert answer.status == 405

    talk(work)


def test_damaged_bytes_end_one_connection_and_disturb_no_other(desk):
    """Handshakes and frames, seeded: cut, changed, too long, not masked, out of order."""
    text = LEVELS.encode()
    frames = [
        struct.pack("!BB", 0x81, 0x80 | len(text)) + MASK + text,
        struct.pack("!BBQ", 0x81, 0xFF, 2**62) + MASK,
        struct.pack("!BBH", 0x81, 0xFE, 60_000) + MASK + b"x" * 60_000,
        struct.pack("!BB", 0x01, 0x80) + MASK + struct.pack("!BB", 0x81, 0x80) + MASK,
        struct.pack("!BB", 0xC1, 0x83) + MASK + b"\xff\xff\xff",
        struct.pack("!BB", 0x81, 0x82) + MASK + b"\xff\xfe",
        struct.pack("!BB", 0x89, 0xFE) + b"\x01\x00" + MASK + b"p" * 256,
        struct.pack("!BB", 0x88, 0x81) + MASK + b"\x03",
        struct.pack("!BB", 0x81, 0x04) + b"{}{}",
    ]
    shake = (
        f"GET /v1 HTTP/1.1\r\nHost: 127.0.0.1:{desk.port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()

    def damaged(number):
        chance = random.Random(number)
        sent = bytearray(shake + b"".join(chance.choices(frames, k=chance.randint(1, 4))))
        for _ in range(chance.randint(0, 3)):
            sent[chance.randrange(len(sent))] = chance.randrange(256)
        return bytes(sent[: chance.choice((len(sent), chance.randrange(len(sent))))])

    async def work(session):
        async with session.ws_connect(desk.socket_url()) as polite:
            for number in range(share(1)):
                reader, writer = await asyncio.open_connection("127.0.0.1", desk.port)
                writer.write(damaged(number))
                # Some of it deserves no answer, and the connection stays open.
                with contextlib.suppress(ConnectionError, TimeoutError, asyncio.TimeoutError):
                    await writer.drain()
                    await asyncio.wait_for(reader.read(64), 0.02)
                writer.close()
            await polite.send_str(LEVELS)
            assert await told(polite, is_reply) == {"type": "done", "id": 1}
            await told(polite, lambda message: message["type"] == "state")

    talk(work)
    assert desk.said == []


def test_a_message_that_is_too_long_ends_its_connection(desk):
    async def work(session):
        async with session.ws_connect(desk.socket_url()) as one:
            await one.send_str('{"do": "' + "x" * 5000 + '"}')
            while (message := await one.receive()).type is WSMsgType.TEXT:
                pass
            assert (message.type, message.data) == (WSMsgType.CLOSE, 1009)

    talk(work)


async def _in_process(work, commands=None):
    """Serve in this process, where limits can be lowered; commands: a list that gets them."""
    own = ControlServer(
        Greeting("rtsep-test", "0", ["gain"], None),
        lambda client, command, number: commands.append(command),
        lambda: None,
        print,
    )
    runner, port = await own.listen("127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession() as session:
            await asyncio.wait_for(work(own, session, f"ws://127.0.0.1:{port}/v1"), PATIENCE_S)
    finally:
        await runner.cleanup()


def test_a_client_that_stops_reading_is_sent_away(monkeypatch):
    monkeypatch.setattr(client, "SEND_LIMIT_S", 0.2)

    async def work(own, session, url):
        async with session.ws_connect(url) as reads:
            host, port = url.split("/")[2].split(":")
            mute = socket.socket()
            mute.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            mute.connect((host, int(port)))
            mute.sendall(
                f"GET /v1 HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
            )
            while len(own.clients) < 2:
                await asyncio.sleep(0.01)
            filling = "x" * 100_000
            while len(own.clients) > 1:
                own.show(f'{{"type": "state", "filling": "{filling}"}}')
                await told(reads, lambda message: message["type"] == "state")
            mute.close()

    asyncio.run(_in_process(work))


def test_one_too_many_is_told_so(monkeypatch):
    monkeypatch.setattr(server, "MOST_CLIENTS", 1)

    async def work(own, session, url):
        async with session.ws_connect(url), session.ws_connect(url) as second:
            message = await second.receive()
            assert (message.data, message.extra) == (4503, "there are 1 clients already")
        while own.clients:
            await asyncio.sleep(0.01)
        async with session.ws_connect(url) as again:
            assert (await again.receive_json())["type"] == "hello"

    asyncio.run(_in_process(work))


def test_a_flood_is_read_more_slowly_and_holds_up_no_other(monkeypatch):
    monkeypatch.setattr(client, "CLIENT_PER_S", 0.001)
    monkeypatch.setattr(client, "CLIENT_AT_ONCE", 5)
    commands = []

    async def work(own, session, url):
        # What it has sent is not read up to its farewell.
        no_farewell = aiohttp.ClientWSTimeout(ws_close=0.1)
        async with (
            session.ws_connect(url, timeout=no_farewell) as floods,
            session.ws_connect(url) as polite,
        ):
            for _ in range(100):
                await floods.send_str(LEVELS)
            while len(commands) < 5:
                await asyncio.sleep(0.01)
            await polite.send_str(LEVELS)
            while len(commands) < 6:
                await asyncio.sleep(0.01)

    asyncio.run(_in_process(work, commands))
    assert len(commands) == 6


def test_a_rate_has_a_reserve_and_then_waits():
    clock = [0.0]
    bucket = Bucket(10.0, 2.0, lambda: clock[0])
    assert [bucket.reserve() for _ in range(4)] == pytest.approx([0, 0, 0.1, 0.2])
    clock[0] = 0.3  # the two that were lent, and one more
    assert [bucket.reserve(), bucket.reserve()] == pytest.approx([0, 0.1])
    clock[0] = 100.0
    assert [bucket.reserve() for _ in range(3)] == pytest.approx([0, 0, 0.1])


def test_a_port_in_use_is_said_and_all_else_goes_on():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Control([page_way(Address(port=port))], print) as control:
            (line,) = control.begin(Desk(), "rtsep-test")
            assert line == (
                f"control none: 127.0.0.1:{port} is in use by another program: choose another port;"
                " all else goes on without it"
            )
            begun_s = time.monotonic()
            control.wait(0.02)
            assert time.monotonic() - begun_s >= 0.02


def test_an_address_of_another_machine_is_said():
    with Control([page_way(Address("192.0.2.77", 0))], print) as control:
        (line,) = control.begin(Desk(), "rtsep-test")
    assert line.startswith("control none: cannot listen at 192.0.2.77:0: ")


def test_the_end_of_the_process_is_said_once_and_all_else_goes_on():
    with served() as one:
        os.kill(one.control._doors[0].process.pid, signal.SIGKILL)
        wait_until(lambda: bool(one.said), "a word of it")
    assert one.said == [
        "the control's process has ended (exit status -9): the sound goes on without it"
    ]


def test_the_process_ends_with_the_program():
    """However that ends: its end of the pipe is closed then."""
    with Control([page_way(Address(port=0))], print) as control:
        control.begin(Desk(), "rtsep-test")
        (door,) = control._doors
        door.process.stdin.close()
        assert door.process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize(
    ("text", "address", "url"),
    [
        ("9000", Address("127.0.0.1", 9000), "http://127.0.0.1:9000/"),
        ("127.0.0.2", Address("127.0.0.2", 8765), "http://127.0.0.2:8765/"),
        ("192.168.0.7:80", Address("192.168.0.7", 80), "http://192.168.0.7:80/#secret"),
        ("[::1]:80", Address("::1", 80), "http://[::1]:80/"),
        ("::1", Address("::1", 8765), "http://[::1]:8765/"),
        ("[::1]", Address("::1", 8765), "http://[::1]:8765/"),
        ("localhost:80", Address("127.0.0.1", 80), "http://127.0.0.1:80/"),
        (":80", Address("127.0.0.1", 80), "http://127.0.0.1:80/"),
    ],
)
def test_addresses_are_read(text, address, url):
    assert read_address(text) == address
    assert address.url(address.port, None if address.is_loopback else "secret") == url


@pytest.mark.parametrize("text", ["", "song.mp3", "1.2.3.4:", "1.2.3:80", "1.2.3.4:70000", "a:b:c"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(UsageError, match=r"must be an IP address .* got"):
        read_address(text)
