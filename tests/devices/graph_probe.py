"""Two JACK clients for the tests, one that plays impulses and one that notes when it hears them.

    python graph_probe.py SOURCE_TARGETS HEARD_SOURCES

Both arguments: names of ports, with commas between. Prints ``ready`` when the clients `player` and
`listener` are connected to them; for every line on its standard input it plays one impulse, and prints
after how many samples the listener heard it, below zero if it was turned over. Two clients, as one that
hears itself would hear the cycle before: so player, program and listener run in one cycle, whose time
the server gives.
"""

from __future__ import annotations

import contextlib
import queue
import sys

import numpy as np

from rtsep.devices.graph.graph_client import GraphClient
from rtsep.devices.graph.libjack import find_server, load

# The impulse is this loud and heard above a quarter of it: a change of rate makes it longer and lower.
LEVEL = 0.5
HEARD = LEVEL / 4
# An impulse is lost where the machine stands still; then it is played again.
TIMEOUT_S, MOST_IMPULSES = 5.0, 4


def main() -> None:
    targets, sources = (argument.split(",") for argument in sys.argv[1:])
    library = load(find_server())
    heard: queue.SimpleQueue[int] = queue.SimpleQueue()
    state = {"play": False, "played": -1}
    with GraphClient(library, "player") as player, GraphClient(library, "listener") as listener:
        out = player.jack.outports.register("out")
        into = listener.jack.inports.register("in")

        def play(_samples):
            array = out.get_array()
            array[:] = 0.0
            if state["play"]:
                state["play"] = False
                state["played"] = player.jack.last_frame_time
                array[0] = LEVEL

        def listen(_samples):
            array = into.get_array()
            loud = np.flatnonzero(np.abs(array) > HEARD)
            if state["played"] >= 0 and len(loud):
                delay = listener.jack.last_frame_time + int(loud[0]) - state["played"]
                heard.put(delay if array[loud[0]] > 0 else -delay)
                state["played"] = -1

        player.jack.set_process_callback(play)
        listener.jack.set_process_callback(listen)
        player.jack.activate()
        listener.jack.activate()
        for target in targets:
            player.connect(out.name, target)
        for source in sources:
            listener.connect(source, into.name)
        print("ready", flush=True)
        for _ in sys.stdin:
            for _ in range(MOST_IMPULSES):
                state["play"] = True
                with contextlib.suppress(queue.Empty):
                    print(heard.get(timeout=TIMEOUT_S), flush=True)
                    break
            else:
                sys.exit("no impulse was heard")


if __name__ == "__main__":
    main()
