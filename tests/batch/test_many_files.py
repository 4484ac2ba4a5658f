"""`rtsep-separate` on folders: what is done, what is done again, what bad files do. Real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from rtsep.batch.journal import DONE, RUNNING, WAITING, Journal, read_journal
from rtsep.cli import separate
from rtsep.cli.separate import main
from tests.batch.conftest import GAIN_WORKER, files_below
from tests.files.sounds import music, read_file, signal_to_noise_db, write_file
from tests.signal_programs import end, start

THREE = sorted(
    f"{name}/{stem}.wav"
    for name in ("a", "cd 1/b", "cd 1/c")
    for stem in ("vocals", "accompaniment")
)


def events(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_folder_keeps_its_tree_and_is_done_once(library, gains, capsys):
    (library / "cover.jpg").write_bytes(b"picture")
    arguments = ["library", "-o", "out", "--journal", "j"]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert "1 files in folders are no sound by their name" in captured.err
    assert "3 of 3 done" in captured.err
    assert "library/a.wav: 0:00 of sound in" in captured.out
    out = Path("out")
    assert files_below(out) == THREE
    stem = read_file(out / "cd 1" / "b" / "accompaniment.wav")
    assert signal_to_noise_db(stem, 0.25 * music(0.4, seed=2)) > 50
    assert sorted(path.name for path in Path().iterdir()) == ["j", "library", "out"]

    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.wav")}
    assert main([*arguments, "--json-lines"]) == 0
    assert [(e["event"], e["before"]) for e in events(capsys)] == [("end", 3)]
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.wav")} == before

    # A copy of the same, with another time, is known by its content.
    os.utime(library / "a.wav")
    assert main([*arguments, "--json-lines"]) == 0
    assert [(e["event"], e["before"]) for e in events(capsys)] == [("end", 3)]
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.wav")} == before
    # A stem that has gone, another setting, an input that was changed: done again, and nothing else.
    (out / "a" / "vocals.wav").unlink()
    write_file(library / "cd 1" / "b.wav", music(0.5, seed=7))
    assert main([*arguments, "--json-lines"]) == 0
    done = [event["input"] for event in events(capsys) if event["event"] == "separated"]
    assert sorted(map(os.path.basename, done)) == ["a.wav", "b.wav"]
    assert main([*arguments, "--mask-extension", "average", "--quiet"]) == 0
    assert all(row.state == "done" for row in read_journal(Path("j"))[0])
    assert all(path.stat().st_mtime_ns > time_ns for path, time_ns in before.items())


def test_without_a_journal_stems_of_the_right_length_are_enough(library, gains, capsys):
    assert main(["library", "-o", "out", "--quiet"]) == 0
    write_file(Path("out/a/vocals.wav"), music(0.05))
    capsys.readouterr()
    assert main(["library", "-o", "out", "--skip-existing", "--json-lines"]) == 0
    found = {os.path.basename(e["input"]): e["event"] for e in events(capsys) if "input" in e}
    assert found == {"a.wav": "separated", "b.wav": "skipped", "c.flac": "skipped"}
    assert len(read_file(Path("out/a/vocals.wav"))) == 8820


@pytest.mark.parametrize("way", ["copy", "link", "separate"])
def test_the_same_content_is_separated_once(library, gains, capsys, way):
    for name in ("again.wav", "cd 1/and again.wav"):
        shutil.copy(library / "a.wav", library / name)
    # As long as the others, and not the same.
    write_file(library / "other.wav", music(0.2, seed=9))
    assert main(["library", "-o", "out", "--duplicates", way, "--json-lines"]) == 0
    kinds = [event["event"] for event in events(capsys)]
    duplicates = 0 if way == "separate" else 2
    assert kinds.count("duplicate") == duplicates and kinds.count("separated") == 6 - duplicates
    first, second = Path("out/a/vocals.wav"), Path("out/cd 1/and again/vocals.wav")
    assert first.read_bytes() == second.read_bytes() != Path("out/other/vocals.wav").read_bytes()
    assert first.stat().st_nlink == (3 if way == "link" else 1)
    assert len(files_below(Path("out"))) == 12


def test_bad_files_take_no_others_with_them(library, gains, capsys):
    for name in ("crash", "hang", "grow", "leak"):
        write_file(library / f"{name}.wav", music(0.05))
    (library / "text.mp3").write_text("no music\n" * 99)
    (library / "empty.wav").write_bytes(b"")
    (library / "...wav").symlink_to("a.wav")
    arguments = [
        "library",
        "gone.wav",
        "nothing*.wav",
        "-o",
        "out",
        "--journal",
        "j",
        "--retries",
        "1",
    ]
    from rtsep.batch import worker_process

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker_process, "EXTRA_LIMIT_S", 6.0)
        patch.setattr(worker_process, "FEWEST_BYTES_PER_S", 1e9)
        assert main([*arguments, "--memory-limit", "500", "--workers", "2", "--json-lines"]) == 1
    captured = capsys.readouterr()
    assert "no file is called nothing*.wav" in captured.err
    *lines, end = [json.loads(line) for line in captured.out.splitlines()]
    assert (end["done"], end["failed"], end["left"]) == (4, 6, 0)
    given_up = [e for e in lines if e["event"] == "failed" and not e["again"]]
    failed = {os.path.basename(e["input"]): e for e in given_up}
    reasons = {
        "crash.wav": "the worker was ended by SIGKILL",
        "hang.wav": "the worker took longer than its time limit",
        "grow.wav": "MB of memory, more than 500",
        "text.mp3": "is no audio file",
        "empty.wav": "is empty",
        "gone.wav": "no such file",
    }
    assert set(failed) == set(reasons)
    for name, reason in reasons.items():
        assert reason in failed[name]["error"] and failed[name]["attempts"] == 2
    assert files_below(Path("out")) == sorted([*THREE, "leak/accompaniment.wav", "leak/vocals.wav"])

    # What has failed is tried again, and nothing else.
    write_file(library / "crash.wav", music(0.3))
    (library / "crash.wav").rename(library / "mended.wav")
    assert main(["--status", "j"]) == 1
    status = capsys.readouterr().out
    assert "done     4, " in status and "failed   6\n" in status and "no run is going on" in status
    assert "hang.wav: the worker took longer than its time limit\n" in status


def test_lists_and_shards_and_journals_that_merge(library, gains, capsys, monkeypatch):
    write_file(library / "cd 1" / "new\nline*.wav", music(0.1))
    names = [path for path in library.rglob("*") if path.is_file()]
    Path("list").write_bytes(b"\0".join(map(os.fsencode, names)))
    for part in (1, 2, 3):
        shard = ["--shard", f"{part}/3", "--journal", f"j{part}", "--json-lines"]
        assert main(["--from-file", "list", "-o", "out", "--exclude", "c.*", *shard]) == 0
    done = [e["input"] for e in events(capsys) if e["event"] == "separated"]
    assert sorted(map(os.path.basename, done)) == ["a.wav", "b.wav", "new\nline*.wav"]
    assert len(files_below(Path("out"))) == 6

    assert main(["--merge", "j1", "j2", "j3", "--journal", "all"]) == 0
    assert capsys.readouterr().out == "all has 3 inputs\n"
    assert main(["--status", "j1", "j2", "j3", "--json-lines"]) == 0
    (summed,) = events(capsys)
    assert (summed["done"], summed["failed"], summed["waiting"]) == (3, 0, 0)
    assert main(["--from-file", "list", "-o", "out", "--journal", "all", "--json-lines"]) == 0
    assert [e["event"] for e in events(capsys)] == ["separated", "end"]


SLOW = f"""
import sys
from rtsep.batch import worker_process
from rtsep.cli.separate import main
worker_process.command = lambda module: [sys.executable, "-c", {GAIN_WORKER!r}]
sys.exit(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_with_nothing_half_done(
    library, made_up_weights, monkeypatch, number, status
):
    monkeypatch.setenv("GAIN_WORKER_PAUSE_S", "0.5")
    words = ["library", "-o", "out", "--journal", "j", "--workers", "1", "--json-lines"]
    process = start(SLOW, *words)
    assert process.stdout is not None
    assert '"separated"' in process.stdout.readline()
    process.send_signal(number)
    assert end(process)[0] == status
    assert sorted(path.name for path in Path().iterdir()) == ["j", "library", "out"]
    states = sorted(row.state for row in read_journal(Path("j"))[0])
    assert states.count("done") >= 1 and set(states) <= {"done", "waiting"}
    assert len(files_below(Path("out"))) == 2 * states.count("done")


@pytest.mark.parametrize("state", [RUNNING, DONE])
def test_an_interrupt_while_the_journal_is_written_leaves_nothing_running(
    library, made_up_weights, monkeypatch, state
):
    put = Journal.put

    def interrupted(journal, rows):
        put(journal, rows)
        if any(row.state == state for row in rows):
            monkeypatch.setattr(Journal, "put", put)
            raise KeyboardInterrupt

    monkeypatch.setattr(Journal, "put", interrupted)
    with pytest.raises(SystemExit) as ended:
        sys.exit(main(["library", "-o", "out", "--journal", "j", "--workers", "1"]))
    assert ended.value.code == 130
    states = [row.state for row in read_journal(Path("j"))[0]]
    assert states.count(DONE) == (state == DONE) and set(states) <= {DONE, WAITING}
    assert len(files_below(Path("out"))) == 2 * states.count(DONE)


IMPOSSIBLE = {
    "library - -o out": "- is one stream of sound",
    "library --stdout vocals": "--stdout and --pcm are about one input",
    "library --shard 3/2": "must be I/N with I from 1 to N: got '3/2'",
    "library --exclude *": "everything in library is excluded",
    "library library/a.mp3 -o out": "would both be written to out/a/vocals.wav",
    "library --status j": "--status and --merge take journals only",
    "--merge j": "--merge needs a journal to put the rows into",
    "library --journal library/a.wav": "library/a.wav is no journal",
    "--from-file empty": "empty names no file",
    "library --workers 0": "must be a whole number of at least 1",
}


@pytest.mark.parametrize("arguments", IMPOSSIBLE)
def test_impossible_arguments_are_told_in_one_line(library, made_up_weights, capsys, arguments):
    Path("empty").write_bytes(b"\n\n")
    try:
        status: object = main(arguments.split())
    except SystemExit as end:
        status = end.code
    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert captured.err.count("\n") == 1 and IMPOSSIBLE[arguments] in captured.err
    assert not Path("out").exists()


def test_a_journal_that_is_in_use_is_told(library, gains, capsys, monkeypatch):
    from rtsep.batch import journal

    monkeypatch.setattr(journal, "LOCK_WAIT_S", 0.0)
    with journal.Journal(Path("j")):
        assert main(["library", "-o", "out", "--journal", "j"]) == 1
        assert "another run writes to the journal j" in capsys.readouterr().err
    assert main(["--status", "k"]) == 1
    assert "there is no journal k" in capsys.readouterr().err


def test_a_few_files_are_done_in_this_process(library, monkeypatch, capsys):
    from tests.offline.gain_separator import GainSeparator

    double = GainSeparator({"vocals": 0.5, "accompaniment": 0.5})
    monkeypatch.setattr(separate, "_load_separator", lambda *_: double)
    monkeypatch.setattr("subprocess.Popen", None)
    assert main(["library/a.wav", "library/cd 1/b.wav", "-o", "out"]) == 0
    stems = ("accompaniment", "vocals")
    assert files_below(Path("out")) == [f"{name}/{stem}.wav" for name in "ab" for stem in stems]


@pytest.mark.slow
def test_workers_give_what_one_process_gives(library, made_up_weights):
    """Real networks: the packed nets are mapped, the buffers are used again."""
    names = [str(path) for path in sorted(library.rglob("*.*"))]
    assert main([*names, "-o", "single", "--quiet"]) == 0
    assert main(["library", "-o", "workers", "--workers", "2", "--quiet"]) == 0
    for name, within in (("a", "a"), ("b", "cd 1/b"), ("c", "cd 1/c")):
        for stem in ("vocals", "accompaniment"):
            found = Path("workers", within, f"{stem}.wav").read_bytes()
            assert found == Path("single", name, f"{stem}.wav").read_bytes()
            assert np.any(np.frombuffer(found[44:1000], np.uint8))
