"""Downloading one file over HTTP so that an interruption costs nothing.

Bytes go to `{file}.part`; `{file}.part.json` remembers what the server said about them (address,
validator, total). The next attempt, now or in a later run, asks for the rest with Range and
If-Range; where the server sends the whole file instead, or another file, it starts again.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from rtsep.errors import WeightsError, one_line
from rtsep.weights.disk import writing

# Called with (bytes there, bytes in all or None, what is being done) while something takes time.
ByteProgress = Callable[[int, "int | None", str], None]

CHUNK_BYTES = 1 << 18
TIMEOUT_S = 30.0
ATTEMPTS = 4
# Pauses of 0.5, 1 and 2 s between the attempts.
FIRST_PAUSE_S = 0.5
USER_AGENT = "rtsep"
# The largest file has 182 MB; a body without an end would fill the disk.
BODY_MAX_BYTES = 1 << 30
# No byte count has as many digits; Python refuses to read numbers of some thousands.
_BYTE_COUNT = r"\d{1,18}"
# Answers that a later attempt may not get: too slow, too many requests, trouble at the server.
PASSING_STATUS = (408, 425, 429, 500, 502, 503, 504)


def _opener() -> urllib.request.OpenerDirector:
    """As urllib.request.build_opener makes it, less file:, ftp: and data: for redirections."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler, urllib.request.UnknownHandler, urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler, urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler, urllib.request.HTTPErrorProcessor,
    ):  # fmt: skip
        opener.add_handler(handler())
    return opener


class _Passing(Exception):
    """Something that may go better at the next attempt."""


@dataclass(frozen=True)
class _Remote:
    """What the server said about a file: a validator is a strong ETag or a Last-Modified date."""

    url: str
    validator: str | None
    total_bytes: int | None


def download(
    url: str,
    destination: Path,
    progress: ByteProgress,
    what: str,
    *,
    timeout_s: float = TIMEOUT_S,
    attempts: int = ATTEMPTS,
    first_pause_s: float = FIRST_PAUSE_S,
) -> None:
    """Fetch `url` into `destination`, which appears only when complete.

    progress: called with (bytes there, bytes in all or None, what). Raises WeightsError, naming
    the address and the reason, at once for a refusal such as 404, after `attempts` otherwise; the
    part received stays for the next call.
    """
    reason = ""
    for attempt in range(attempts):
        if attempt:
            time.sleep(first_pause_s * 2 ** (attempt - 1))
        try:
            _attempt(url, destination, progress, what, timeout_s)
            return
        except urllib.error.HTTPError as error:
            error.close()
            reason = one_line(f"the server answers {error.code} {error.reason}")
            if error.code not in PASSING_STATUS:
                break
        except urllib.error.URLError as error:
            reason = one_line(error.reason)
        # ValueError: an address to go to instead that is none.
        except (_Passing, http.client.HTTPException, OSError, ValueError) as error:
            reason = one_line(error)
    raise WeightsError(f"cannot download {url}: {reason}")


def read_small(url: str, max_bytes: int, timeout_s: float = TIMEOUT_S) -> bytes | None:
    """The first `max_bytes` of a small file; None where the server does not have it.

    Raises WeightsError where the server cannot be asked.
    """
    try:
        with _opener().open(_request(url), timeout=timeout_s) as response:
            return response.read(max_bytes)
    except urllib.error.HTTPError as error:
        error.close()
        return None
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        raise WeightsError(f"cannot download {url}: {one_line(error)}") from error


def _request(url: str) -> urllib.request.Request:
    return urllib.request.Request(
        url, headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    )


def _attempt(
    url: str, destination: Path, progress: ByteProgress, what: str, timeout_s: float
) -> None:
    part = destination.with_name(destination.name + ".part")
    memory = destination.with_name(destination.name + ".part.json")
    have, remote = _remembered(url, part, memory)
    if have == 0 or have != remote.total_bytes:
        request = _request(url)
        if have:
            request.add_header("Range", f"bytes={have}-")
            if remote.validator is not None:
                request.add_header("If-Range", remote.validator)
        try:
            response = _opener().open(request, timeout=timeout_s)
        except urllib.error.HTTPError as error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                error.close()
                _forget(part, memory)
                raise _Passing("the part received before does not fit the file") from error
            raise
        with response:
            have, remote = _starting_point(response, have, remote, part, memory)
            _receive(response, part, have, remote.total_bytes, progress, what)
    with writing(destination):
        os.replace(part, destination)
        memory.unlink(missing_ok=True)


def _remembered(url: str, part: Path, memory: Path) -> tuple[int, _Remote]:
    """How many bytes an earlier attempt left that can be continued, and what they belong to."""
    nothing = 0, _Remote(url, None, None)
    try:
        remote = _Remote(**json.loads(memory.read_text(encoding="utf-8")))
        have = part.stat().st_size
    except (OSError, ValueError, TypeError, RecursionError):
        return nothing
    known = isinstance(remote.validator, str | None) and isinstance(remote.total_bytes, int | None)
    if not known or remote.validator != _printable(remote.validator):
        return nothing  # damaged
    if remote.url != url or (remote.validator is None and remote.total_bytes is None):
        return nothing  # nothing to tell by whether it is still the same file
    if remote.total_bytes is not None and have > remote.total_bytes:
        return nothing
    return have, remote


def _starting_point(
    response: http.client.HTTPResponse, have: int, remote: _Remote, part: Path, memory: Path
) -> tuple[int, _Remote]:
    """Where the bytes of this answer belong: behind those there, or at the beginning."""
    now = _describe(response, remote.url)
    if response.status == http.client.PARTIAL_CONTENT:
        expected = rf"bytes ({_BYTE_COUNT})-{_BYTE_COUNT}/({_BYTE_COUNT}|\*)"
        match = re.fullmatch(expected, response.headers["Content-Range"] or "", re.ASCII)
        same_file = now.validator == remote.validator and now.total_bytes == remote.total_bytes
        if match is None or int(match[1]) != have or not same_file:
            _forget(part, memory)
            raise _Passing("the file on the server is not the one of the part received before")
        return have, remote
    with writing(part):
        part.write_bytes(b"")
        memory.write_text(json.dumps(asdict(now)), encoding="utf-8")
    return 0, now


def _describe(response: http.client.HTTPResponse, url: str) -> _Remote:
    etag = _printable(response.headers["ETag"])
    strong = etag if etag and not etag.startswith("W/") else None
    if response.status == http.client.PARTIAL_CONTENT:
        total = (response.headers["Content-Range"] or "").rpartition("/")[2]
    else:
        total = response.headers["Content-Length"] or ""
    total_bytes = int(total) if re.fullmatch(_BYTE_COUNT, total, re.ASCII) else None
    return _Remote(url, strong or _printable(response.headers["Last-Modified"]), total_bytes)


def _printable(header: str | None) -> str | None:
    """`header` if it can be sent back as it came, else None."""
    return header if header and header.isascii() and header.isprintable() else None


def _receive(
    response: http.client.HTTPResponse,
    part: Path,
    have: int,
    total_bytes: int | None,
    progress: ByteProgress,
    what: str,
) -> None:
    """Append the answer's bytes to the part; raises _Passing if they are too few or too many.

    Raises WeightsError where they are, or are announced to be, far too many.
    """
    if (total_bytes or 0) > BODY_MAX_BYTES:
        raise WeightsError(f"{part.stem}: {total_bytes} bytes announced, too many for weights")
    with writing(part):
        file = part.open("ab")
    with file:
        progress(have, total_bytes, what)
        # read1 returns what has come: of a connection that breaks, nothing received is lost.
        while chunk := response.read1(CHUNK_BYTES):
            with writing(part):
                file.write(chunk)
            have += len(chunk)
            if have > BODY_MAX_BYTES:
                _forget(part, part.with_name(part.name + ".json"))
                raise WeightsError(
                    f"{part.stem}: more than {BODY_MAX_BYTES} bytes came, far too many"
                )
            progress(have, total_bytes, what)
    if total_bytes is not None and have != total_bytes:
        raise _Passing(f"the connection ended after {have} of {total_bytes} bytes")


def _forget(part: Path, memory: Path) -> None:
    with writing(part):
        part.unlink(missing_ok=True)
        memory.unlink(missing_ok=True)
