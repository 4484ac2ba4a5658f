"""graph_passer.py and graph_probe.py, started beside a server, and what others see of them."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path

from rtsep_bench.server_process import wait_until

DELAY_SAMPLES = 4096
REPOSITORY = Path(__file__).parents[2]


class Talk:
    """A program that answers each line with a line."""

    def __init__(self, process):
        self.process = process

    def ask(self, *command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@contextlib.contextmanager
def _talk(server, module, *arguments):
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.devices.{module}", *arguments],
        env=server.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=REPOSITORY,
    )  # fmt: skip
    try:
        yield Talk(process)
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def passing(server, **options):
    """graph_passer.py as it plays, to be asked; its options may be left away."""
    options = {"delay_samples": DELAY_SAMPLES, **options}
    with _talk(server, "graph_passer", json.dumps(options)) as passer:
        said = json.loads(passer.process.stdout.readline())
        assert said == "ready"
        yield passer


@contextlib.contextmanager
def probing(server, targets, sources):
    """A function that plays an impulse and returns how many samples later it was heard."""
    with _talk(server, "graph_probe", targets, sources) as probe:
        assert probe.process.stdout.readline() == "ready\n"
        yield lambda: probe.ask("impulse")


def latencies(server, port):
    """What other clients see: capture and playback latency of a port, in samples.

    Waits until all ways to the port tell the same: JACK asks its clients one after the other.
    """
    found = {}

    def read():
        found.update(_latency_ranges(server, port))
        return all(least == most for least, most in found.values())

    wait_until(read, f"one latency of {port}")
    return {mode: most for mode, (_, most) in found.items()}


def _latency_ranges(server, port):
    listed = server.command("jack_lsp", "-l").split("\n")
    at = listed.index(port)
    found = {}
    for line in listed[at + 1 : at + 3]:
        mode, least, most = re.match(r"\s*port (\w+) latency = \[ (\d+) (\d+) \]", line).groups()
        found[mode] = int(least), int(most)
    return found


def node_ports(server, cycle=256):
    """PipeWire's own word: {(node, port): {direction: latency in samples}}, and who is linked."""
    objects = json.loads(server.command("pw-dump"))
    nodes = {o["id"]: o["info"]["props"].get("node.name") for o in objects if _is(o, "Node")}
    ports, latencies = {}, {}
    for port in (o for o in objects if _is(o, "Port")):
        properties = port["info"]["props"]
        name = ports[port["id"]] = nodes[properties["node.id"]], properties["port.name"]
        latencies[name] = {
            one["direction"]: one["minQuantum"] * cycle + one["minRate"] + one["minNs"] * 48e-6
            for one in port["info"]["params"].get("Latency", ())
        }
    links = {
        (ports[o["info"]["output-port-id"]], ports[o["info"]["input-port-id"]])
        for o in objects
        if _is(o, "Link")
    }
    return latencies, links


def _is(item, kind):
    return item["type"].endswith(f":{kind}")
