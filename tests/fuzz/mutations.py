"""Seeded damage to small files: what a bad disk, a cut download or a hostile author would do.

RTSEP_FUZZ sets how many mutations all fuzz tests try together, half of them on sound and half on
weights: 60 unless it is set, 2000 in the long form.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass

MUTATIONS = int(os.environ.get("RTSEP_FUZZ") or 60)
# Headers and tables of contents stand at the ends of a file: half of the damage goes there.
END_BYTES = 512
# What lengths and counts are set to; None is one more or one less than what is there.
NUMBERS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, None)


@dataclass(frozen=True)
class Mutation:
    """A damaged copy of a file. what: the damage and its place, for messages."""

    what: str
    content: bytes


def share(kinds: int) -> int:
    """How many mutations each of `kinds` kinds of files gets of a half of MUTATIONS."""
    return max(1, MUTATIONS // 2 // kinds)


def mutations(content: bytes, count: int, seed: int) -> Iterator[Mutation]:
    """`count` mutations of `content`; the same seed gives the same ones, fewer or more of them."""
    for number in range(count):
        # Text as a seed: each mutation is the same however many are tried.
        chance = random.Random(f"{seed} {number}")
        what, damaged = chance.choice(_DAMAGES)(content, chance)
        yield Mutation(f"{seed}.{number}: {what}", damaged)


def _place(content: bytes, chance: random.Random) -> int:
    if chance.random() < 0.5:
        return chance.randrange(len(content))
    near_end = chance.randrange(min(END_BYTES, len(content)))
    return near_end if chance.random() < 0.5 else len(content) - 1 - near_end


def _range(content: bytes, chance: random.Random) -> tuple[int, int]:
    """A stretch of 1 byte to a quarter of the file, short ones as likely as long ones."""
    start = _place(content, chance)
    longest = max(2, len(content) // 4)
    return start, min(len(content), start + int(longest ** chance.random()))


def _flip(content: bytes, chance: random.Random) -> tuple[str, bytes]:
    damaged = bytearray(content)
    places = [_place(content, chance) for _ in range(chance.choice((1, 1, 2, 8, 64)))]
    for place in places:
        damaged[place] ^= chance.randrange(1, 256)
    return f"{len(places)} bytes changed, the first at {places[0]}", bytes(damaged)


def _cut(content: bytes, chance: random.Random) -> tuple[str, bytes]:
    length = _place(content, chance)
    return f"cut at {length} of {len(content)}", content[:length]


def _duplicate(content: bytes, chance: random.Random) -> tuple[str, bytes]:
    start, stop = _range(content, chance)
    return f"bytes {start}..{stop} twice", content[:stop] + content[start:]


def _remove(content: bytes, chance: random.Random) -> tuple[str, bytes]:
    start, stop = _range(content, chance)
    return f"bytes {start}..{stop} removed", content[:start] + content[stop:]


def _number(content: bytes, chance: random.Random) -> tuple[str, bytes]:
    place = max(0, min(_place(content, chance), len(content) - 4)) & ~chance.choice((0, 1, 3))
    order = chance.choice("<>")
    field = content[place : place + 4].ljust(4, b"\0")
    number = chance.choice(NUMBERS)
    if number is None:
        number = struct.unpack(f"{order}I", field)[0] + chance.choice((-1, 1)) & 0xFFFFFFFF
    damaged = content[:place] + struct.pack(f"{order}I", number) + content[place + 4 :]
    return f"number at {place} set to {number:#x} ({order})", damaged[
        : max(len(content), place + 4)
    ]


_DAMAGES = (_flip, _flip, _cut, _duplicate, _remove, _number, _number)
