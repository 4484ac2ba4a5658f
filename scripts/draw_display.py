"""Draws docs/pictures/display.svg, the picture of rtsep-monitor's display in the README.

    python scripts/draw_display.py [--seconds S] [--model NAME] [FILE]

The picture is the display itself: the engine plays a seeded sound at its own pace, with seeded
weights in place of genuine ones, and every figure in the picture is what the display read from it.
Needs the environment that scripts/test.py sets up.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import threading
import time
from pathlib import Path

from rich.console import Console

from rtsep.cli.terminal.display import LiveDisplay
from rtsep.constants import SAMPLE_RATE
from rtsep.live.engine import Engine
from rtsep.live.file_session import run_paced
from rtsep.live.mixer import MixControls
from rtsep.live.plans.plan import PLANS
from rtsep.nets.registry import find_model
from rtsep.nets.unet import UNet
from rtsep_bench.made_up import made_up_stems
from rtsep_bench.sound import music

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "display.svg"
WIDTH = 88
BLOCK_SAMPLES = 1024
TICK_S = 0.05


def main() -> int:
    """Draw the picture; returns the exit status."""
    parser = argparse.ArgumentParser(description="Draw rtsep-monitor's display as an SVG.")
    parser.add_argument("file", nargs="?", type=Path, default=PICTURE)
    parser.add_argument("--seconds", type=float, default=20.0, help="play this long (20)")
    parser.add_argument("--model", default="spleeter:4stems", help="default: %(default)s")
    arguments = parser.parse_args()
    arguments.file.write_text(draw(arguments.model, arguments.seconds), encoding="utf-8")
    return 0


def draw(model: str, seconds: float) -> str:
    """Play for `seconds` and return the display's last picture as SVG text."""
    config, plan = find_model(model), PLANS["balanced"]
    nets = [UNet(config, arrays) for arrays in made_up_stems(config).values()]
    engine = Engine(config, nets, plan, {"vocals": 1.0})
    controls = MixControls(engine, {"vocals": 1.0})
    header = [
        f"heard   vocals ({model} with made-up weights, {len(nets)} nets)",
        f"latency {plan.latency_ms:.1f} ms: plan {plan.name}",
    ]
    console = Console(
        file=io.StringIO(), force_terminal=True, color_system="truecolor", width=WIDTH, record=True
    )
    display = LiveDisplay(engine, controls, header, console)
    sound = music(seconds)
    blocks = (sound[at : at + BLOCK_SAMPLES] for at in range(0, len(sound), BLOCK_SAMPLES))
    audio = threading.Thread(target=lambda: list(run_paced(engine, blocks)), daemon=True)
    engine.start()
    try:
        audio.start()
        display.start()
        while audio.is_alive():
            engine.check()
            display.refresh(time.monotonic())
            time.sleep(TICK_S)
        # The record holds every picture so far. rich draws the last one once more below what is
        # printed, as it does on a terminal.
        console.export_text(clear=True)
        console.print("\n".join(header), markup=False, highlight=False)
        picture = console.export_svg(title="rtsep-monitor", unique_id="rtsep")
        display.stop()
    finally:
        engine.stop()
    if engine.played_s < seconds - 2 * BLOCK_SAMPLES / SAMPLE_RATE:
        raise RuntimeError(f"the engine ended after {engine.played_s:.1f} of {seconds:g} s")
    # Without the web font: a page that shows the picture should load nothing else.
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)


if __name__ == "__main__":
    sys.exit(main())
