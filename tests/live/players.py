"""Programs that people play music with, playing a file on one of the tests' servers."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rtsep_bench.server_process import AudioServer

END_S = 10.0
PIPEWIRE, PULSE = "pipewire", "pulse"


@dataclass(frozen=True)
class Player:
    """A program that plays a file again and again, or for long.

    command: its command line, given the file, a folder of its own, and the sink; None for the default.
    servers: those that it reaches.  needs: keys of system_programs.NEEDS beside the server's.
    application: what the servers call it, a part of `application.name`.
    """

    name: str
    command: Callable[[Path, Path, str | None], list[str]]
    application: str
    servers: tuple[str, ...] = (PIPEWIRE, PULSE)
    needs: tuple[str, ...] = ()


def _mpv(output: str) -> Callable[[Path, Path, str | None], list[str]]:
    def command(file: Path, folder: Path, sink: str | None) -> list[str]:
        device = [] if sink is None else [f"--audio-device={output}/{sink}"]
        quiet = ("--no-config", "--no-terminal", "--no-video", "--loop=inf")
        return ["mpv", *quiet, f"--ao={output}", *device, str(file)]

    return command


def _pw_play(file: Path, folder: Path, sink: str | None) -> list[str]:
    return ["pw-play", *([] if sink is None else [f"--target={sink}"]), str(file)]


def _chromium(file: Path, folder: Path, sink: str | None) -> list[str]:
    page = folder / "page.html"
    page.write_text(f'<!doctype html><audio src="{file.as_uri()}" autoplay loop></audio>')
    return [
        "chromium", "--headless=new", "--no-sandbox", "--no-first-run", "--disable-gpu",
        "--disable-dev-shm-usage", "--disable-extensions", "--disable-background-networking",
        "--autoplay-policy=no-user-gesture-required",
        f"--user-data-dir={folder / 'profile'}", page.as_uri(),
    ]  # fmt: skip


PLAYERS = (
    Player("paplay", lambda file, folder, sink: ["paplay", str(file)], "paplay"),
    Player("pw-play", _pw_play, "pw-play", servers=(PIPEWIRE,)),
    Player("mpv-pulse", _mpv("pulse"), "mpv", needs=("mpv",)),
    Player("mpv-pipewire", _mpv("pipewire"), "mpv", servers=(PIPEWIRE,), needs=("mpv",)),
    Player("chromium", _chromium, "Chromium", needs=("chromium",)),
)


def player_parameters(*servers: str) -> list:
    """Parameters (server, player) of a test: every player on every server of these that it reaches."""
    return [
        pytest.param(
            server, player, id=f"{server}-{player.name}",
            marks=pytest.mark.needs(server, *player.needs),
        )
        for server in servers for player in PLAYERS if server in player.servers
    ]  # fmt: skip


@contextlib.contextmanager
def playing(
    server: AudioServer, player: Player, file: Path, folder: Path, sink: str | None = None
) -> Iterator[subprocess.Popen]:
    """Let a player play `file` into a sink, or the server's default one, during the block.

    `folder` is for the player's own files. Its messages are printed at the end.
    """
    folder.mkdir(exist_ok=True)
    environ = {**server.environ, "HOME": str(folder)}
    environ.pop("PULSE_SINK", None)
    if sink is not None:
        environ["PULSE_SINK"] = sink
    messages = folder / "messages"
    with messages.open("wb") as said:
        process = subprocess.Popen(
            player.command(file, folder, sink),
            env=environ, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        # Chromium is many processes, all of its session.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(END_S)
        print(f"--- {player.name}\n{messages.read_text(errors='replace')}")
