"""All stems to one device of many channels: each on a pair of its own, to be mixed elsewhere.

python examples/multichannel.py [SECONDS] [DEVICE]
"""

import sys
from typing import Any

import numpy as np
import sounddevice

import rtsep

RATE = 44_100


def main(seconds: str = "60", device: str | None = None) -> None:
    """Separate what the device hears for so long; its outputs 1 and 2 are the first stem, and so on."""
    with rtsep.LiveSeparator(
        "spleeter:2stems",
        latency="balanced",
        masking="ratio",
        sample_rate=RATE,
        separate_stems=True,
    ) as live:

        def callback(
            heard: np.ndarray, out: np.ndarray, samples: int, time: Any, status: Any
        ) -> None:
            live.process_stems(heard, out)

        channels = 2, 2 * len(live.stems)
        with sounddevice.Stream(RATE, 1024, device, channels, callback=callback):
            print(f"stems on outputs 1 to {channels[1]}: {', '.join(live.stems)}", flush=True)
            sounddevice.sleep(round(1000 * float(seconds)))


if __name__ == "__main__":
    main(*sys.argv[1:])
