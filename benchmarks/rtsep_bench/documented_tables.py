"""The tables of figures in the documentation: their rows, and the results each figure is taken from."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from statistics import fmean

from rtsep.live.plans.plan import PLANS
from rtsep_bench.documented_quality import (
    SONGS,
    demo_song,
    ladder,
    levels,
    over_songs,
    speeds,
)
from rtsep_bench.figure_table import Figures, Line, Table
from rtsep_bench.measurements import Results

LIVE = {"latency-vocals": "1 net", "latency-2stems": "2 nets", "latency-4stems": "4 nets"}
# In float32, and OpenVINO as it comes; by contender.
PEERS = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime", "torch": "torch"}
PEER_IN_HALF = "openvino-default"
CONTENDERS = {
    "rtsep-auto": "**rtsep**, as with devices (bfloat16)",
    PEER_IN_HALF: "OpenVINO, as it comes (bfloat16)",
    "rtsep": "**rtsep**, as with files (float32)",
    **{peer: f"{label}, float32" for peer, label in PEERS.items()},
}
LONG_RUNS = {
    "latency-2stems-low-10min": "`low`, 2 nets, 10 minutes",
    "latency-4stems-low-10min": "`low`, 4 nets, 10 minutes, beside 4 busy programs",
    "latency-4stems-busy": "`64/2/1/2/asymmetric/4`, 4 nets, 10 minutes, beside 1 busy program",
    "latency-4stems-ordinary": "`low`, 4 nets, 1 minute, beside 4 busy programs, ordinary priority",
}
SLIDES = {
    "64/1/1/1/hann": "T 64, h 1, d 1",
    "64/1/1/1/hann/4": "T 64, h 1, d 1, 4 extrapolated frames",
    "128/1/1/1/hann": "T 128, h 1, d 1",
    "128/4/1/4/hann": "T 128, h 4, d 1",
    "128/8/1/8/hann": "T 128, h 8, d 1",
}
# By measurement and whether all nets run.
SPEECH = {
    ("speech", True): "read by espeak-ng",
    ("speech-recordings", True): "recordings",
    ("speech-recordings", False): "recordings, one net",
}
SPEECH_USES = {
    "voices-only": "`--voices-only`",
    "dialogue 6": "`--dialogue 6`",
    "dialogue 12": "`--dialogue 12`",
}
SPEECH_SNRS_DB = (0, 5)
MEMORY_ALONE = "latency-4stems-classic"


def _fields(
    name: str, *fields: str, factor: float = 1, **wanted: object
) -> Callable[[Results], Figures]:
    """A function that takes `fields` of the first row that has the values `wanted`."""

    def figures(results: Results) -> Figures:
        row = results.row(name, **wanted)
        return tuple(factor * row[field] for field in fields)

    return figures


def _joined(*parts: Callable[[Results], Figures]) -> Callable[[Results], Figures]:
    """A function that gives the figures of several others, one after the other."""
    return lambda results: tuple(figure for part in parts for figure in part(results))


# --- speed ------------------------------------------------------------------------------------------


def _peers() -> Table:
    def line(peer: str, label: str) -> Line:
        fields = ("min_ms", "median_ms", "ratio_to_rtsep", "ratio_to_rtsep_auto")
        figures = _fields("peers", *fields, contender=peer, case="unet-T128")
        return Line(label, "{:.1f} | {:.1f} | {:.2f} | {:.2f}", figures)

    lines = [line(peer, label) for peer, label in CONTENDERS.items()]
    headings = (
        "one U-Net, 128 frames, one thread",
        "fastest, ms",
        "median, ms",
        "time over rtsep's in float32",
        "in bfloat16",
    )
    return Table(headings, tuple(lines), ("peers",))


def _offline() -> Table:
    fields = ("times_real_time", "first_output_s", "peak_rss_mb")
    lines = tuple(
        Line(
            f"{stems} stems", "{:.0f} | {:.1f} s | {:.0f} MB",
            _fields("offline", *fields, case=f"offline-{stems}stems"),
        )
        for stems in (2, 4, 5)
    )  # fmt: skip
    return Table(
        ("60 s of sound", "times real time", "first output", "peak memory"), lines, ("offline",)
    )


def _agreement() -> Table:
    def line(extension: str, stem: str) -> Line:
        figures = _fields("offline", "snr_db", mask_extension=extension, stem=stem)
        return Line(f"`{extension}`, {stem}", "{:.0f} dB", figures)

    lines = tuple(
        line(extension, stem)
        for extension in ("zeros", "average")
        for stem in ("vocals", "accompaniment")
    )
    return Table(("stem", "signal-to-noise ratio"), lines, ("offline",))


def _slide() -> Table:
    lines = tuple(
        Line(
            label, "{:.0f} % | {:.0f} %",
            _fields("slide", "ratio_to_whole", "flop_ratio", factor=100,
                    contender="rows heard and new", case=case),
        )
        for case, label in SLIDES.items()
    )  # fmt: skip
    return Table(("a run of", "time, of the whole net's", "operations"), lines, ("slide",))


# --- live -------------------------------------------------------------------------------------------


def _load() -> Table:
    lines = tuple(
        Line(
            f"`{plan}`", "{:.0f} % | {:.0f} % | {:.0f} %",
            _joined(*(_fields(name, "cpu_load", factor=100, contender=plan) for name in LIVE)),
        )
        for plan in PLANS
    )  # fmt: skip
    return Table(("plan", *LIVE.values()), lines, tuple(LIVE))


def _live() -> Table:
    def figures(name: str, plan: str) -> Callable[[Results], Figures]:
        def of(results: Results) -> Figures:
            row = results.row(name, contender=plan)
            worker, callback = row["worker_ms"], row["callback_ms"]
            return (
                worker["p50"], worker["p99"], row["deadline_ms"], callback["p99"], callback["max"],
                row["late_masks"], row["hops"], row["rss_mb"],
            )  # fmt: skip

        return of

    cells = "{:.1f} / {:.1f} of {:.1f} ms | {:.1f} / {:.1f} ms | {:.0f} of {:.0f} | {:.0f} MB"
    lines = [
        Line(f"`{plan}`, {nets}", cells, figures(name, plan))
        for name, nets in LIVE.items()
        for plan in PLANS
    ]
    lines.append(Line("`classic`, 4 nets, by itself", cells, figures(MEMORY_ALONE, "classic")))
    headings = (
        "plan", "worker, median / p99 of its deadline", "callback, p99 / worst", "late masks", "memory",
    )  # fmt: skip
    return Table(headings, tuple(lines), (*LIVE, MEMORY_ALONE))


def _long_runs() -> Table:
    lines = tuple(
        Line(
            label, "{:.0f} of {:.0f} | {:.0f} ms",
            _fields(name, "late_masks", "hops", "longest_stall_ms"),
        )
        for name, label in LONG_RUNS.items()
    )  # fmt: skip
    return Table(("run", "late masks", "longest stall of the machine"), lines, tuple(LONG_RUNS))


# --- speech -----------------------------------------------------------------------------------------


def _speech() -> Table:
    def figures(name: str, ratio: bool, plan: str) -> Callable[[Results], Figures]:
        def of(results: Results) -> Figures:
            found: list[float] = []
            for use, snr_db in product(SPEECH_USES, SPEECH_SNRS_DB):
                rows = results.rows(name, contender=plan, ratio=ratio, use=use, snr_db=snr_db)
                gains_db = [row["gain_db"] for row in rows]
                found += [fmean(gains_db), min(gains_db)]
            return tuple(found)

        return of

    cells = " | ".join(["{:+.1f} ({:+.1f})"] * len(SPEECH_USES) * len(SPEECH_SNRS_DB))
    lines = tuple(
        Line(f"`{plan}`, {label}", cells, figures(name, ratio, plan))
        for (name, ratio), label in SPEECH.items()
        for plan in PLANS
    )
    headings = [f"{use}, {snr_db} dB" for use in SPEECH_USES.values() for snr_db in SPEECH_SNRS_DB]
    return Table(("plan, speech", *headings), lines, ("speech", "speech-recordings"))


# --- the README's -----------------------------------------------------------------------------------


def _main_figures() -> Table:
    plans = ", ".join(f"`{plan}`" for plan in PLANS)

    def of_plans(figure: str, unit: str) -> str:
        return f"{', '.join([figure] * len(PLANS))} {unit}"

    def each_plan(name: str, field: str, factor: float = 1) -> Callable[[Results], Figures]:
        return _joined(*(_fields(name, field, factor=factor, contender=plan) for plan in PLANS))

    def quality(results: Results) -> Figures:
        over = [over_songs(results, "quality-ladder", plan, SONGS) for plan in PLANS]
        return tuple(figure for one in over for figure in (one.centre, one.by_song[one.worst]))

    def cpu(stems: int) -> Line:
        figures = each_plan(f"latency-{stems}stems", "cpu_load", 100)
        return Line(
            f"CPU of both cores, {stems} stems, float32, one view", of_plans("{:.0f}", "%"), figures
        )

    latency = each_plan("quality-ladder", "latency_ms")
    file_speed = _fields("offline", "times_real_time", case="offline-2stems")
    ratios = _joined(
        *(_fields("peers", "ratio_to_rtsep", contender=peer, case="unet-T128") for peer in PEERS),
        _fields("peers", "ratio_to_rtsep_auto", contender=PEER_IN_HALF, case="unet-T128"),
    )
    songs = f"vocals: SDR against `classic`, mean of the {len(SONGS)} songs tuned on (worst)"
    lines = (
        Line("latency, without the devices'", of_plans("{:.0f}", "ms"), latency),
        Line(songs, of_plans("{:+.2f} ({:+.2f})", "dB"), quality),
        cpu(2),
        cpu(4),
        Line("a file of 60 s, 2 stems", "{:.0f} times faster than it plays", file_speed),
        Line(
            f"time of one net in {', '.join(PEERS.values())}; in OpenVINO as it comes",
            ", ".join(["{:.2f}"] * len(PEERS)) + " times rtsep's; {:.2f} times, both in bfloat16",
            ratios,
        ),
    )
    sources = ("quality-ladder", "latency-2stems", "latency-4stems", "offline", "peers")
    return Table(("", f"live: {plans}"), lines, sources)


TABLES = {
    "main": _main_figures(),
    "peers": _peers(),
    "offline": _offline(),
    "agreement": _agreement(),
    "load": _load(),
    "live": _live(),
    "long-runs": _long_runs(),
    "demo-song": demo_song(),
    "ladder": ladder(),
    "speeds": speeds(),
    "levels": levels(),
    "slide": _slide(),
    "speech": _speech(),
}
