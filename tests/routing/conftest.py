"""One set of tests for both sound servers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rtsep_bench.servers import pipewire_server, pulse_server

if TYPE_CHECKING:
    from tests.routing.sound import Desktop

# pulsectl is installed on Linux only.
collect_ignore_glob = [] if sys.platform == "linux" else ["test_*.py"]


@pytest.fixture(
    params=[
        pytest.param("pulse", marks=pytest.mark.needs("pulse")),
        pytest.param("pipewire", marks=pytest.mark.needs("pipewire")),
    ]
)
def desktop(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desktop]:
    """A server with the sinks `song` and `stem`, `stem` the default one, which remembers streams."""
    from tests.routing.sound import Desktop

    kind = request.param
    opened = (
        pulse_server(tmp_path)
        if kind == "pulse"
        else pipewire_server(tmp_path, default_sink="stem", quantum=1024)
    )
    with opened as server:
        for name in ("PULSE_SINK", "PULSE_SOURCE"):
            del server.environ[name]
            monkeypatch.delenv(name, raising=False)
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        desktop = Desktop(kind, server)
        prepare(desktop)
        try:
            yield desktop
        finally:
            for player in desktop.players:
                player.kill()
                player.wait()


def prepare(desktop: Desktop) -> None:
    """Have a server that was just started remember streams, as each desktop's does."""
    if desktop.kind == "pulse":
        desktop.server.command("pactl", "load-module", "module-stream-restore")
        desktop.default("stem")
