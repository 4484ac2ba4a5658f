"""Draws the pictures of docs/how-it-works.md in docs/pictures, all from what rtsep computes.

    python scripts/draw_method.py [--folder DIR]                    overlap-add.svg, timeline.svg
    python scripts/draw_method.py SONG [--start S] [--weights W]    also mask.png

The windows and the times are those of the plans. The mask is that of the vocals, of the 2-stem
networks on 6 s of SONG. The picture in the repository shows 6 s of "lithium", from --start 19 of the
excerpt that docs/experiments.md uses (see NOTICE.md); the demo's song is one that any machine can get.
Needs the environment that scripts/test.py sets up.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray
from PIL import Image

from rtsep.cli.common import run
from rtsep.constants import FRAME_LENGTH, HOP, SAMPLE_RATE
from rtsep.dsp.masking import OFFICIAL_EXPONENT, mask_extension, ratio_mask
from rtsep.dsp.stft import Analysis, magnitudes
from rtsep.dsp.windows import WindowPair, asymmetric_pair, hann_pair
from rtsep.live.plans.plan import PLANS, StreamPlan
from rtsep.nets.registry import find_model
from rtsep.nets.unet import UNet, UNetState
from rtsep_bench import choose_weights, options
from rtsep_bench.sound import song

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"
# A white card, which can be read on a light page and on a dark one. Text is drawn as curves, so that
# it looks the same everywhere; the salt and the missing date make the same file at every run.
STYLE: dict[Any, Any] = {
    "font.size": 10, "svg.fonttype": "path", "svg.hashsalt": "rtsep", "figure.facecolor": "white",
    "axes.spines.top": False, "axes.spines.right": False,
}  # fmt: skip
BLUE, ORANGE, GREEN, GREY = "#3b6fb6", "#d9772b", "#4d9a51", "#8a8a8a"
HOP_MS = 1000 * HOP / SAMPLE_RATE

FRAMES = 256  # of the song, what the networks see at once
HIGHEST_HZ = 4500
DARKEST_DB = -60


def main() -> int:
    """Draw the pictures; returns the exit status."""
    parser = argparse.ArgumentParser(description="Draw the pictures of docs/how-it-works.md.")
    parser.add_argument("song", nargs="?", type=Path, help="draw the mask of this file's vocals")
    parser.add_argument("--start", type=float, default=0.0, help="seconds to skip (0)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="default: docs/pictures")
    options.add_weights(parser)
    arguments = parser.parse_args()
    with rc_context(STYLE):
        return run("draw_method", lambda: draw(arguments))


def draw(arguments: argparse.Namespace) -> int:
    """Draw what the options ask for."""
    figures = {"overlap-add.svg": overlap_add(), "timeline.svg": timeline()}
    if arguments.song is not None:
        figures["mask.png"] = mask(arguments.song, arguments.start, arguments.weights)
    for name, figure in figures.items():
        file = arguments.folder / name
        if file.suffix == ".svg":
            figure.savefig(file, metadata={"Date": None})
        else:
            _save_small(figure, file)
    return 0


def _save_small(figure: Figure, file: Path) -> None:
    """Write a PNG of few colours, which takes a third of the bytes and looks the same."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100)
    Image.open(content).convert("RGB").quantize(128, kmeans=2).save(file, optimize=True)


# --- the mask -----------------------------------------------------------------------------------


def mask(path: Path, start_s: float, weights: str | None) -> Figure:
    """The magnitudes of a song, the mask of its vocals, and the product of both."""
    config = find_model("spleeter:2stems")
    kind = choose_weights.choose(config, weights, lambda text: print(text, file=sys.stderr))
    nets = [UNet(config, arrays) for arrays in choose_weights.load(config, kind).values()]
    length_s = (FRAME_LENGTH + (FRAMES - 1) * HOP) / SAMPLE_RATE
    sound = song(path, start_s + length_s)[round(start_s * SAMPLE_RATE) :]
    mixture, vocals = mixture_and_mask(sound, nets, config.bins)

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    loudest = mixture.max()
    decibels = [20 * np.log10(part / loudest + 1e-9) for part in (mixture, vocals * mixture)]
    levels = {"cmap": "magma", "vmin": DARKEST_DB, "vmax": 0}
    _image(panels[0], "mixture", decibels[0], levels)
    _image(panels[1], "× mask (black: 0, white: 1)", vocals, {"cmap": "gray"})
    loudness = _image(panels[2], "= vocals", decibels[1], levels)
    panels[0].set_ylabel("frequency, kHz")
    figure.colorbar(loudness, ax=panels, label="dB", aspect=30)
    return figure


def mixture_and_mask(
    sound: NDArray[np.float32], nets: list[UNet], bins: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Magnitudes and the ratio mask of the first net's stem, left channel, (FRAMES, bins) each."""
    spectra = np.zeros((FRAMES, 2, FRAME_LENGTH // 2 + 1), np.complex64)
    Analysis(hann_pair(FRAME_LENGTH, HOP), 2, FRAMES).transform(sound, spectra)
    seen = np.zeros((FRAMES, bins, 2), np.float32)
    magnitudes(spectra, seen)
    estimates = np.zeros((len(nets), FRAMES, 2, bins), np.float32)
    state = UNetState(FRAMES, bins)
    for net, estimate in zip(nets, estimates):
        state.run(net, seen, estimate)
    members = np.arange(len(nets)) == 0
    shares = np.zeros(spectra.shape, np.float32)
    ratio_mask(
        estimates, seen, members, OFFICIAL_EXPONENT, 0, FRAMES, mask_extension("zeros"), shares
    )
    return seen[:, :, 0], shares[:, 0, :bins]


def _image(axes: Axes, title: str, values: NDArray, colours: dict[str, Any]) -> AxesImage:
    """Show (frames, bins) with time to the right and frequency upwards."""
    bins = round(HIGHEST_HZ * FRAME_LENGTH / SAMPLE_RATE)
    extent = (0, FRAMES * HOP / SAMPLE_RATE, 0, bins * SAMPLE_RATE / FRAME_LENGTH / 1000)
    axes.set_title(title, fontsize=11)
    axes.set_xlabel("time, s")
    return axes.imshow(values[:, :bins].T, origin="lower", aspect="auto", extent=extent, **colours)


# --- overlap-add --------------------------------------------------------------------------------


def overlap_add() -> Figure:
    """Both pairs of windows, and the sum of their products over the overlapping frames."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    columns = figure.subplots(2, 2, sharex="col", sharey="row", height_ratios=(2, 3)).T
    pairs = {"Hann": hann_pair, "asymmetric": asymmetric_pair}
    for (windows, sums), (name, make) in zip(columns, pairs.items()):
        pair = make(FRAME_LENGTH, HOP)
        hops = np.arange(FRAME_LENGTH) / HOP
        windows.set_title(f"{name}: complete after {pair.overlap_hops} hops", fontsize=11)
        windows.plot(hops, pair.analysis, color=BLUE, label="analysis")
        windows.plot(hops, pair.synthesis, color=ORANGE, label="synthesis")
        _draw_products(sums, pair)
        sums.set_xlabel("time, hops")
        sums.set_xticks(range(9))
    columns[0][0].set_ylabel("one frame")
    columns[0][1].set_ylabel("five frames")
    figure.legend(
        handles=[*columns[1][0].lines, *columns[1][1].lines[-2:]],
        loc="outside lower center", ncols=4, frameon=False,
    )  # fmt: skip
    return figure


def _draw_products(axes: Axes, pair: WindowPair, frames: int = 5) -> None:
    product = pair.analysis * pair.synthesis
    total = np.zeros((frames - 1) * HOP + FRAME_LENGTH)
    for frame in range(frames):
        at = frame * HOP + np.arange(FRAME_LENGTH)
        total[at] += product
        heard = at[pair.synthesis_start :]
        axes.plot(heard / HOP, product[pair.synthesis_start :], GREY, label="product of both")
    axes.plot(
        np.arange(len(total)) / HOP, total, color=GREEN, linewidth=2, label="sum of the products"
    )


# --- the timeline -------------------------------------------------------------------------------


def timeline() -> Figure:
    """What a sample waits for, from its way in to its way out: `low` above `classic`."""
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    low, classic = figure.subplots(2, 1)
    _draw_way(low, PLANS["low"], "ms", HOP_MS)
    _draw_way(classic, PLANS["classic"], "s", HOP_MS / 1000)
    return figure


def _draw_way(axes: Axes, plan: StreamPlan, unit: str, hop: float) -> None:
    """Draw one plan. The sample comes in at 0; hop: the length of a hop in `unit`.

    Of the frames that contribute to the sample the last one is complete one overlap later. The parts
    that follow are those of StreamPlan.delay_hops.
    """

    def bar(row: float, begin: float, end: float, colour: str, **look: Any) -> None:
        axes.barh(row, (end - begin) * hop, left=begin * hop, height=0.7, color=colour, **look)

    complete = plan.windows.overlap_hops
    seen = complete + plan.look_ahead + plan.stride - 1
    out = seen + plan.compute_delay
    parts = [
        ("overlap-add", complete, GREEN),
        ("look-ahead", plan.look_ahead, BLUE),
        ("stride - 1:", plan.stride - 1, BLUE),
        ("compute delay", plan.compute_delay, ORANGE),
    ]
    begin = 0.0
    for name, hops, colour in parts:
        if hops:
            bar(0, begin, begin + hops, colour, edgecolor="white")
            fits = hops > 0.1 * out
            axes.text(
                (begin + hops / 2) * hop if fits else 0, 0 if fits else -0.5,
                f"{name} {hops:g}", fontsize=9, color="white" if fits else colour,
                va="center" if fits else "bottom", ha="center" if fits else "left",
            )  # fmt: skip
        begin += hops
    bar(1, complete - FRAME_LENGTH / HOP, complete, GREEN, alpha=0.4)
    bar(2, seen - plan.real_frames, seen, BLUE, alpha=0.4)
    bar(2, complete - 1, complete, BLUE)
    bar(2, seen, seen + plan.extrapolated, "white", edgecolor=BLUE, hatch="///", alpha=0.5)
    bar(3, seen, out, ORANGE, alpha=0.4)
    for at in (0, out * hop):
        axes.axvline(at, color="black", linewidth=1, linestyle=":")
    axes.set_title(f"{plan.name}: {out * hop:.3g} {unit}", fontsize=11)
    axes.set_xlabel(f"time since the sample came in, {unit}")
    axes.set_yticks(range(4), ("delay, in hops", "its last frame", "networks see", "networks run"))
    axes.set_ylim(3.6, -1)
    axes.set_xlim(-max(2.2, 0.05 * out) * hop, (out + max(1, 0.05 * out)) * hop)


if __name__ == "__main__":
    sys.exit(main())
