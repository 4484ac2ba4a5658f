"""Between two ffmpegs: anything that ffmpeg reads goes in, anything that it writes comes out.

python examples/ffmpeg_pipe.py film.mkv karaoke.opus
"""

import subprocess
import sys

import numpy as np

import rtsep

RAW = ["-f", "f32le", "-ar", "44100", "-ac", "2"]


def main(source: str, target: str) -> None:
    """Write the sound of `source` without its vocals to `target`."""
    separator = rtsep.Separator("spleeter:2stems", stems=["accompaniment"])
    read = ["ffmpeg", "-v", "error", "-i", source, "-vn", *RAW, "-"]
    write = ["ffmpeg", "-v", "error", "-y", *RAW, "-i", "-", target]
    with (
        subprocess.Popen(read, stdout=subprocess.PIPE) as front,
        subprocess.Popen(write, stdin=subprocess.PIPE) as behind,
        separator.stream(44_100, channels=2) as stream,
    ):
        assert front.stdout is not None and behind.stdin is not None
        while content := front.stdout.read(8 * 65_536):  # 8 bytes: two channels of float32
            block = np.frombuffer(content, np.float32).reshape(-1, 2)
            behind.stdin.write(stream.push(block)["accompaniment"].tobytes())
        behind.stdin.write(stream.flush()["accompaniment"].tobytes())
        behind.stdin.close()
    if front.returncode or behind.returncode:
        sys.exit("ffmpeg failed")


if __name__ == "__main__":
    main(*sys.argv[1:])
