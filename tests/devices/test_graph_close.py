"""Clients of the graph end, whatever else holds Python's lock."""

import subprocess
import sys

import pytest

from rtsep_bench.servers import pipewire_server

# Clients that come and go, beside a thread that never gives up Python's lock of its own accord. A
# graph's thread that is cancelled while it waits for the lock leaves it held for ever.
PROGRAM = """
import sys, threading, time
from rtsep.devices.graph.graph_client import GraphClient
from rtsep.devices.graph.libjack import find_server, load

sys.setswitchinterval(0.0005)
library = load(find_server())

def work():
    while True:
        sum(range(1000))

threading.Thread(target=work, daemon=True).start()
for _ in range(30):
    cycles = []
    client = GraphClient(library, "guest", (64, 48_000))
    client.jack.outports.register("out_1")
    client.set_process(cycles.append)
    client.jack.activate()
    time.sleep(0.1)
    assert client.close()
    assert set(cycles) == {64}, cycles
"""


@pytest.mark.unhurried
@pytest.mark.needs("pipewire")
def test_clients_end_beside_a_busy_thread(tmp_path):
    with pipewire_server(tmp_path, 48_000, 64) as server:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=server.environ, timeout=60, capture_output=True, text=True,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
