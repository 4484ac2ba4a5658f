"""Rows that are measured, kept in a file for each song, so that a run of hours can go on later.

A row is taken again only if everything that it depends on is as it was: the song's files, the
setting, the weights, and the sources of what separated and what measured. A file appears whole or
stays as it was (part_file.py), so a run can be killed at any moment.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import rtsep
import rtsep_kernels
from rtsep.environment import installed_version
from rtsep.errors import AudioFileError, RtsepError
from rtsep.system.part_file import write_whole
from rtsep.weights.library import model_named, weights_path
from rtsep.weights.store import sidecar_of
from rtsep_bench import rivals
from rtsep_bench.bounds import BOUNDS
from rtsep_bench.quality_case import Case, Setting
from rtsep_bench.report import Row

# The rooms of rtsep that a separation comes from, and the modules here that a figure does.
_SEPARATES = ("dsp", "live", "nets", "constants.py")
_MEASURES = (
    "bounds.py", "bss_eval.py", "demo_song.py", "evaluation.py", "quality_case.py", "rivals.py",
    "song_files.py", "true_stems.py",
)  # fmt: skip


class KeptResults:
    """The rows of earlier runs in `folder`, which is made if need be; None keeps nothing.

    Used by one thread. A second run into the same folder at once may cost rows, never damage them.
    """

    def __init__(self, folder: Path | None):
        self._folder = folder

    def row(self, case: Case, setting: Setting) -> Row | None:
        """The row of that setting, if it is kept and nothing that it depends on has changed."""
        what = _what(case, setting)
        entry = next((entry for entry in self._entries(case) if entry["what"] == what), None)
        if entry is None:
            return None
        try:
            same = entry["made_from"] == _made_from(case, setting)
        except (OSError, AudioFileError):  # a file is gone, which measuring will say
            return None
        return Row.from_json(entry["row"]) if same else None

    def keep(self, case: Case, setting: Setting, row: Row) -> None:
        """Keep a row in place of an earlier one of that setting; raises RtsepError if it cannot be."""
        if self._folder is None:
            return
        what = _what(case, setting)
        entries = [entry for entry in self._entries(case) if entry["what"] != what]
        made_from = _made_from(case, setting)
        entries.append({"what": what, "made_from": made_from, "row": row.as_json()})
        text = json.dumps(entries, indent=1) + "\n"
        path = self._path(case)
        try:
            write_whole(path, lambda file: file.write(text.encode()))
        except OSError as error:
            raise RtsepError(
                f"cannot write {path}: {error.strerror}: make room, or name another --results"
            ) from error

    def _entries(self, case: Case) -> list[dict[str, Any]]:
        if self._folder is None:
            return []
        path = self._path(case)
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
            [(entry["what"], entry["made_from"], entry["row"]) for entry in entries]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RtsepError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, TypeError, KeyError):
            raise RtsepError(f"{path} holds no results: remove it") from None
        return list(entries)

    def _path(self, case: Case) -> Path:
        assert self._folder is not None
        # Songs that differ only in signs that no file name may have are told apart by their files.
        name = re.sub(r"[^\w .()@-]", "_", case.name)
        return self._folder / f"{name}.json"


def _what(case: Case, setting: Setting) -> dict[str, Any]:
    """What was measured. As JSON gives it back, so that it can be compared."""
    what = {
        "song": case.name, "files": [str(path.resolve()) for path in case.files.paths],
        "stem": case.stem, "seconds": case.seconds, "museval": case.museval,
        "setting": list(setting),
    }  # fmt: skip
    if setting.contender in case.rivals:
        what["rival"] = str(Path(case.rivals[setting.contender]).resolve())
    elif setting.contender not in BOUNDS:
        what["model"], what["precision"] = case.model, case.precision
    return what


def _made_from(case: Case, setting: Setting) -> dict[str, Any]:
    """Everything that the figures depend on, in short."""
    made_from: dict[str, Any] = {
        "files": _states(case.files.paths),
        "measured_by": _measuring_sources(),
    }
    if case.museval:
        made_from["museval"] = installed_version("museval")
    if setting.contender in case.rivals:
        folder = Path(case.rivals[setting.contender])
        made_from["rival"] = _states([rivals.find_stem(folder, case.files.name, case.stem)])
    elif setting.contender not in BOUNDS:
        made_from["separated_by"] = _separating_sources()
        made_from["weights"] = _weights(case.model)
    return made_from


def _states(paths: Iterable[Path]) -> list[list[int]]:
    """Length and time of each file: whoever changes one changes these."""
    return [[status.st_size, status.st_mtime_ns] for status in map(Path.stat, paths)]


@cache
def _weights(model: str) -> str:
    sidecar = sidecar_of(weights_path(model_named(model).weights_name))
    return sidecar.read_text(encoding="utf-8").split()[0]


@cache
def _separating_sources() -> str:
    room = Path(rtsep.__file__).parent
    return _digest([*(room / name for name in _SEPARATES), Path(rtsep_kernels.__file__).parent])


@cache
def _measuring_sources() -> str:
    return _digest([Path(__file__).with_name(name) for name in _MEASURES])


def _digest(places: Iterable[Path]) -> str:
    """A hash of these files, and of the Python files in these folders."""
    digest = hashlib.sha256()
    for place in places:
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]
