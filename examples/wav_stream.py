"""A recording of any length in bounded memory: block by block from one WAV file to another.

python examples/wav_stream.py song.wav vocals.wav
"""

import sys

import soundfile

import rtsep


def main(source: str, target: str) -> None:
    """Write the vocals of `source` to `target`."""
    separator = rtsep.Separator("spleeter:2stems", stems=["vocals"])
    with soundfile.SoundFile(source) as song:
        rate, channels = song.samplerate, song.channels
        with (
            soundfile.SoundFile(target, "w", rate, channels, "FLOAT") as vocals,
            separator.stream(rate, channels) as stream,
        ):
            for block in song.blocks(65_536, dtype="float32", always_2d=True):
                vocals.write(stream.push(block)["vocals"])  # often nothing, then 12 s at once
            vocals.write(stream.flush()["vocals"])


if __name__ == "__main__":
    main(*sys.argv[1:])
