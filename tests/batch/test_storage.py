"""Recordings and stems in a storage: S3, by a local server; the web."""

from __future__ import annotations

import functools
import http.server
import json
import threading
import urllib.request
from pathlib import Path

import pytest

from rtsep.batch import storage
from rtsep.cli.separate import main
from tests.batch.conftest import files_below
from tests.files.sounds import music, read_file, signal_to_noise_db, write_file

fsspec = pytest.importorskip("fsspec", reason="pip install 'rtsep[cluster]'")


@pytest.fixture
def bucket(monkeypatch):
    """An empty bucket of a server on this machine; gives its file system."""
    pytest.importorskip("s3fs")
    server_of = pytest.importorskip("moto.server").ThreadedMotoServer
    server = server_of("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    try:
        system = fsspec.filesystem("s3", skip_instance_cache=True)
        system.mkdir("songs")
        yield system
    finally:
        # What the server holds is its module's.
        request = urllib.request.Request(f"http://{host}:{port}/moto-api/reset", method="POST")
        urllib.request.urlopen(request).close()
        fsspec.filesystem("s3").clear_instance_cache()
        server.stop()


@pytest.mark.slow
def test_a_bucket_is_separated_into_a_bucket(library, gains, bucket, capsys):
    for path in library.rglob("*.*"):
        bucket.put_file(str(path), f"songs/in/{path.relative_to(library).as_posix()}")
    bucket.put_file(str(library / "a.wav"), "songs/in/again.wav")
    bucket.pipe_file("songs/in/text.txt", b"no sound")
    arguments = ["s3://songs/in", "-o", "s3://songs/out/", "--journal", "j", "--json-lines"]
    assert main(arguments) == 0
    *lines, end = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (end["done"], end["duplicates"]) == (3, 1)
    assert lines[0]["input"].startswith("s3://songs/in/")
    bucket.invalidate_cache()
    found = sorted(name.removeprefix("songs/out/") for name in bucket.find("songs/out"))
    stems = ("accompaniment", "vocals")
    assert found == [f"{n}/{s}.wav" for n in ("a", "again", "cd 1/b", "cd 1/c") for s in stems]
    bucket.get_file("songs/out/cd 1/b/vocals.wav", "b.wav")
    assert signal_to_noise_db(read_file(Path("b.wav")), 0.5 * music(0.4, seed=2)) > 50

    # Done ones are known by what is in the bucket.
    bucket.rm("songs/out/a/vocals.wav")
    assert main(arguments) == 0
    *lines, end = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (end["before"], len(lines)) == (3, 1) and lines[0]["input"] == "s3://songs/in/a.wav"


def test_names_in_a_bucket(bucket):
    for name in ("a/1.wav", "a/b/2.wav", "a/b/3.flac"):
        bucket.pipe_file(f"songs/{name}", b"sound")
    found = [(s.name, s.tree, s.size_bytes) for s in storage.find("s3://songs/a/**/*.wav")]
    assert found == [("s3://songs/a/1.wav", "", 5), ("s3://songs/a/b/2.wav", "b", 5)]
    (one,) = storage.find("s3://songs/a/b/3.flac")
    assert (one.tree, one.in_folder) == ("", False) and one.modified_ns is not None
    assert storage.size_of("s3://songs/a/1.wav") == 5
    assert storage.size_of("s3://songs/none.wav") is None
    with pytest.raises(storage.AudioFileError, match="no such file: s3://songs/none.wav"):
        storage.find("s3://songs/none.wav")


def test_the_web_is_read(tmp_path, gains, monkeypatch, capsys):
    pytest.importorskip("aiohttp")
    (tmp_path / "web").mkdir()
    monkeypatch.chdir(tmp_path)
    write_file(tmp_path / "web" / "song.wav", music(0.3))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "web")
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"http://127.0.0.1:{server.server_port}"
        assert main([f"{place}/song.wav", f"{place}/gone.wav", "-o", "out", "--retries", "0"]) == 1
        server.shutdown()
    assert f"error: no such file: {place}/gone.wav" in capsys.readouterr().err
    assert files_below(tmp_path / "out") == ["song/accompaniment.wav", "song/vocals.wav"]
    assert signal_to_noise_db(read_file(Path("out/song/vocals.wav")), 0.5 * music(0.3)) > 50


def test_a_scheme_is_explicit():
    names = ("s3://a", "C:/a", "http:a", "a://", "gs://b")
    assert [name for name in names if storage.has_scheme(name)] == ["s3://a", "gs://b"]
