"""A JACK client for the tests: plays an impulse when told to, and notes when it hears one.

Run as a program of its own beside a JACK server. Prints ``ready`` once its ports exist; for every
line on its standard input it plays one impulse, and prints after how many samples it heard it.
"""

from __future__ import annotations

import queue
import sys

import numpy as np
import sounddevice

RATE = 44_100
# The impulse is this loud and heard above half of it.
LEVEL = 0.5
TIMEOUT_S = 20.0


def main() -> None:
    heard: queue.SimpleQueue[int] = queue.SimpleQueue()
    state = {"sample": 0, "play": False, "played": -1}

    def callback(indata, outdata, frames, _time, _status):
        outdata[:] = 0.0
        if state["play"]:
            state["play"] = False
            state["played"] = state["sample"]
            outdata[0] = LEVEL
        loud = np.flatnonzero(indata[:, 0] > LEVEL / 2)
        if state["played"] >= 0 and len(loud):
            heard.put(state["sample"] + int(loud[0]) - state["played"])
            state["played"] = -1
        state["sample"] += frames

    names = [api["name"] for api in sounddevice.query_hostapis()]
    jack = names.index("JACK Audio Connection Kit")
    device = sounddevice.query_hostapis(jack)["default_output_device"]
    with sounddevice.Stream(
        samplerate=RATE, channels=1, dtype="float32", device=(device, device), callback=callback
    ):
        print("ready", flush=True)
        for _ in sys.stdin:
            state["play"] = True
            print(heard.get(timeout=TIMEOUT_S), flush=True)


if __name__ == "__main__":
    main()
