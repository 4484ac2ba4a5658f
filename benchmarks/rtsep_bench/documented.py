"""What README.md and docs/latency.md say in figures, each as the page has it.

A test holds the pages to the recorded results; `rtsep-bench claims` writes the same sentences with the
figures of another machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rtsep.live.plans.plan import PLANS
from rtsep_bench.measurements import NotMeasured, Results

README, LATENCY = "README.md", "docs/latency.md"

NETS = {
    "latency-vocals": "vocals by one net",
    "latency-2stems": "2 nets",
    "latency-4stems": "4 nets",
}
PEERS = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime", "torch": "torch"}
TEN_MINUTES = ("latency-2stems-low-10min", "latency-4stems-low-10min", "latency-4stems-busy")


@dataclass(frozen=True)
class Claim:
    """A piece of a page.

    about: what it is of, for tables. text: as the page has it, with a field for each figure.
    figures: takes them from results, in the order of the fields.
    """

    about: str
    text: str
    figures: Callable[[Results], tuple[float, ...]]
    page: str = README

    def figures_in(self, results: Results) -> tuple[float, ...] | None:
        """The figures of `results`; None where they were not measured."""
        try:
            return self.figures(results)
        except NotMeasured:
            return None


def claims() -> Iterator[Claim]:
    """All of them, in the order of the pages."""
    for plan in PLANS:
        yield _cpu(plan)
    yield from _peers()
    yield from _offline()
    for name, nets in NETS.items():
        for plan in PLANS:
            yield _live(name, plan, nets)
    yield from _ten_minutes()
    yield _ordinary_priority()
    yield Claim(
        "memory of `classic` by itself", "4 nets by itself takes {:.0f} MB",
        lambda results: (results.row("latency-4stems-classic")["rss_mb"],),
    )  # fmt: skip
    yield _quality()
    yield from _slide()


def _cpu(plan: str) -> Claim:
    return Claim(
        f"CPU of both cores, `{plan}`: one net, 2, 4", "| {:.0f} % | {:.0f} % | {:.0f} % |",
        lambda results: tuple(
            100 * results.row(name, contender=plan)["cpu_load"] for name in NETS
        ),
    )  # fmt: skip


def _peers() -> Iterator[Claim]:
    def figures(peer: str, *names: str) -> Callable[[Results], tuple[float, ...]]:
        def of(results: Results) -> tuple[float, ...]:
            row = results.row("peers", contender=peer, case="unet-T128")
            return tuple(row[name] for name in names)

        return of

    times = ("min_ms", "median_ms")
    yield Claim("one U-Net: rtsep", "| **rtsep** | {:.1f}, {:.1f} | 1 |", figures("rtsep", *times))
    for peer, name in PEERS.items():
        yield Claim(
            f"one U-Net: {name}", "| {:.1f}, {:.1f} | {:.2f} |",
            figures(peer, *times, "ratio_to_rtsep"),
        )  # fmt: skip


def _offline() -> Iterator[Claim]:
    def figures(stems: int) -> Callable[[Results], tuple[float, ...]]:
        def of(results: Results) -> tuple[float, ...]:
            row = results.row("offline", case=f"offline-{stems}stems")
            return row["times_real_time"], row["first_output_s"], row["peak_rss_mb"]

        return of

    for stems in (2, 4, 5):
        text = f"| {stems} stems | {{:.0f}} | {{:.1f}} s | {{:.0f}} MB |"
        yield Claim(f"files, {stems} stems", text, figures(stems))
    yield Claim(
        "agreement with the official pipeline", "computed in float64, to {:.0f} dB",
        lambda results: (
            min(row["snr_db"] for row in results.rows("offline") if "snr_db" in row),
        ),
    )  # fmt: skip


def _live(name: str, plan: str, nets: str) -> Claim:
    def figures(results: Results) -> tuple[float, ...]:
        row = results.row(name, contender=plan)
        worker, callback = row["worker_ms"], row["callback_ms"]
        return (
            worker["p50"], worker["p99"], callback["p99"], callback["max"], row["late_masks"],
            row["hops"], row["rss_mb"],
        )  # fmt: skip

    deadline_ms = PLANS[plan].deadline_ms
    deadline = f"{deadline_ms:.1f}" if deadline_ms < 1000 else f"{deadline_ms:.0f}"
    return Claim(
        f"live, `{plan}`, {nets}",
        f"| `{plan}`, {nets} | {{:.1f}} / {{:.1f}} of {deadline} ms | {{:.1f}} / {{:.1f}} ms "
        "| {} of {} | {:.0f} MB |",
        figures,
    )


def _ten_minutes() -> Iterator[Claim]:
    yield Claim(
        "ten minutes: late masks", "{}, {} and {} late masks of {}",
        lambda results: (
            *(results.row(name)["late_masks"] for name in TEN_MINUTES),
            results.row(TEN_MINUTES[0])["hops"],
        ),
    )  # fmt: skip
    yield Claim(
        "ten minutes: the machine's longest stalls", "for up to {:.0f}, {:.0f} and {:.0f} ms",
        lambda results: tuple(results.row(name)["longest_stall_ms"] for name in TEN_MINUTES),
    )  # fmt: skip


def _ordinary_priority() -> Claim:
    def figures(results: Results) -> tuple[float, ...]:
        row = results.row("latency-4stems-ordinary")
        return row["late_masks"], row["hops"]

    return Claim("at ordinary priority: late masks", "{} of {} masks were late", figures)


def _quality() -> Claim:
    def figures(results: Results) -> tuple[float, ...]:
        low, balanced, classic = (
            results.row("quality-demo", contender=plan, ratio=True)["sdr_db"] for plan in PLANS
        )
        return low - classic, balanced - classic

    return Claim(
        "the demo's song, `low` and `balanced` against `classic`",
        "on the demo's song {:+.2f} and {:+.2f} dB",
        figures,
    )


def _slide() -> Iterator[Claim]:
    def percent(*cases: str) -> Callable[[Results], tuple[float, ...]]:
        def of(results: Results) -> tuple[float, ...]:
            rows = [
                results.row("slide", contender="rows heard and new", case=case) for case in cases
            ]
            return tuple(
                100 * row[name] for row in rows for name in ("ratio_to_whole", "flop_ratio")
            )

        return of

    for about, text, cases in (
        ("T 64, h 1", "h 1, d 1 {:.0f} % ({:.0f} %)", ("64/1/1/1/hann",)),
        ("T 64, h 1, presuming", "presumed frames {:.0f} % ({:.0f} %)", ("64/1/1/1/hann/4",)),
        (
            "T 128, h 1, 4, 8", "{0:.0f}, {2:.0f} and {4:.0f} % at h 1, 4 and 8 "
            "({1:.0f}, {3:.0f}, {5:.0f} %)", ("128/1/1/1/hann", "128/4/1/4/hann", "128/8/1/8/hann"),
        ),
    ):  # fmt: skip
        yield Claim(f"a run's time (operations): {about}", text, percent(*cases), LATENCY)
