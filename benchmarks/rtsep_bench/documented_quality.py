"""The tables of separation quality in the documentation, from what `rtsep-bench quality` recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from statistics import fmean

from rtsep.live.plans.ladder import LADDER
from rtsep.live.plans.plan import PLANS
from rtsep_bench.figure_table import Figures, Line, Table
from rtsep_bench.intervals import CONFIDENCE, Summary, summarise
from rtsep_bench.measurements import Results
from rtsep_bench.song_files import AT_SPEED

SONGS = {"lithium": "lithium", "sodium": "sodium", "falcon-69": "Falcon 69"}
SPEEDS = ("0.92", "0.95", "0.98", "1", "1.02", "1.05", "1.08")
SPEED_PLANS = (
    "64/1/0/1/asymmetric/4", "64/1/1/1/asymmetric/4", "64/1/1/1/hann/4", "64/1/4/1/hann/2", "balanced",
    "64/1/8/1/hann",
)  # fmt: skip
LEVELS_DB = (0, -12, -20, -30)
LEVEL_PLANS = ("64/1/1/1/asymmetric/4", "classic")
LADDER_PLANS = tuple(rung.plan.name for rung in LADDER)


def relative_db(
    results: Results, name: str, plan: str, case: str, ratio: bool, field: str
) -> float:
    """The SDR of `plan` relative to `classic` with ratio masks, in dB, on one song."""
    classic = results.row(name, contender="classic", case=case, ratio=True)
    return results.row(name, contender=plan, case=case, ratio=ratio)[field] - classic[field]


def over_songs(
    results: Results,
    name: str,
    plan: str,
    cases: Iterable[str],
    ratio: bool = True,
    field: str = "sdr_db",
) -> Summary:
    """`relative_db` over songs; versions at other speeds, NAME@SPEED, belong to their song."""
    figures = [
        (case.partition(AT_SPEED)[0], relative_db(results, name, plan, case, ratio, field))
        for case in cases
    ]
    summary = summarise(figures)
    assert summary is not None and summary.low is not None  # more songs than one
    return summary


def _spread(summary: Summary) -> tuple[float, ...]:
    """Mean, ends of the interval, worst song."""
    assert summary.low is not None and summary.high is not None
    return summary.centre, summary.low, summary.high, summary.by_song[summary.worst]


# The cells of `_spread`, and their headings.
_SPREAD = "{:+.2f} | {:+.2f} to {:+.2f} | {:+.2f}"
_INTERVAL = f"{100 * CONFIDENCE:.0f} %"


def ladder() -> Table:
    """All plans that are worth choosing between, on each song."""

    def figures(plan: str) -> Callable[[Results], Figures]:
        def of(results: Results) -> Figures:
            def over(ratio: bool, field: str) -> Summary:
                return over_songs(results, "quality-ladder", plan, SONGS, ratio, field)

            all_nets = over(True, "sdr_db")
            latency_ms = results.row("quality-ladder", contender=plan)["latency_ms"]
            more = over(True, "si_sdr_db").centre, over(False, "sdr_db").centre
            each = (all_nets.by_song[song] for song in SONGS)
            return (latency_ms, *_spread(all_nets), *each, *more)

        return of

    cells = f"{{:.0f}} | {_SPREAD} | " + " | ".join(["{:+.2f}"] * (2 + len(SONGS)))
    lines = tuple(Line(f"`{plan}`", cells, figures(plan)) for plan in LADDER_PLANS)
    headings = (
        "plan", "ms", f"all nets, mean of {len(SONGS)} songs", _INTERVAL, "worst song",
        *SONGS.values(), "SI-SDR, mean", "one net, mean",
    )  # fmt: skip
    return Table(headings, lines, ("quality-ladder",))


def speeds() -> Table:
    """Some plans on the songs at all speeds."""

    def figures(plan: str) -> Callable[[Results], Figures]:
        def of(results: Results) -> Figures:
            cases = [
                song if speed == "1" else f"{song}{AT_SPEED}{speed}"
                for song, speed in product(SONGS, SPEEDS)
            ]
            over = over_songs(results, "quality-speeds", plan, cases)
            every = [
                relative_db(results, "quality-speeds", plan, case, True, "sdr_db") for case in cases
            ]
            latency_ms = results.row("quality-speeds", contender=plan)["latency_ms"]
            each = (over.by_song[song] for song in SONGS)
            return latency_ms, *_spread(over), *each, min(every), max(every)

        return of

    cells = f"{{:.0f}} | {_SPREAD} | " + " | ".join(["{:+.2f}"] * (2 + len(SONGS)))
    lines = tuple(Line(f"`{plan}`", cells, figures(plan)) for plan in SPEED_PLANS)
    means = tuple(f"{song}, mean" for song in SONGS.values())
    headings = (
        "plan", "ms", f"mean of {len(SONGS)} songs at {len(SPEEDS)} speeds", _INTERVAL, "worst song",
        *means, "worst version", "best version",
    )  # fmt: skip
    return Table(headings, lines, ("quality-speeds",))


def levels() -> Table:
    """Songs turned down, with and without the network level."""

    def figures(plan: str) -> Callable[[Results], Figures]:
        def mean_db(results: Results, plan: str, level_db: float, auto_level: bool) -> float:
            return fmean(
                results.row("quality-levels", contender=plan, case=song, level_db=level_db,
                            auto_level=auto_level)["sdr_db"]
                for song in SONGS
            )  # fmt: skip

        def of(results: Results) -> Figures:
            classic = mean_db(results, "classic", 0, True)
            return tuple(
                # Adding 0 takes the sign from -0.
                round(mean_db(results, plan, level_db, auto_level) - classic, 2) + 0.0
                for level_db in LEVELS_DB
                for auto_level in (True, False)
            )

        return of

    cells = " | ".join(["{:+.2f} / {:+.2f}"] * len(LEVELS_DB))
    lines = tuple(Line(f"`{plan}`", cells, figures(plan)) for plan in LEVEL_PLANS)
    headings = (
        f"plan, {len(SONGS)} songs",
        "as they are",
        *(f"{level_db} dB" for level_db in LEVELS_DB[1:]),
    )
    return Table(headings, lines, ("quality-levels",))


def demo_song() -> Table:
    """The named plans on the song that any machine can get."""

    def figures(plan: str) -> Callable[[Results], Figures]:
        def of(results: Results) -> Figures:
            row = results.row("quality-demo", contender=plan, ratio=True)
            return row["sdr_db"], relative_db(
                results, "quality-demo", plan, row["case"], True, "sdr_db"
            )

        return of

    lines = tuple(Line(f"`{plan}`", "{:.2f} | {:+.2f}", figures(plan)) for plan in PLANS)
    return Table(("plan, 1 song", "SDR, dB", "against `classic`, dB"), lines, ("quality-demo",))
