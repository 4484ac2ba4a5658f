"""JACK and PipeWire: one graph, one clock, ports with names."""
