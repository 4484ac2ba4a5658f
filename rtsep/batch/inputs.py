"""Which recordings are meant: names, folders, wildcards and lists, as one list of inputs.

    album                a folder: the files of sound in it and below it
    'live/**/*.flac'     wildcards, for shells that know none, or not `**`
    a list               one name a line, or parted by zero bytes

The tree below a folder, or below the part of a name that has no wildcards, is kept: an input knows its
folder within it. Names with a scheme, such as s3://bucket/album, are of a storage that fsspec knows.
"""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rtsep.batch import storage
from rtsep.errors import AudioFileError, RtsepError, UsageError

# What is taken from a folder; a file with another extension is taken when it is named.
SOUND_EXTENSIONS = frozenset(
    """
    aac ac3 aif aifc aiff alac amr ape asf au avi caf dts eac3 flac flv m2ts m4a m4b m4v mka mkv mov mp2
    mp3 mp4 mpc mpeg mpg mts mxf oga ogg ogv opus ra rf64 rm snd spx ts tta voc w64 wav wave webm wma
    wmv wv
    """.split()  # noqa: SIM905
)
WILDCARDS = "*?["


@dataclass(frozen=True, slots=True)
class Input:
    """One recording.

    name: as it is opened and shown.  tree: its folder within what it was found in, "" for none.
    size_bytes: None where it is not known, as of a file that is not there.
    modified_ns: when it was changed, in nanoseconds since 1970; None where that is not known.
    """

    name: str
    tree: str = ""
    size_bytes: int | None = None
    modified_ns: int | None = None


@dataclass
class Found:
    """What names stand for.

    failures: why a name stands for nothing.  left_out: files in folders that are no sound by their
    extension.
    """

    inputs: list[Input]
    failures: list[str]
    left_out: int = 0


def has_wildcards(name: str) -> bool:
    """Whether `name` stands for other names: it has wildcards, and no file is called so."""
    return any(sign in name for sign in WILDCARDS) and not os.path.lexists(name)


def find_inputs(
    names: Iterable[str],
    listed: Sequence[str] = (),
    exclude: Sequence[str] = (),
    without: str | None = None,
) -> Found:
    """The recordings that are meant, each once, in the order of the names and of the alphabet.

    Parameters
    ----------
    names : iterable of str
        Of files, folders and storages, with or without wildcards.
    listed : sequence of str
        Names from a list, which keep their own folders below the one that they have in common.
    exclude : sequence of str
        Patterns of file names, or of paths within a folder, that are left out.
    without : str, optional
        A folder that is not looked into: where the results go.

    """
    search = _Search(exclude, without)
    base = _common_folder(listed)
    failures = []
    for name, of in [*((name, None) for name in names), *((name, base) for name in listed)]:
        try:
            search.add(name, of)
        except RtsepError as error:
            failures.append(str(error))
    return Found(search.inputs, failures, search.left_out)


def read_list(content: bytes, label: str) -> list[str]:
    """The names in a list; raises UsageError where there is none.

    content: lines, or names parted by zero bytes, as `find -print0` writes them; in UTF-8, or whatever
    bytes the system has for names.
    """
    parted = content.split(b"\0") if b"\0" in content else content.splitlines()
    names = [os.fsdecode(name) for name in parted if name.strip()]
    if not names:
        raise UsageError(f"{label} names no file: put one name on each line")
    return names


def shard(inputs: Iterable[Input], number: int, count: int) -> list[Input]:
    """Part `number`, counted from 1, of `count` parts of the inputs.

    Each input is in one of them, by its name alone, so that jobs that begin at different times, when
    other files are there, neither do one twice nor leave one out.
    """
    return [entry for entry in inputs if _bucket(entry, count) == number - 1]


def _bucket(entry: Input, count: int) -> int:
    key = f"{entry.tree}/{os.path.basename(entry.name)}"
    digest = hashlib.sha256(os.fsencode(key)).digest()
    return int.from_bytes(digest[:8], "big") % count


class _Search:
    """Gathers inputs; what was found once is not taken again."""

    def __init__(self, exclude: Sequence[str], without: str | None):
        self._exclude = exclude
        self._without = None if without is None else os.path.realpath(without)
        self._seen: set[str] = set()
        self.inputs: list[Input] = []
        self.left_out = 0

    def add(self, name: str, base: str | None = None) -> None:
        """Take what `name` stands for; base: the folder whose tree a file's name keeps."""
        if storage.has_scheme(name):
            self._add_stored(name)
        elif has_wildcards(name):
            self._add_wildcards(name)
        elif os.path.isdir(name):
            self._add_folder(name, name if base is None else base)
        else:
            tree = "" if base is None else _tree(os.path.dirname(name), base)
            self._take(name, tree, os.path.basename(name))

    def _add_folder(self, folder: str, base: str) -> None:
        sounds = 0
        for path in self._files_below(folder):
            sounds += self._take_from_folder(path, base)
        if not sounds:
            raise AudioFileError(f"{folder} is a folder without files of sound: name another one")

    def _add_wildcards(self, pattern: str) -> None:
        base = _before_wildcards(pattern)
        found = sorted(glob.glob(pattern, recursive=True))
        if not found:
            raise AudioFileError(f"no file is called {pattern}: look at the wildcards")
        for path in found:
            if os.path.isdir(path):
                # With `**` a folder's files are found by themselves.
                if "**" not in pattern:
                    self._add_folder(path, base)
            elif "**" in pattern:
                self._take_from_folder(path, base)
            else:
                self._take(path, _tree(os.path.dirname(path), base), os.path.relpath(path, base))

    def _add_stored(self, name: str) -> None:
        for stored in storage.find(name):
            if stored.in_folder and not _is_sound(stored.name):
                self.left_out += 1
                continue
            within = os.path.join(stored.tree, stored.name.rsplit("/", 1)[-1])
            if self._wanted(stored.name, within):
                self.inputs.append(
                    Input(stored.name, stored.tree, stored.size_bytes, stored.modified_ns)
                )

    def _files_below(self, folder: str) -> Iterator[str]:
        """Every file, sorted, links followed; hidden ones and those of `without` are left out."""
        visited: set[tuple[int, int]] = set()

        def fail(error: OSError) -> None:
            raise AudioFileError(f"cannot read the folder {error.filename}: {error.strerror}")

        for here, folders, files in os.walk(folder, onerror=fail, followlinks=True):
            status = os.stat(here)
            if (status.st_dev, status.st_ino) in visited:
                folders.clear()
                continue
            visited.add((status.st_dev, status.st_ino))
            folders[:] = sorted(
                name
                for name in folders
                if not name.startswith(".") and not self._is_without(os.path.join(here, name))
            )
            for name in sorted(files):
                if not name.startswith("."):
                    yield os.path.join(here, name)

    def _is_without(self, folder: str) -> bool:
        return self._without is not None and os.path.realpath(folder) == self._without

    def _take_from_folder(self, path: str, base: str) -> bool:
        """Take a file if it is one of sound; return whether it is."""
        if not _is_sound(path):
            self.left_out += 1
            return False
        self._take(path, _tree(os.path.dirname(path), base), os.path.relpath(path, base))
        return True

    def _take(self, name: str, tree: str, within: str) -> None:
        if not self._wanted(os.path.abspath(name) if name else name, within):
            return
        try:
            status = os.stat(name)
        except (OSError, ValueError):
            self.inputs.append(Input(name, tree))
        else:
            self.inputs.append(Input(name, tree, status.st_size, status.st_mtime_ns))

    def _wanted(self, key: str, within: str) -> bool:
        """Whether this one is new and not excluded. within: its path in what it was found in."""
        if key in self._seen:
            return False
        self._seen.add(key)
        names = (os.path.basename(within), within.replace(os.sep, "/"))
        return not any(fnmatch.fnmatch(n, pattern) for n in names for pattern in self._exclude)


def _is_sound(name: str) -> bool:
    return os.path.splitext(name)[1].lower().lstrip(".") in SOUND_EXTENSIONS


def _tree(folder: str, base: str) -> str:
    """The way from `base` down to `folder`; none where that is no way down."""
    tree = os.path.relpath(folder or ".", base or ".")
    return "" if tree == "." or tree.split(os.sep)[0] == ".." else tree


def _before_wildcards(pattern: str) -> str:
    """The folder that a pattern's wildcards begin in."""
    parts = pattern.replace("\\", "/").split("/") if os.sep == "\\" else pattern.split("/")
    fixed = []
    for part in parts[:-1]:
        if any(sign in part for sign in WILDCARDS):
            break
        fixed.append(part)
    return "/".join(fixed) or ("/" if pattern.startswith("/") else ".")


def _common_folder(names: Sequence[str]) -> str:
    """The folder below which the names of a list keep theirs: the current one, if all are below it."""
    folders = [os.path.dirname(name) for name in names if not storage.has_scheme(name)]
    outside = [folder for folder in folders if os.path.isabs(folder) or _leads_up(folder)]
    if not outside:
        return "."
    try:
        return os.path.commonpath([os.path.abspath(folder) for folder in folders])
    except ValueError:  # on several drives of Windows
        return "."


def _leads_up(folder: str) -> bool:
    return os.path.normpath(folder or ".").split(os.sep)[0] == ".."
