"""`rtsep-play`: play songs, their stems separated ahead of the sound.

The device is looked for while the song is opened and the networks are loaded: sound within a second. So
this module, and what it takes the options from, import little: the networks' process starts first.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtsep.cli.common import run
from rtsep.cli.control_argument import begin_control, start_control
from rtsep.cli.play_arguments import GIGA, PROGRAM, build_parser, wishes_of
from rtsep.cli.shared_arguments import device_latency
from rtsep.cli.surroundings import prepare
from rtsep.errors import RtsepError, UsageError
from rtsep.play.piece_process import PieceProcess, drop_process, start_process

if TYPE_CHECKING:
    from rtsep.cli.terminal.play_display import PlayDisplay
    from rtsep.devices.backend import Output, PlaybackBackend
    from rtsep.nets.registry import ModelConfig
    from rtsep.play.session import PlaySession
    from rtsep.play.song import Song
    from rtsep.play.sound_output import SoundOutput
    from rtsep.play.wishes import Wishes

# The display and the keys are looked after this often.
TICK_S = 0.05


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    prepare(PROGRAM)
    args = build_parser().parse_args(argv)
    return run(PROGRAM, lambda: play(args))


def play(args: argparse.Namespace) -> int:
    """Play, export or list; returns the exit status."""
    if args.list_devices:
        from rtsep.cli.backends import device_list

        print(device_list(args))
        return 0
    if args.list_midi:
        from rtsep.cli.midi_arguments import midi_list

        print(midi_list())
        return 0
    if not args.songs:
        raise UsageError("nothing to play: name files, folders or playlists")
    with contextlib.ExitStack() as stack:
        process = None
        if args.mute or args.solo or args.gain:
            # The sound waits for stems: whatever follows is done while the process imports.
            process = start_process()
            stack.callback(drop_process, process)

        from rtsep.play.playlist import find_songs
        from rtsep.weights.library import model_named

        model = model_named(args.model)
        wishes = wishes_of(args, model)
        paths = find_songs(args.songs)
        if not args.export:
            device_latency(args.device_latency)
        opener = _Opener(args, model, process)
        stack.callback(opener.close)
        if args.export:
            return _export(args, opener, wishes, paths)
        from rtsep.cli.backends import make_playback

        backend = make_playback(args)
        with ThreadPoolExecutor(1) as pool:
            finding = pool.submit(backend.find)
            opener.open_first(paths)
            if wishes.stems:
                opener.ahead.start()
            output = finding.result()
        return _play(args, opener, wishes, paths, backend, output)


def _play(
    args: argparse.Namespace,
    opener: _Opener,
    wishes: Wishes,
    paths: list[Path],
    backend: PlaybackBackend[Any],
    output: Output,
) -> int:
    from rtsep.cli.play_commands import PlayCommands
    from rtsep.cli.terminal.play_display import make_play_display
    from rtsep.live.priority import REAL_TIME, session_first
    from rtsep.live.process_settings import live_process
    from rtsep.play.session import PlaySession
    from rtsep.play.song_settings import settings_folder
    from rtsep.play.sound_output import SoundOutput

    with contextlib.ExitStack() as stack:
        control = start_control(args, stack, _say)
        stack.enter_context(session_first(args.priority or REAL_TIME))
        stack.enter_context(live_process())
        session = PlaySession(
            paths, opener.open, opener.model.stems, opener.ahead, output.rate,
            wishes=wishes, say=_say,
            settings_folder=None if args.forget else settings_folder(),
        )  # fmt: skip
        stack.callback(session.close)
        sound = SoundOutput(session, backend, output, patience_s=args.reconnect, say=_say)
        stack.callback(sound.close)
        session.start()
        sound.start()
        if not args.paused:
            session.command("play")
        if not wishes.stems:
            # The recording is heard until its stems are there: its sound needs the processor first.
            opener.ahead.start()
        header = [f"output  {output.name}, {output.rate} Hz"]
        display = make_play_display(header, quiet=args.quiet, spoken=args.screen_reader)
        wait = begin_control(control, PlayCommands(session), PROGRAM)
        _loop(args, session, sound, display, wait)
    return 0


def _loop(
    args: argparse.Namespace,
    session: PlaySession,
    sound: SoundOutput,
    display: PlayDisplay,
    wait: Callable[[float], None],
) -> None:
    """Look after songs, display and keys until it is over; raises where something failed."""
    from rtsep.cli.terminal.keys import KeyReader
    from rtsep.cli.terminal.play_display import status_line
    from rtsep.cli.terminal.play_keys import handle_play_key

    ends_s = time.monotonic() + args.duration if args.duration else float("inf")
    display.start()
    try:
        with KeyReader() as keys:
            while (now_s := time.monotonic()) < ends_s and not session.finished:
                sound.tick(now_s)
                session.tick(now_s)
                display.refresh(session.state(), now_s)
                key = keys.poll()
                if key in ("q", "Q"):
                    break
                if key in ("w", "W"):
                    _say(status_line(session.state()))
                elif key is not None and (refused := handle_play_key(key, session)):
                    _say(refused)
                wait(TICK_S)
    finally:
        display.stop()


def _export(args: argparse.Namespace, opener: _Opener, wishes: Wishes, paths: list[Path]) -> int:
    from rtsep.cli.collisions import Output as Target
    from rtsep.cli.collisions import check_collisions, check_place
    from rtsep.cli.terminal.progress import clock, show_progress
    from rtsep.files.formats import format_of
    from rtsep.play.export import export
    from rtsep.play.session import PlaySession
    from rtsep.play.song_settings import settings_folder

    if len(paths) != 1:
        raise UsageError(f"--export takes one song: got {len(paths)}")
    format_of(args.export)
    target = Target(args.export, "--export", lambda other: "choose another name")
    check_collisions(paths, [target])
    check_place(args.export)
    opener.ahead.start()
    session = PlaySession(
        paths, opener.open, opener.model.stems, opener.ahead, 44_100, wishes=wishes, say=_say,
        settings_folder=None if args.forget else settings_folder(),
    )  # fmt: skip
    with contextlib.closing(session):
        opened = session.open_first()
        song, settings = opened.song, opened.settings
        with show_progress(song.title, args.quiet, args.screen_reader) as progress:
            written_s = export(
                song, opener.ahead, session.mixer.mix, settings.speed, settings.loop,
                args.export, progress,
            )  # fmt: skip
    if not args.quiet:
        print(f"{args.export}: {clock(written_s)}", file=sys.stderr)
    return 0


class _Opener:
    """Opens songs, and separates them ahead."""

    def __init__(
        self, args: argparse.Namespace, model: ModelConfig, process: subprocess.Popen[str] | None
    ):
        from rtsep.environment import usable_cores
        from rtsep.nets.precision import find_precision
        from rtsep.play.separation_ahead import SeparationAhead
        from rtsep.play.stem_cache import StemCache, StemSettings, cache_folder

        precision = find_precision(args.precision, paced=False, config=model).precision
        self.model = model
        self._settings = StemSettings(model.name, args.mask_extension, precision)
        self._cache = StemCache(cache_folder(), round(args.cache * GIGA))
        self._opened: dict[Path, Song] = {}

        self._maker = PieceProcess(self._settings, args.jobs or usable_cores(), process)
        self.ahead = SeparationAhead(model, self._maker)

    def open(self, path: Path) -> Song:
        """Open a song; raises RtsepError."""
        if path in self._opened:
            return self._opened.pop(path)
        from rtsep.play.song import Song

        return Song(path, self._cache, self._settings, self.model.stems)

    def open_first(self, paths: list[Path]) -> None:
        """Open the first song beforehand and begin to separate it; one that cannot be is left."""
        with contextlib.suppress(RtsepError):
            song = self.open(paths[0])
            self.ahead.set_songs([song])
            self._opened[paths[0]] = song
            if song.store.is_complete:
                self._maker.drop()

    def close(self) -> None:
        """Close what was opened and not taken."""
        self.ahead.close()
        for song in self._opened.values():
            song.close()


def _say(line: str) -> None:
    print(f"{PROGRAM}: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
