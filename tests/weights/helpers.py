"""What several of these tests look at: made-up models, files of a weights folder, error lines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from rtsep.weights.checksum import sha256_of
from rtsep.weights.store import sidecar_of

NAME = "spleeter:2stems"
STORED = "spleeter-2stems.safetensors"
# The files of a weights folder after a fetch that failed, and after one that did not.
NOTHING = {"spleeter-2stems.lock"}
INSTALLED = NOTHING | {STORED, f"{STORED}.sha256"}


@dataclass(frozen=True)
class MadeUpModel:
    """Made-up 2 stems: their canonical arrays, checkpoint folder, release archive and SHA-256."""

    stems: dict[str, dict[str, np.ndarray]]
    variables: dict[str, np.ndarray]
    checkpoint: Path
    archive: Path
    data_sha256: str


def tree(folder: Path) -> set[str]:
    """The files below `folder`."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def failure(capsys: pytest.CaptureFixture[str]) -> str:
    """The last line on stderr, which must be the program's only error."""
    lines = capsys.readouterr().err.splitlines()
    assert sum("error:" in line for line in lines) == 1
    assert lines[-1].startswith("rtsep-weights: error: ")
    return lines[-1]


def replace_header(file: Path, old: str, new: str) -> None:
    """Put `new` in place of `old` in the header of a file of weights, and renew its sidecar."""
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header, arrays = content[8 : 8 + length].decode(), content[8 + length :]
    assert header.count(old) == 1
    header = header.replace(old, new)
    file.write_bytes(len(header).to_bytes(8, "little") + header.encode() + arrays)
    sidecar_of(file).write_text(f"{sha256_of(file)}  {file.name}\n")
