"""Separates a song, from a fresh clone: `python3 scripts/demo.py [FILE] [-o DIR] [-m MODEL]`.

Sets up .venv and fetches the weights, separates the file, streams it once through the engine that
live audio uses, and says how fast that was. Without FILE it takes a short song whose true stems are
known (see benchmarks/rtsep_bench/demo_song.py) and says how close the stems come to them.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bootstrap import start_in_environment
from steps import CHECKOUT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Stems = dict[str, NDArray[np.float32]]

PROGRAM = "demo"
PLAN = "classic"
SAMPLES_PER_BLOCK = 65_536


def main() -> int:
    """Set up, then run the demo; returns its exit status."""
    # Needs nothing that is not there yet.
    sys.path.insert(0, str(CHECKOUT))
    from rtsep.cli.common import OneLineParser, run
    from rtsep.cli.surroundings import prepare

    prepare(PROGRAM)
    parser = OneLineParser(
        prog=PROGRAM,
        description="Set up, then separate a song and stream it once.",
        presets=False,
    )
    parser.add_argument("file", nargs="?", type=Path, help="default: a short song, fetched")
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, default=Path("separated"),
        help="folder for the stems (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("-m", "--model", default="spleeter:2stems", help="default: %(default)s")
    arguments = parser.parse_args()
    start_in_environment(__file__)
    return run(PROGRAM, lambda: demo(arguments.file, arguments.output, arguments.model))


def demo(file: Path | None, output: Path, model: str) -> int:
    """Separate, stream, report."""
    import numpy as np

    from rtsep.cli.collisions import check_collisions
    from rtsep.cli.targets import DEFAULT_PATTERN, outputs_of, targets_of
    from rtsep.cli.terminal.progress import clock, download_progress, show_progress
    from rtsep.constants import SAMPLE_RATE
    from rtsep.files.reader import AudioReader
    from rtsep.live.recorder import recording_paths
    from rtsep.nets.registry import find_model
    from rtsep.offline.separate_file import separate_file
    from rtsep.offline.separator import Separator
    from rtsep_bench import demo_song

    config = find_model(model)
    song = file or demo_song.fetch()
    targets = targets_of(song, output, DEFAULT_PATTERN, config.stems, "wav", model)
    streamed_folder = output / song.stem / "streamed"
    recordings = recording_paths(streamed_folder, config.stems)
    check_collisions(
        [song],
        outputs_of(song, {**targets, **{f"streamed {path.stem}": path for path in recordings}}),
    )
    AudioReader(song).close()  # a wrong name fails before anything is fetched or compiled
    with download_progress() as progress:
        separator = Separator(model, progress=progress)
    print("preparing the kernels: minutes at the first run, seconds later", flush=True)
    started = time.perf_counter()
    separator.separate(np.zeros((1, 2), np.float32), SAMPLE_RATE)
    print(f"kernels ready in {time.perf_counter() - started:.1f} s")

    with show_progress(song.name, quiet=False) as show:
        # Float, since nothing can clip there.
        report = separate_file(separator, song, targets, bit_depth="float", on_progress=show)
    print(
        f"separated {song}: {clock(report.duration_s)} of sound in {report.elapsed_s:.2f} s,"
        f" {report.times_real_time:.1f} times faster than real time;"
        f" first output after {report.first_output_s:.2f} s"
    )
    true = {} if file else demo_song.true_stems(song)
    if "piano" in config.stems:
        true.pop("other", None)  # the song's holds its piano, too
    offline = _list_stems(targets, true)

    for path in recordings:  # a recorder replaces none; these are of an earlier demo
        path.unlink(missing_ok=True)
    streamed = stream(song, streamed_folder, model)
    print(
        f"streamed it through the live engine: plan {PLAN}, latency {streamed.latency_s:.2f} s,"
        f" {streamed.times_real_time:.1f} times faster than real time,"
        f" {streamed.late_masks} late masks"
    )
    live = _list_stems(streamed.targets, true)
    if true:
        _compare(live, offline)
    return 0


@dataclass(frozen=True)
class Streamed:
    """What became of a file that went through the live engine. times_real_time: of the engine."""

    targets: dict[str, Path]
    latency_s: float
    times_real_time: float
    late_masks: int


def stream(song: Path, folder: Path, model: str) -> Streamed:
    """Play `song` through the engine as fast as it goes, and record its stems in `folder`.

    Raises AudioFileError where a file cannot be read or written.
    """
    from rtsep.files.reader import AudioReader
    from rtsep.live.engine import Engine
    from rtsep.live.file_session import run_file
    from rtsep.live.plans.notation import read_plan
    from rtsep.live.recorder import Recorder
    from rtsep.nets.registry import find_model
    from rtsep.weights.load_nets import load_nets

    config, plan = find_model(model), read_plan(PLAN)
    engine = Engine(config, load_nets(config), plan, {}, separate_stems=True)
    recorder = Recorder(folder, config.stems)
    engine.start()
    started = time.perf_counter()
    try:
        with AudioReader(song) as reader:
            run_file(engine, reader, None, recorder, paced=False)
    finally:
        engine.stop()
        recorder.close()
    if recorder.failure is not None:
        raise recorder.failure
    return Streamed(
        targets=dict(zip(config.stems, recorder.paths)),
        latency_s=plan.latency_ms / 1000,
        # The silence that pushes the last samples out is played, too.
        times_real_time=engine.played_s / (time.perf_counter() - started),
        late_masks=engine.counters.late_masks,
    )


def _list_stems(targets: dict[str, Path], true: Stems) -> Stems:
    """Print where the stems are, and their SDR where the true ones are known; return those read."""
    from rtsep_bench.evaluation import sdr_db

    stems = {}
    width = max(len(str(target)) for target in targets.values())
    for stem, target in targets.items():
        line = f"  {stem:13}  {target!s:{width}}"
        if stem in true:
            stems[stem] = _read(target)
            line += f"  SDR {sdr_db(stems[stem], true[stem]):.2f} dB"
        print(line.rstrip())
    return stems


def _compare(live: Stems, offline: Stems) -> None:
    """Print how close the streamed stems are to those of the whole file.

    They are not the same: the engine's nets see 128 frames at a time, those of the file 512.
    """
    from rtsep_bench.evaluation import sdr_db

    agreement = ", ".join(f"{stem} {sdr_db(live[stem], offline[stem]):.1f} dB" for stem in live)
    print(f"  streamed against separated: {agreement}")


def _read(path: Path) -> NDArray[np.float32]:
    import numpy as np

    from rtsep.files.reader import AudioReader

    with AudioReader(path) as reader:
        return np.concatenate(list(reader.blocks(SAMPLES_PER_BLOCK)))


if __name__ == "__main__":
    sys.exit(main())
