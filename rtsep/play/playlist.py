"""Which songs are meant: files, folders, and playlists of local files (M3U, PLS)."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterable
from pathlib import Path

from rtsep.batch.inputs import find_inputs
from rtsep.errors import AudioFileError, RtsepError, UsageError

PLAYLISTS = (".m3u", ".m3u8", ".pls")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def find_songs(names: Iterable[str]) -> list[Path]:
    """The songs that `names` stand for, in their order, those of a folder by the alphabet.

    Raises
    ------
    UsageError
        For an address, also within a playlist: only local files are played.
    AudioFileError
        For a file that is not there, a folder without sound, and a playlist without songs.
    """
    songs: list[Path] = []
    for name in names:
        if not name:
            raise UsageError("a song's name is empty: name a file")
        if _SCHEME.match(name):
            raise UsageError(
                f"{name} is an address: rtsep-play plays local files, download it first"
            )
        path = Path(name)
        if path.suffix.lower() in PLAYLISTS and not path.is_dir():
            songs += _in_playlist(path)
        else:
            songs += _found(name)
    return songs


def _found(name: str) -> list[Path]:
    found = find_inputs([name])
    if found.failures:
        raise AudioFileError(found.failures[0])
    songs = [Path(entry.name) for entry in found.inputs]
    for song in songs:
        if not song.exists():
            raise AudioFileError(f"there is no file {song}: look at its name")
    return songs


def _in_playlist(path: Path) -> list[Path]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AudioFileError(f"cannot read the playlist {path}: {error.strerror}") from error
    text = _decoded(content)
    names = _names_in_pls(text, path) if path.suffix.lower() == ".pls" else _names_in_m3u(text)
    if not names:
        raise AudioFileError(f"the playlist {path} names no song: put one file on each line")
    songs = []
    for name in names:
        if _SCHEME.match(name):
            raise UsageError(
                f"the playlist {path} names the address {name}: rtsep-play plays local files; take it"
                " out"
            )
        song = path.parent / os.path.expanduser(name)
        if not song.is_file():
            raise AudioFileError(
                f"the playlist {path} names {name}, which is not there: take it out"
            )
        songs.append(song)
    return songs


def _decoded(content: bytes) -> str:
    """UTF-8, as M3U8 is, else Latin-1, as old M3U files are."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _names_in_m3u(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _names_in_pls(text: str, path: Path) -> list[str]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
        entries = parser["playlist"]
    except (configparser.Error, KeyError):
        raise RtsepError(f"the playlist {path} is damaged: it has no [playlist]") from None
    numbered = sorted(
        (int(key[4:]), name)
        for key, name in entries.items()
        if key.startswith("file") and key[4:].isdecimal()
    )
    return [name for _, name in numbered]
