"""How `rtsep-bench quality` shows what it has found: tables over songs, a plot, notes on both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rtsep.constants import SAMPLE_RATE
from rtsep.live.plans.plan import PLANS
from rtsep_bench import bss_eval, song_split
from rtsep_bench.evaluation import LEAKAGE_FRAME_SAMPLES, SILENT_DBFS
from rtsep_bench.intervals import CONFIDENCE, Summary, summarise
from rtsep_bench.plots import caption
from rtsep_bench.quality_case import Setting
from rtsep_bench.report import Report, Row, figures_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

REFERENCE_PLAN = "classic"
# More songs than these have no column of their own.
MOST_COLUMNS = 3
INTERVAL = f"{100 * CONFIDENCE:.0f} %"


def tables(report: Report) -> list[Table]:
    """One row per setting: figures over the whole songs, and BSS Eval v4 where it was measured."""
    if not report.rows:
        return []
    found = [_whole_songs(report)]
    if any(bss_eval.FIELDS[0] in row.more for row in report.rows):
        found.append(_published(report))
    return found


def notes(rows: Sequence[Row], stem: str) -> list[str]:
    """What the figures are, and on how many songs they rest: a sentence each."""
    told = [
        f"{_how_many(rows)}; {song_split.describe(_titles(rows))}. Versions of a song are averaged"
        " first.",
        f"SDR and SI-SDR of {stem}: ratios of energies over whole songs, means over songs"
        " (benchmarks/rtsep_bench/evaluation.py).",
        f"Relative: SDR less that of {REFERENCE_PLAN} with ratio masks on the same song."
        f" {INTERVAL}: bootstrap interval of its mean over songs.",
        f"Leakage: level where the true stem is below {SILENT_DBFS:g} dBFS, against the mixture's"
        f" there; in frames of {LEAKAGE_FRAME_SAMPLES / SAMPLE_RATE:g} s.",
    ]
    if any(bss_eval.FIELDS[0] in row.more for row in rows):
        told.append(
            "BSS Eval v4: by museval, median over frames of 1 s, then over songs, as published;"
            f" {INTERVAL}: bootstrap interval of the SDR."
        )
    remarks: dict[str, list[str]] = {}
    for row in rows:
        if row.more.get("remark"):
            remarks.setdefault(f"{row.contender} {row.more['remark']}", []).append(row.case)
    return told + [f"{remark}: {', '.join(cases)}." for remark, cases in remarks.items()]


def _whole_songs(report: Report) -> Table:
    titles = _titles(report.rows)
    few = len(titles) <= MOST_COLUMNS
    each = titles if few else ["best song"]
    table = figures_table(
        f"quality of {report.settings['stem']}, {_how_many(report.rows)}",
        ["plan", "masks"],
        ["ms", "SDR dB", "relative", INTERVAL, "worst song", "SI-SDR", "leakage",
         *each],
    )  # fmt: skip
    table.columns[0].no_wrap = True  # a plan's name is what one would copy
    reference_db = _reference_db(report.rows)
    for setting, rows in _by_setting(report.rows).items():
        sdr = summarise(_figures(rows, "sdr_db"))
        relative = summarise(
            (row.more["song"], row.more["sdr_db"] - reference_db[row.case])
            for row in rows
            if row.case in reference_db
        )
        by_song = {} if sdr is None else sdr.by_song
        shown = [f"{by_song[title]:.2f}" if title in by_song else "-" for title in titles]
        table.add_row(
            *_setting_cells(setting), _centre(sdr), _centre(relative, "+"), _interval(relative, "+"),
            _song(relative, "worst"), _centre(summarise(_figures(rows, "si_sdr_db"))),
            _centre(summarise(_figures(rows, "leakage_db"))),
            *(shown if few else [_song(relative, "best")]),
        )  # fmt: skip
    return table


def _published(report: Report) -> Table:
    table = figures_table(
        f"BSS Eval v4 of {report.settings['stem']}, {_how_many(report.rows)}",
        ["plan", "masks"],
        ["ms", "SDR dB", INTERVAL, "worst song",
         *(measure.upper() for measure in bss_eval.MEASURES[1:])],
    )  # fmt: skip
    for setting, rows in _by_setting(report.rows).items():
        sdr, *others = (
            summarise(_figures(rows, field), np.median) for field in bss_eval.FIELDS
        )  # fmt: skip
        table.add_row(
            *_setting_cells(setting), _centre(sdr), _interval(sdr), _song(sdr, "worst", ""),
            *map(_centre, others),
        )  # fmt: skip
    return table


def plot(report: Report, figure: Figure) -> None:
    """SDR against latency, a colour for each kind of masks and each level."""
    axes = figure.add_subplot()
    means = {
        setting: np.mean([row.more["sdr_db"] for row in rows])
        for setting, rows in _by_setting(report.rows).items()
        if setting.latency_ms is not None
    }
    for label in dict.fromkeys(setting.label for setting in means):
        points = sorted((s.latency_ms, mean) for s, mean in means.items() if s.label == label)
        axes.plot(*zip(*points, strict=True), "o", label=label)
    for setting, mean in means.items():
        if setting.contender in PLANS and setting.label == next(iter(means)).label:
            axes.annotate(f" {setting.contender}", (setting.latency_ms, mean), va="top")
    axes.set_xscale("log")
    axes.margins(x=0.15)  # room for the names
    axes.set_xlabel("latency, ms")
    axes.set_ylabel("SDR, dB, mean over the songs")
    axes.grid(alpha=0.3, which="both")
    if means:
        axes.legend(fontsize=8)
    caption(report, figure, f"Quality of {report.settings['stem']} against latency")


def _by_setting(rows: Iterable[Row]) -> dict[Setting, list[Row]]:
    groups: dict[Setting, list[Row]] = {}
    for row in rows:
        groups.setdefault(Setting.of(row), []).append(row)
    return groups


def _reference_db(rows: Iterable[Row]) -> dict[str, float]:
    """SDR of the reference plan by song, at the level as it is; empty where it was not run."""
    return {
        row.case: row.more["sdr_db"]
        for row in rows
        if (row.contender, row.more["ratio"], row.more["level_db"], row.more["auto_level"])
        == (REFERENCE_PLAN, True, 0.0, True)
    }


def _titles(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(row.more["song"] for row in rows))


def _how_many(rows: Sequence[Row]) -> str:
    """The number of songs, and of versions where there are more."""
    titles, versions = len(_titles(rows)), len({row.case for row in rows})
    songs = "1 song" if titles == 1 else f"{titles} songs"
    return songs if versions == titles else f"{songs} in {versions} versions"


def _figures(rows: Iterable[Row], field: str) -> list[tuple[str, float | None]]:
    return [(row.more["song"], row.more[field]) for row in rows]


# --- cells ------------------------------------------------------------------------------------------


def _setting_cells(setting: Setting) -> list[str]:
    latency = "-" if setting.latency_ms is None else f"{setting.latency_ms:.0f}"
    return [setting.contender, setting.label, latency]


def _centre(summary: Summary | None, sign: str = "") -> str:
    return "-" if summary is None else f"{summary.centre:{sign}.2f}"


def _interval(summary: Summary | None, sign: str = "") -> str:
    if summary is None or summary.low is None:
        return "-"
    return f"{summary.low:{sign}.2f} to {summary.high:{sign}.2f}"


def _song(summary: Summary | None, which: str, sign: str = "+") -> str:
    """The worst or the best song: its figure, and its title."""
    if summary is None:
        return "-"
    title = getattr(summary, which)
    return f"{summary.by_song[title]:{sign}.2f} {title}"
