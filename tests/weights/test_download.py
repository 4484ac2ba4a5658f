"""Downloading over HTTP from loopback: interruptions cost nothing, mixtures never come out."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rtsep.errors import WeightsError
from rtsep.weights.download import download, read_small
from tests.weights.release_server import ReleaseServer, serve

BODY = np.random.default_rng(0).bytes(300_000)
OTHER = np.random.default_rng(1).bytes(300_000)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReleaseServer]:
    monkeypatch.setenv("no_proxy", "*")
    with serve({"file": BODY}) as release:
        yield release


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "file"


def part_of(target: Path) -> Path:
    return target.with_name("file.part")


class Seen:
    """A progress that remembers its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int | None, str]] = []

    def __call__(self, done_bytes: int, total_bytes: int | None, what: str) -> None:
        self.calls.append((done_bytes, total_bytes, what))


def get(server: ReleaseServer, target: Path, attempts: int = 4, seen: Seen | None = None) -> None:
    download(
        server.url + "file", target, seen or Seen(), "it", attempts=attempts, first_pause_s=0.0
    )


def test_a_file_arrives_whole_with_its_progress(server: ReleaseServer, target: Path) -> None:
    seen = Seen()
    get(server, target, seen=seen)
    assert target.read_bytes() == BODY
    assert list(target.parent.iterdir()) == [target]
    assert seen.calls[0] == (0, len(BODY), "it")
    assert seen.calls[-1] == (len(BODY), len(BODY), "it")
    done = [call[0] for call in seen.calls]
    assert done == sorted(done)


def test_a_connection_that_breaks_is_continued(server: ReleaseServer, target: Path) -> None:
    server.cuts, server.cut_bytes = 2, 100_000
    get(server, target)
    assert target.read_bytes() == BODY
    assert server.asked("file") == [None, "bytes=100000-", "bytes=200000-"]


def test_a_later_call_continues_what_an_earlier_one_left(
    server: ReleaseServer, target: Path
) -> None:
    server.cuts, server.cut_bytes = 1, 120_000
    with pytest.raises(WeightsError, match="connection ended after 120000 of 300000 bytes"):
        get(server, target, attempts=1)
    assert not target.exists()
    assert part_of(target).read_bytes() == BODY[:120_000]
    seen = Seen()
    get(server, target, seen=seen)
    assert target.read_bytes() == BODY
    assert server.asked("file") == [None, "bytes=120000-"]
    assert seen.calls[0] == (120_000, 300_000, "it")
    assert list(target.parent.iterdir()) == [target]


def test_a_server_without_ranges_starts_again(server: ReleaseServer, target: Path) -> None:
    server.ranges = False
    server.cuts, server.cut_bytes = 1, 100_000
    get(server, target)
    assert target.read_bytes() == BODY
    assert server.asked("file") == [None, "bytes=100000-"]


def test_another_file_on_the_server_starts_again(server: ReleaseServer, target: Path) -> None:
    server.cuts, server.cut_bytes = 1, 100_000
    with pytest.raises(WeightsError):
        get(server, target, attempts=1)
    server.files["file"], server.etag = OTHER, '"two"'
    get(server, target, attempts=1)
    assert target.read_bytes() == OTHER


@pytest.mark.parametrize("etag", [None, '"two"'])
def test_a_range_of_another_file_is_never_appended(
    server: ReleaseServer, target: Path, etag: str | None
) -> None:
    """A server that sends ranges whatever If-Range says: the length or the ETag tells."""
    server.conditions = False
    server.etag = None if etag is None else '"one"'
    server.cuts, server.cut_bytes = 1, 100_000
    with pytest.raises(WeightsError):
        get(server, target, attempts=1)
    other = OTHER + b"more" if etag is None else OTHER
    server.files["file"], server.etag = other, etag
    with pytest.raises(WeightsError, match="not the one of the part received before"):
        get(server, target, attempts=1)
    assert list(target.parent.iterdir()) == []
    get(server, target)
    assert target.read_bytes() == other


def test_a_part_that_is_complete_needs_no_request(server: ReleaseServer, target: Path) -> None:
    part_of(target).write_bytes(BODY)
    memory = {"url": server.url + "file", "validator": '"one"', "total_bytes": len(BODY)}
    part_of(target).with_name("file.part.json").write_text(json.dumps(memory))
    get(server, target)
    assert target.read_bytes() == BODY
    assert server.requests == []


def test_a_part_beyond_the_end_starts_again(server: ReleaseServer, target: Path) -> None:
    part_of(target).write_bytes(BODY + b"x")
    memory = {"url": server.url + "file", "validator": '"one"', "total_bytes": None}
    part_of(target).with_name("file.part.json").write_text(json.dumps(memory))
    get(server, target)
    assert target.read_bytes() == BODY
    assert server.asked("file") == ["bytes=300001-", None]


@pytest.mark.parametrize("memory", ["", "[]", '{"url": 1}', '{"total": 3}', "\x00"])
def test_a_part_of_unknown_origin_is_replaced(
    server: ReleaseServer, target: Path, memory: str
) -> None:
    part_of(target).write_bytes(b"something else")
    part_of(target).with_name("file.part.json").write_text(memory)
    get(server, target)
    assert target.read_bytes() == BODY
    assert server.asked("file") == [None]


def test_a_file_of_unannounced_length_arrives(server: ReleaseServer, target: Path) -> None:
    server.announce_length = False
    seen = Seen()
    get(server, target, seen=seen)
    assert target.read_bytes() == BODY
    assert seen.calls[-1] == (len(BODY), None, "it")


def test_a_missing_file_is_not_asked_for_again(server: ReleaseServer, target: Path) -> None:
    server.files.clear()
    with pytest.raises(WeightsError, match=r"cannot download http://127.*/file: .* 404 Not Found"):
        get(server, target)
    assert len(server.requests) == 1
    assert list(target.parent.iterdir()) == []


def test_a_busy_server_is_asked_again(server: ReleaseServer, target: Path) -> None:
    server.statuses = [503, 429]
    get(server, target)
    assert target.read_bytes() == BODY
    server.statuses = [503, 503]
    target.unlink()
    with pytest.raises(WeightsError, match="503"):
        get(server, target, attempts=2)


def test_a_silent_server_and_a_closed_port_are_named(target: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/file"
        with pytest.raises(WeightsError, match="timed out"):
            download(url, target, Seen(), "it", attempts=1, timeout_s=0.1)
    with pytest.raises(WeightsError, match=r"cannot download .*refused"):
        download(url, target, Seen(), "it", attempts=1)


def test_a_folder_that_cannot_be_written_is_named(server: ReleaseServer, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"cannot write .*file\.part: .*RTSEP_WEIGHTS"):
        get(server, tmp_path / "nowhere" / "file")
    assert len(server.requests) == 1


def test_a_small_file_is_read_or_none(server: ReleaseServer) -> None:
    assert read_small(server.url + "file", 10) == BODY[:10]
    assert read_small(server.url + "other", 10) is None
