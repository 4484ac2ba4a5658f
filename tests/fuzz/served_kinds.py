"""The kinds of answers that weights are downloaded from, damaged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from rtsep.weights.fetch import fetch_checkpoint
from rtsep.weights.importing import read_checkpoint_of
from rtsep.weights.manifest import Manifest
from tests.fuzz.children import Case
from tests.fuzz.mutations import Mutation, mutations
from tests.fuzz.raw_server import ok, serve
from tests.fuzz.small_weights import Stems, Weights, judge


def partial_download(weights: Weights, folder: Path, count: int) -> Iterator[Case]:
    """What an interrupted download remembers; the server goes on rightly."""
    whole = weights.archive.read_bytes()
    remembered = b'{"url": "URL2stems.tar.gz", "validator": "\\"one\\"", "total_bytes": %d}' % len(
        whole
    )
    for mutation in mutations(remembered, count, 11):

        def attempt(mutation: Mutation = mutation) -> str:
            with serve({"/2stems.tar.gz": ok(whole)}, ranges=True) as url:
                downloads = folder / "downloads"
                downloads.mkdir()
                (downloads / "2stems.tar.gz.part").write_bytes(whole[:5000])
                memory = mutation.content.replace(b"URL", url.encode())
                (downloads / "2stems.tar.gz.part.json").write_bytes(memory)
                return judge(lambda: fetch(weights, folder, url), weights.folded)

        yield mutation.what, attempt


def http_answer(weights: Weights, folder: Path, count: int) -> Iterator[Case]:
    """The bytes that the server sends for the archive, status line and headers first."""
    answer = ok(weights.archive.read_bytes())
    for mutation in mutations(answer, count, 12):
        yield mutation.what, served_case(weights, folder, {"/2stems.tar.gz": mutation.content})


def http_headers(weights: Weights, folder: Path, count: int) -> Iterator[Case]:
    """The same, the damage in the headers only."""
    head, body = ok(b"")[:-4], weights.archive.read_bytes()
    head = head.replace(b"Content-Length: 0", b"Content-Length: %d" % len(body))
    for mutation in mutations(head, count, 13):
        answer = mutation.content + b"\r\n\r\n" + body
        yield mutation.what, served_case(weights, folder, {"/2stems.tar.gz": answer})


def checksum_list(weights: Weights, folder: Path, count: int) -> Iterator[Case]:
    """The release's checksum.json."""
    good = weights.archive.read_bytes()
    text = json.dumps({"2stems": hashlib.sha256(good).hexdigest()}).encode()
    for mutation in mutations(text, count, 14):
        answers = {"/2stems.tar.gz": ok(good), "/checksum.json": ok(mutation.content)}
        yield mutation.what, served_case(weights, folder, answers)


def served_case(weights: Weights, folder: Path, answers: dict[str, bytes]) -> Callable[[], str]:
    def attempt() -> str:
        with serve(answers) as url:
            return judge(lambda: fetch(weights, folder, url), weights.folded)

    return attempt


def fetch(weights: Weights, folder: Path, url: str) -> Stems:
    manifest = Manifest(weights.manifest.models, replace(weights.manifest.release, base_url=url))
    downloads, work = folder / "downloads", folder / "work"
    downloads.mkdir(exist_ok=True)
    work.mkdir()
    checkpoint, source = fetch_checkpoint(
        weights.entry, manifest.release, downloads, work, lambda *_: None,
        attempts=2, first_pause_s=0.0,
    )  # fmt: skip
    return read_checkpoint_of(checkpoint, source, weights.entry, manifest, False).stems


SERVED_KINDS = (partial_download, http_answer, http_headers, checksum_list)
