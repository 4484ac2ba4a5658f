"""A release on loopback, with the troubles a real one may have."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class ReleaseServer:
    """What to serve and how, and what was asked for.

    files: by name.  ranges: whether Range is understood.  etag: of every file, None to send none.
    conditions: whether If-Range is heeded.
    cuts: how many of the next answers break off after `cut_bytes`.  statuses: answers to the next
    requests instead of files.  announce_length: whether Content-Length is sent.
    """

    files: dict[str, bytes | Path]
    ranges: bool = True
    conditions: bool = True
    etag: str | None = '"one"'
    cuts: int = 0
    cut_bytes: int = 0
    statuses: list[int] = field(default_factory=list)
    announce_length: bool = True
    url: str = ""
    # (name, Range header or None) of every request.
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def asked(self, name: str) -> list[str | None]:
        """The Range headers of the requests for `name`."""
        return [header for asked, header in self.requests if asked == name]


@contextmanager
def serve(files: dict[str, bytes | Path]) -> Iterator[ReleaseServer]:
    """Serve `files` under 127.0.0.1 for the length of the block."""
    release = ReleaseServer(files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, release)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    release.url = f"http://127.0.0.1:{server.server_port}/"
    try:
        yield release
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(handler: BaseHTTPRequestHandler, release: ReleaseServer) -> None:
    name = handler.path.lstrip("/")
    wanted = handler.headers["Range"]
    release.requests.append((name, wanted))
    if release.statuses:
        handler.send_error(release.statuses.pop(0))
        return
    content = release.files.get(name)
    if content is None:
        handler.send_error(404)
        return
    body = content.read_bytes() if isinstance(content, Path) else content
    start = 0
    match = re.fullmatch(r"bytes=(\d+)-", wanted or "")
    condition = handler.headers["If-Range"] if release.conditions else None
    if release.ranges and match and condition in (None, release.etag):
        start = int(match[1])
        if start >= len(body):
            handler.send_error(416)
            return
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
    else:
        handler.send_response(200)
    if release.etag is not None:
        handler.send_header("ETag", release.etag)
    if release.announce_length:
        handler.send_header("Content-Length", str(len(body) - start))
    handler.end_headers()
    end = len(body)
    if release.cuts and name != "checksum.json":
        release.cuts -= 1
        end = start + release.cut_bytes
    handler.wfile.write(memoryview(body)[start:end])
