"""A server on loopback whose answers are given byte by byte, however wrong they are."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


def ok(body: bytes) -> bytes:
    return (
        b'HTTP/1.1 200 OK\r\nETag: "one"\r\nContent-Type: application/gzip\r\n'
        b"Content-Length: %d\r\n\r\n" % len(body) + body
    )


@contextmanager
def serve(answers: Mapping[str, bytes], ranges: bool = False) -> Iterator[str]:
    """A server on loopback that sends these bytes for these paths, and closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def work() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                asked = connection.recv(65536).decode("latin-1")
                path = asked.split(" ")[1] if asked.count(" ") > 1 else ""
                answer = answers.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                start = asked.partition("Range: bytes=")[2].partition("-")[0]
                if ranges and start.isdecimal():
                    body = answer.partition(b"\r\n\r\n")[2]
                    answer = (
                        b'HTTP/1.1 206 Partial\r\nETag: "one"\r\nContent-Range: bytes %d-%d/%d\r\n\r\n'
                        % (int(start), len(body) - 1, len(body))
                        + body[int(start) :]
                    )
                try:
                    connection.sendall(answer)
                    connection.shutdown(socket.SHUT_WR)
                except OSError:
                    continue

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
