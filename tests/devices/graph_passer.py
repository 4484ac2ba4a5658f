"""A GraphBackend with a delay in place of an engine, for the tests: a program that is told what to do.

    python graph_passer.py '{"delay_samples": 4096, "stems": ["vocals"], "input": ..., "sink": ...}'

With `source` and `sink` it takes a route, else `input` and `output` are parts of port names. For each
line of JSON on its standard input, a list of a command and its arguments, it prints one with the answer.
A stem is what comes in, turned over.
"""

from __future__ import annotations

import json
import sys

import numpy as np

from rtsep.devices.graph.graph_backend import GraphBackend
from rtsep.devices.portaudio import device_list
from rtsep.devices.route import PIPEWIRE, Route
from rtsep.dsp.ring import Ring
from rtsep.errors import RtsepError

LONGEST = 1 << 16


class Passer:
    """The methods that are no private ones are the commands."""

    def __init__(self, options):
        self._stems, self._delay_samples = options.get("stems", []), options["delay_samples"]
        self._options, self._xruns = options, 0
        if options.get("portaudio_first"):
            device_list()
        self.find(options.get("sink"))
        self.open()

    def find(self, sink):
        options, route = self._options, None
        if sink is not None:
            nodes = options.get("stem_nodes", {})
            route = Route(PIPEWIRE, options["source"], 48_000, sink, 48_000, nodes)
        names = options.get("input"), options.get("output")
        block = options.get("block", 0)
        self._backend = GraphBackend(route, *names, block=block, stems=self._stems)
        self._ends = self._backend.find()

    def open(self):
        self._ring = Ring(LONGEST, 2)
        self._ring.push_silence(self._delay_samples)
        self._stream = self._backend.open(self._ends, self._pass_on, self._count)
        self._stream.tell_latency(self._delay_samples / self._ends.output_rate)
        self._stream.start()

    def find_again(self):
        try:
            self._ends = self._backend.find(self._ends)
        except RtsepError as error:
            return str(error)

    def close(self):
        return self._stream.close()

    def reroute(self, sink):
        self.find(sink)
        return self._stream.reroute(self._ends)

    def tell(self, delay_samples):
        self._stream.tell_latency(delay_samples / self._ends.output_rate)

    def state(self):
        stream, ends = self._stream, self._ends
        return {
            "active": stream.active, "latency_s": stream.latency_s, "xruns": self._xruns,
            "remarks": stream.remarks, "rate": ends.output_rate, "channels_out": ends.channels_out,
            "input": ends.input_name, "output": ends.output_name, "failure": str(stream.failure),
        }  # fmt: skip

    def _pass_on(self, block, out):
        self._ring.push(block)
        self._ring.pull(out[:, :2])
        for column in range(2, out.shape[1], 2):
            np.negative(out[:, :2], out=out[:, column : column + 2])

    def _count(self, xruns):
        assert xruns.input_overflow
        assert xruns.output_underflow
        self._xruns += 1


def main():
    try:
        passer = Passer(json.loads(sys.argv[1]))
    except RtsepError as error:
        print(json.dumps(str(error)), flush=True)
        return
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        print(json.dumps(getattr(passer, command)(*arguments)), flush=True)


if __name__ == "__main__":
    main()
