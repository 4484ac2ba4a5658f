"""A folder of songs, with the model loaded once: vocals and the rest of each, as FLAC.

python examples/batch_folder.py songs stems
"""

import sys
from pathlib import Path

import rtsep


def main(songs: str, stems: str) -> int:
    """Separate every file in `songs` into a folder below `stems`; return how many failed."""
    separator = rtsep.Separator("spleeter:2stems", stems=["vocals", "no_vocals"])
    failed = 0
    for song in sorted(path for path in Path(songs).iterdir() if path.is_file()):
        targets = {stem: Path(stems, song.stem, f"{stem}.flac") for stem in separator.stems}
        try:
            report = rtsep.separate_file(separator, song, targets, format="flac")
        except rtsep.RtsepError as error:
            print(f"{song}: {error}", file=sys.stderr)
            failed += 1
        else:
            print(f"{song}: {report.times_real_time:.0f} times faster than real time")
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) > 0)
