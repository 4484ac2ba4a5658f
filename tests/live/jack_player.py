"""A JACK client for the tests: plays a song into the graph and notes what comes back, to the sample.

    python jack_player.py SONG HEARD TAIL

SONG and HEARD: raw float32 in stereo. Prints ``ready`` once its ports exist. For a line on its standard
input it plays the song once and then TAIL samples of silence, by the server's clock, which falls behind
on a machine that stands still; then it writes HEARD and prints the drop-outs that it had itself: after
one of these HEARD says nothing about the program in between. HEARD begins with the sample that came in
while the first one of SONG went out, so that the two share a clock. The ports stay until its standard
input ends: to a program that they are connected to their end is that of a device.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import numpy as np
import sounddevice

RATE = 44_100
CHANNELS = 2


def main() -> None:
    """Run beside a JACK server."""
    source, target, tail_samples = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    song = np.fromfile(source, "<f4").reshape(-1, CHANNELS)
    heard = np.zeros((len(song) + tail_samples, CHANNELS), np.float32)
    heard[:] = 0.0  # touched, so that the audio thread meets no page for the first time
    state = {"at": -1, "xruns": 0}
    done = threading.Event()

    def callback(indata, outdata, frames, _time, status):
        outdata[:] = 0.0
        at = state["at"]
        if at < 0:
            return
        state["xruns"] += bool(status)
        part = song[at : at + frames]
        outdata[: len(part)] = part
        room = heard[at : at + frames]
        room[:] = indata[: len(room)]
        state["at"] = at + frames
        if state["at"] >= len(heard):
            done.set()

    names = [api["name"] for api in sounddevice.query_hostapis()]
    jack = names.index("JACK Audio Connection Kit")
    device = sounddevice.query_hostapis(jack)["default_output_device"]
    with sounddevice.Stream(
        samplerate=RATE, channels=CHANNELS, dtype="float32", device=(device, device),
        callback=callback,
    ):  # fmt: skip
        print("ready", flush=True)
        sys.stdin.readline()
        state["at"] = 0
        done.wait()
        heard.astype("<f4").tofile(target)
        print(state["xruns"], flush=True)
        sys.stdin.readline()


if __name__ == "__main__":
    main()
