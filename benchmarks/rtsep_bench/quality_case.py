"""One song of `rtsep-bench quality`: decoded once, then separated and compared in every setting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.errors import AudioFileError
from rtsep.files.song_files import SongFiles
from rtsep.live.engine import Engine
from rtsep.live.file_session import run_unpaced
from rtsep.live.plans.notation import read_plan
from rtsep.nets.kind import Net
from rtsep.nets.kinds import net_names
from rtsep.nets.registry import ModelConfig
from rtsep.weights.library import model_named
from rtsep_bench import bss_eval, rivals, true_stems
from rtsep_bench.bounds import BOUNDS
from rtsep_bench.evaluation import is_silent, leakage_db, sdr_db, si_sdr_db
from rtsep_bench.report import Row
from rtsep_bench.true_stems import Song
from rtsep_kernels.precision import Precision

# A model's nets by stem in a precision, loaded when they are first asked for.
Nets = Callable[[ModelConfig, Precision], Mapping[str, Net]]


# How bins are shared: by the ratio mask of all nets, or by the stem's own net alone.
MASKS = ("ratio", "alone")


class Setting(NamedTuple):
    """One way to get the stem of a song.

    contender: a plan, one of BOUNDS, or a rival.
    latency_ms, auto_level: None for all but plans.
    ratio: all nets and the ratio mask, else the stem's net alone; None for all but plans.
    level_db: by how much the mixture is turned up for a plan.
    """

    contender: str
    latency_ms: float | None = None
    ratio: bool | None = None
    level_db: float = 0.0
    auto_level: bool | None = None

    @classmethod
    def of(cls, row: Row) -> Setting:
        """The setting that a row belongs to."""
        return cls(row.contender, *(row.more[name] for name in cls._fields[1:]))

    @property
    def label(self) -> str:
        """All but the contender, in words; ``-`` for all but plans."""
        if self.ratio is None:
            return "-"
        level = f", {self.level_db:+g} dB" if self.level_db else ""
        return f"{MASKS[0 if self.ratio else 1]}{level}{'' if self.auto_level else ', no network level'}"


@dataclass(frozen=True)
class Case:
    """One version of a song, and what is measured on it.

    seconds: of the part in the middle; None for the whole song.
    museval: measure BSS Eval v4, too.
    rivals: folders with the stems of other programs, by the contender's name.
    """

    files: SongFiles
    speed: float
    stem: str
    model: str
    precision: Precision
    seconds: float | None
    museval: bool
    rivals: Mapping[str, str]
    settings: tuple[Setting, ...]

    @property
    def name(self) -> str:
        """The song's name, with the speed if it is another one."""
        return true_stems.version(self.files.name, self.speed)

    def only(self, settings: Iterable[Setting]) -> Case:
        """The same with these settings."""
        return replace(self, settings=tuple(settings))

    def as_json(self) -> dict[str, Any]:
        """The case as an object for JSON."""
        return asdict(self) | {"files": self.files.as_json(), "rivals": dict(self.rivals)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Case:
        """The case of which `as_json` made `values`."""
        settings = tuple(Setting(*setting) for setting in values["settings"])
        files = SongFiles.from_json(values["files"])
        return cls(**{**values, "files": files, "settings": settings})


def measure(case: Case, nets: Nets) -> Iterator[Row | AudioFileError]:
    """Yield a row for each setting, in their order; an error for a rival without such a stem.

    Raises AudioFileError where the song cannot be decoded, or its stem or the rest is silent, and
    WeightsError.
    """
    whole = true_stems.load(case.files, case.stem)
    part = true_stems.middle(len(whole.true), case.seconds)
    song = true_stems.at_speed(whole.cut(part), case.speed)
    if is_silent(song.true):
        raise AudioFileError(f"its stem {case.stem} is silent: there is nothing to compare with")
    if is_silent(song.rest):
        raise AudioFileError(
            f"all but its stem {case.stem} is silent: there is nothing to separate"
        )
    for setting in case.settings:
        remark: dict[str, Any] = {}
        if setting.contender in case.rivals:
            try:
                folder = Path(case.rivals[setting.contender])
                path = rivals.find_stem(folder, whole.title, case.stem)
                aligned = rivals.read_stem(path, whole)
            except AudioFileError as error:
                yield error
                continue
            stem = aligned.sound[part]
            remark = {"offset_samples": aligned.offset_samples, "remark": aligned.remark}
        elif setting.contender in BOUNDS:
            stem = BOUNDS[setting.contender](song, case.stem)
        else:
            stem = separate(nets, case, song, setting)
        yield _row(case, song, setting, stem, remark)


def separate(nets: Nets, case: Case, song: Song, setting: Setting) -> NDArray[np.float32]:
    """The stem that the live engine makes of the song, the latency taken out: (samples, 2)."""
    config, stem = model_named(case.model), case.stem
    plan = read_plan(setting.contender)
    independent = None if setting.ratio else [stem]
    gain = np.float32(10 ** (setting.level_db / 20))
    by_name = nets(config, case.precision)
    engine = Engine(
        config,
        [by_name[name] for name in net_names(config, independent)],
        plan,
        {stem: 1.0},
        independent=independent,
        auto_level=bool(setting.auto_level),
    )
    engine.start()
    try:
        silence = np.zeros((plan.latency_samples, 2), np.float32)
        sound = np.concatenate([song.mixture * gain, silence])
        out = next(run_unpaced(engine, [sound]))
    finally:
        engine.stop()
    return out[plan.latency_samples :] / gain


def _row(
    case: Case, song: Song, setting: Setting, stem: NDArray[np.float32], more: dict[str, Any]
) -> Row:
    figures: dict[str, Any] = {
        "sdr_db": sdr_db(stem, song.true),
        "si_sdr_db": si_sdr_db(stem, song.true),
        "leakage_db": leakage_db(stem, song.true, song.mixture),
    }
    if case.museval:
        figures |= bss_eval.bss_eval(stem, song)
    known = {name: value for name, value in setting._asdict().items() if name != "contender"}
    known |= {"song": song.title, "speed": case.speed, "samples": len(song.true)}
    threads = 2 if setting.ratio else 1
    return Row(setting.contender, song.name, threads, more=known | figures | more)
