"""Which file each stem of each input goes to: the pattern of --filename and its limits."""

from __future__ import annotations

import os
import string
from collections.abc import Mapping, Sequence
from pathlib import Path

from rtsep.cli.collisions import Output
from rtsep.errors import UsageError

DEFAULT_PATTERN = "{track}/{stem}.{ext}"

FIELDS = {
    "track": "the input's name without its extension",
    "stem": "vocals, drums, ...",
    "ext": "the extension of the output format",
    "trackext": "the input's own extension",
    "folder": "the name of the folder the input lies in",
    "model": "the model, with - for :",
}


def check_pattern(pattern: str) -> None:
    """Raise UsageError unless `pattern` is a relative file name with known {fields} only."""
    try:
        parts = list(string.Formatter().parse(pattern))
    except ValueError as error:
        raise UsageError(f"--filename {pattern!r} is no pattern: {error}") from None
    known = ", ".join("{" + field + "}" for field in FIELDS)
    for _text, field, layout, conversion in parts:
        if field is not None and (field not in FIELDS or layout or conversion):
            shown = field + (f"!{conversion}" if conversion else "") + (f":{layout}" * bool(layout))
            raise UsageError(
                f"--filename {pattern!r} has an unknown field {{{shown}}}: use {known}"
            )
    if not pattern or pattern.endswith(("/", os.sep)):
        raise UsageError(f"--filename {pattern!r} names a folder: end it with {{stem}}.{{ext}}")
    name = pattern.format_map(dict.fromkeys(FIELDS, "x"))
    if _leads_out(name):
        raise UsageError(f"--filename {pattern!r} leads out of the output folder: {name}")


def targets_of(
    source: Path, output: Path, pattern: str, stems: Sequence[str], extension: str, model: str
) -> dict[str, Path]:
    """Return the file for each stem of `source`, all of them inside the folder `output`.

    pattern: as checked by `check_pattern`.
    Raises UsageError if a name would lie outside `output`.
    """
    targets = {}
    for stem in stems:
        name = pattern.format(
            track=source.stem,
            stem=stem,
            ext=extension,
            trackext=source.suffix.lstrip("."),
            folder=source.resolve().parent.name,
            model=model.replace(":", "-"),
        )
        if _leads_out(name):
            raise UsageError(
                f"--filename {pattern!r} leads out of the output folder for {source}: {name}"
            )
        targets[stem] = output / os.path.normpath(name)
    return targets


def _leads_out(name: str) -> bool:
    inside = os.path.normpath(name)
    absolute = os.path.isabs(name) or os.path.splitdrive(name)[0]
    return bool(absolute) or inside in (".", "..") or inside.startswith(".." + os.sep)


def outputs_of(source: Path, targets: Mapping[str, Path]) -> list[Output]:
    """The stems' files of one input, as `check_collisions` takes them."""

    def remedy(other: Output | None) -> str:
        if other is None or other.source is None:
            return "choose another --output or --filename"
        return f"put {_field_to_add(source, other.source)} into --filename"

    return [
        Output(target, f"{stem} of {source}", remedy, source) for stem, target in targets.items()
    ]


def _field_to_add(source: Path, other: Path) -> str:
    """Return the field that would tell the stems of two inputs apart."""
    if source == other:
        return "{stem}"
    if source.stem != other.stem:
        return "{track}"
    return "{trackext}" if source.suffix != other.suffix else "{folder}"
