"""OSC over real UDP sockets: commands, feedback, and what strangers send."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import time

import pytest

from rtsep.control.address import Address
from rtsep.control.control import Control
from rtsep.control.osc import server
from rtsep.control.osc.packets import read_packet
from rtsep.control.ways import osc_way
from rtsep.errors import UsageError
from rtsep_bench.server_process import wait_until
from tests.control.desk import PATIENCE_S, Desk, PlayingDesk, serving
from tests.control.osc_client import Client, packet_of
from tests.fuzz.mutations import share


def _bundle(*parts, sizes=None):
    sizes = sizes or [len(part) for part in parts]
    return (
        b"#bundle\0"
        + bytes(8)
        + b"".join(struct.pack("!i", size) + part for size, part in zip(sizes, parts))
    )


class Served:
    def __init__(self, desk, said, lines):
        self.desk, self.said, self.lines = desk, said, lines
        self.port = int(lines[0].rpartition(":")[2])

    def client(self):
        return Client(self.port)


@contextlib.contextmanager
def served(desk, host="127.0.0.1"):
    """Serve until the end of the block."""
    with serving(osc_way(Address(host, 0)), desk) as (_, lines, said):
        yield Served(desk, said, lines)


@pytest.fixture(scope="module")
def osc():
    with served(PlayingDesk()) as one:
        yield one


def test_commands_are_done_and_subscribers_are_told(osc):
    one, other = osc.client(), osc.client()
    other.send("subscribe")
    other.until("vocals/gain", 0.0)
    one.send("vocals/gain", -6)
    other.until("vocals/gain", -6.0)
    one.send("drums/mute", 1.0)  # as faders send it
    other.until("drums/mute", 1)
    one.send("drums/mute")  # as a pedal: whichever it is not
    other.until("drums/mute", 0)
    one.send_bytes(_bundle(packet_of("/rtsep/tempo", 80.0), _bundle(packet_of("/rtsep/key", 2.0))))
    other.until("tempo", 80.0)
    other.until("key", 2)
    one.send("play", True)
    other.until("play", 1)
    one.send("plan", "balanced")
    other.until("plan", "balanced")
    assert osc.desk.song["playing"] is True and osc.said == []


def test_what_is_impossible_is_told_to_the_one_who_asked(osc):
    one = osc.client()
    for path, values, why in (
        ("piano/gain", (0,), "there is no stem 'piano': choose from vocals, drums"),
        ("vocals/gain", ("loud",), 'gain: db must be a number: got "loud"'),
        ("vocals/gain", (), "gain needs db"),
        ("vocals/gain", (1, 2), "vocals/gain takes db: got 2 values"),
        ("gain", (1,), 'unknown command "gain": choose from STEM/gain, '),
        ("unloop", (), "unloop means nothing here"),
        ("key", (1.5,), "key: semitones must be a whole number: got 1.5"),
        ("subscribe", (0.001,), "subscribe: seconds must lie within 1 to 3600"),
    ):
        one.send(path, *values)
        told, (line,) = one.receive()
        assert told == "error" and line.startswith(why)


def test_a_subscriber_may_listen_at_another_port_and_is_forgotten(osc):
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", 0))
    listener.settimeout(PATIENCE_S)
    one = osc.client()
    one.send("subscribe", 1, listener.getsockname()[1])
    while True:
        paths = [message.path for message in read_packet(listener.recv(4096))]
        if "stream/late_masks" in paths and "transport/song" in paths:
            break
    listener.settimeout(0.5)

    def is_forgotten():
        osc.desk.mixer.trim("vocals", -0.1)
        try:
            listener.recv(4096)
        except TimeoutError:
            return True
        return False

    assert not is_forgotten()
    wait_until(is_forgotten, "the end of the second")


def test_beyond_this_machine_it_is_said_that_there_is_no_password():
    with served(Desk(), "0.0.0.0") as one:
        place = one.lines[0].removeprefix("osc udp ")
        assert one.lines[1] == f"osc has no password: whoever reaches {place} can change the sound"


def test_a_port_in_use_is_said_and_all_else_goes_on():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with Control([osc_way(Address(port=port))], print) as control:
            (line,) = control.begin(Desk(), "rtsep-test")
    assert line.startswith(f"osc none: 127.0.0.1:{port} is in use by another program")


SEEDS = [
    packet_of("/rtsep/vocals/gain", -6.0),
    packet_of("/rtsep/subscribe", 1, "x"),
    packet_of("/rtsep/vocals/mute", [1, [2.0, "three"]], b"blob", None, 2**40),
    _bundle(packet_of("/rtsep/drums/trim", 1), packet_of("/rtsep/bypass")),
    _bundle(_bundle(_bundle(_bundle(_bundle(b"/rtsep/bypass\0\0\0"))))),
    # In these python-osc would go round for ever, or read the same again.
    _bundle(packet_of("/rtsep/bypass"), sizes=[-4]),
    _bundle(packet_of("/rtsep/bypass"), sizes=[0]),
    b"#bundle",
    b"",
]


def _damaged(number):
    chance = random.Random(number)
    sent = bytearray(chance.choice(SEEDS) + chance.choice((b"", chance.choice(SEEDS))))
    for _ in range(chance.randint(0, 4) if sent else 0):
        sent[chance.randrange(len(sent))] = chance.choice((0, 255, chance.randrange(256)))
    return bytes(sent[: chance.choice((len(sent), chance.randrange(len(sent) + 1)))])


def test_damaged_packets_are_refused_and_nothing_else():
    """Each is read, or refused with a line, and in no time."""
    for packet in [*SEEDS, *(_damaged(number) for number in range(20 * share(1)))]:
        try:
            read_packet(packet)
        except UsageError as error:
            assert "\n" not in str(error)


def test_damaged_and_huge_packets_disturb_no_other():
    with served(Desk()) as one:
        stranger, polite = one.client(), one.client()
        for number in range(share(1)):
            stranger.send_bytes(_damaged(number))
        stranger.send_bytes(b"/" * 60_000)
        polite.send("subscribe")
        polite.send("vocals/gain", -12.5)
        polite.until("vocals/gain", -12.5)
        assert one.said == []


def test_of_a_flood_the_last_counts_and_no_other_waits():
    with served(Desk()) as one:
        floods, polite = one.client(), one.client()
        for number in range(3000):
            floods.send("vocals/gain", -number / 100)
            if number % 50 == 0:  # or the system would drop what comes at once
                time.sleep(0.005)

        def subscribe():
            polite.send("subscribe")
            polite.send("drums/gain", -3)

        def last():
            floods.send("vocals/gain", -1.0)

        subscribe()
        polite.until("drums/gain", -3.0, ask=subscribe)
        last()
        polite.until("vocals/gain", -1.0, ask=last)


def test_there_are_so_many_subscribers(monkeypatch, osc):
    clients = [osc.client() for _ in range(server.MOST_SUBSCRIBERS + 1)]
    for client in clients:
        client.send("subscribe", 1)
    while (message := clients[-1].receive()).path != "error":
        pass
    assert message.values == [f"there are {server.MOST_SUBSCRIBERS} subscribers already"]
