"""A MIDI device on JACK: python -m tests.control.midi_player NAME; each line is a message in hex."""

from __future__ import annotations

import queue
import sys

import jack


def main():
    client = jack.Client(sys.argv[1], no_start_server=True)
    port = client.midi_outports.register("out")
    waiting = queue.SimpleQueue()

    @client.set_process_callback
    def cycle(_samples):
        port.clear_buffer()
        for _ in range(min(100, waiting.qsize())):
            port.write_midi_event(0, waiting.get_nowait())

    with client:
        print("ready", flush=True)
        for line in sys.stdin:
            for word in line.split():
                waiting.put(bytes.fromhex(word))
    # At the end of the block JACK cancels its thread.


main()
