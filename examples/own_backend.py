"""One's own audio backend: two programs that record and play raw float32, in place of PortAudio.

python examples/own_backend.py "arecord -q -t raw -f FLOAT_LE -r 48000 -c 2" \\
                               "aplay -q -t raw -f FLOAT_LE -r 48000 -c 2"

A backend is whatever calls `process` from one thread, with as many samples as it likes.
"""

import shlex
import subprocess
import sys

import numpy as np

import rtsep

BLOCK_SAMPLES = 512


def main(record: str, play: str) -> None:
    """Play the vocals of what `record` hears, until it ends."""
    with (
        rtsep.LiveSeparator(latency="low", masking="ratio", sample_rate=48_000) as live,
        subprocess.Popen(shlex.split(record), stdout=subprocess.PIPE) as ears,
        subprocess.Popen(shlex.split(play), stdin=subprocess.PIPE) as mouth,
    ):
        assert ears.stdout is not None and mouth.stdin is not None
        while content := ears.stdout.read(8 * BLOCK_SAMPLES):  # 8 bytes: two channels of float32
            block = np.frombuffer(content, np.float32).reshape(-1, 2)
            mouth.stdin.write(live.process(block).tobytes())
            mouth.stdin.flush()
        mouth.stdin.close()
        print(f"late masks: {live.stats()['late_masks']}", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
