"""Draws docs/pictures/control.png: the control's page as a phone shows it.

    python scripts/draw_control.py [--seconds S] [FILE]

The page is the real one, in Chromium: the engine plays a seeded sound at its own pace, with seeded
weights in place of genuine ones, and every figure in the picture is what the page was told of it.
Needs the environment that scripts/test.py sets up, and Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import threading
import time
from pathlib import Path

from rtsep.control.address import Address
from rtsep.control.control import Control
from rtsep.control.protocol import make_command
from rtsep.control.stream import StreamCommands
from rtsep.control.ways import page_way
from rtsep.live.engine import Engine
from rtsep.live.file_session import run_paced
from rtsep.live.mixer import MixControls
from rtsep.live.plans.plan import PLANS
from rtsep.live.priority import session_first
from rtsep.live.process_settings import live_process
from rtsep.live.stats import latency_parts_ms
from rtsep.nets.precision import find_precision
from rtsep.nets.registry import find_model
from rtsep.nets.unet import UNet
from rtsep_bench.made_up import made_up_stems
from rtsep_bench.sound import music

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "control.png"
PHONE = {"width": 390, "height": 844}
BLOCK_SAMPLES = 1024
TICK_S = 0.05


def main() -> int:
    """Draw the picture; returns the exit status."""
    parser = argparse.ArgumentParser(description="Draw the control's page as a PNG.")
    parser.add_argument("file", nargs="?", type=Path, default=PICTURE)
    parser.add_argument("--seconds", type=float, default=20.0, help="play this long (20)")
    arguments = parser.parse_args()
    draw(arguments.file, arguments.seconds)
    return 0


def draw(file: Path, seconds: float) -> None:
    """Play for `seconds`, serve the page meanwhile, and take its picture near the end."""
    config, plan = find_model("spleeter:2stems"), PLANS["balanced"]
    precision = find_precision(None, paced=True, config=config).precision
    nets = [UNet(config, arrays, precision) for arrays in made_up_stems(config).values()]
    engine = Engine(config, nets, plan, {"accompaniment": 1.0})
    commands = StreamCommands(
        engine,
        MixControls(engine, {"accompaniment": 1.0}),
        lambda: latency_parts_ms(plan.latency_ms),
    )
    commands.perform(make_command("gain", stem="accompaniment", db=-3))
    sound = music(seconds)
    blocks = [sound[at : at + BLOCK_SAMPLES] for at in range(0, len(sound), BLOCK_SAMPLES)]

    def play() -> None:
        for _ in run_paced(engine, blocks):
            pass

    player = threading.Thread(target=play)
    with Control([page_way(Address(port=0))], print) as control, session_first(), live_process():
        engine.start()
        url = control.begin(commands, "rtsep-monitor")[0].removeprefix("control ")
        player.start()
        photographer = threading.Thread(target=_photograph, args=(url, file, 0.6 * seconds))
        photographer.start()
        while photographer.is_alive():
            control.wait(TICK_S)
        player.join()
        engine.stop()


def _photograph(url: str, file: Path, after_s: float) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
        )
        page = browser.new_page(viewport=PHONE)  # type: ignore[arg-type]
        page.goto(url)
        page.wait_for_selector("rtsep-strip")
        time.sleep(after_s)
        page.screenshot(path=file)
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
