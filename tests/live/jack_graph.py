"""What connects to what on the test's JACK server."""

from __future__ import annotations

from rtsep_bench.server_process import wait_until


def ports(server):
    """The ports of clients, those that sound comes out of and those that it goes into."""
    names = {name for name in server.command("jack_lsp").split() if not name.startswith("system:")}
    return {name for name in names if ":out_" in name}, {name for name in names if ":in_" in name}


def new_ports(server, before):
    """The ports that have appeared since `before`, by name, once there are some."""
    wait_until(lambda: all(now - old for now, old in zip(ports(server), before)), "new JACK ports")
    outputs, inputs = (sorted(now - old) for now, old in zip(ports(server), before))
    return outputs, inputs


def connect(server, outputs, inputs):
    """Each output with the input of its place."""
    for output, into in zip(outputs, inputs, strict=True):
        server.command("jack_connect", output, into)
