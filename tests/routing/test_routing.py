"""Streams are moved to rtsep's sink and come back, on PulseAudio and on PipeWire."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rtsep.errors import RtsepError, UsageError
from rtsep.routing.apps import list_apps
from rtsep.routing.events import Event, OutputChanged, ServerBack, ServerGone, StreamsChanged
from rtsep.routing.request import RoutingRequest
from rtsep.routing.router import Router
from rtsep_bench.server_process import (
    READY_S,
    AudioServer,
    Program,
    running,
    wait_until,
    without_servers,
)
from tests.routing.conftest import prepare
from tests.routing.sound import Desktop, children, main_process

pytestmark = pytest.mark.unhurried

# WirePlumber writes what it remembers into its file a second later.
WIREPLUMBER_WRITES_S = 1.5


def until(router: Router, kind: type, fits: Callable[[Event], bool] = lambda _: True) -> Event:
    """Poll until an event of a kind comes; returns it."""
    found: list[Event] = []

    def came() -> bool:
        found.extend(event for event in router.poll() if isinstance(event, kind) and fits(event))
        return bool(found)

    wait_until(came, kind.__name__)
    return found[0]


def test_streams_go_and_come_back(desktop: Desktop) -> None:
    playing = desktop.play("player")
    elsewhere = desktop.play("elsewhere", "--device=song")
    before = desktop.pinned()
    with Router.start(RoutingRequest()) as router:
        assert router.route.source == "rtsep.monitor"
        assert router.route.sink == "stem"
        assert desktop.heard()[playing] == "stem"  # not before `capture`
        router.capture()
        desktop.wait_for(playing, "rtsep")
        desktop.wait_for(elsewhere, "rtsep")
        new = desktop.play("new")
        desktop.wait_for(new, "rtsep")
        until(router, StreamsChanged, lambda e: set(e.names) == {playing, elsewhere, new})
        assert desktop.server.command("pactl", "get-default-sink").strip() == "stem"
        assert router.close()
    desktop.wait_until_clean()
    desktop.wait_for(playing, "stem")
    desktop.wait_for(elsewhere, "song")
    desktop.wait_for(new, "stem")
    wait_until(lambda: desktop.pinned() == before, f"{before}, not {desktop.pinned()}")


def test_a_stream_that_ended_is_not_remembered_on_the_sink(desktop: Desktop) -> None:
    with Router.start(RoutingRequest()) as router:
        router.capture()
        desktop.play("brief")
        desktop.wait_for("brief", "rtsep")
        desktop.end()
    desktop.wait_until_clean()
    time.sleep(WIREPLUMBER_WRITES_S)
    assert desktop.remembered() == {}
    # The sink is there again, but not for this application.
    with Router.start(RoutingRequest(apps=("other",))) as router:
        router.capture()
        until(router, StreamsChanged)
        desktop.play("brief")
        desktop.wait_for("brief", "stem")


def test_a_users_choice_is_remembered_of_a_stream_that_ended(desktop: Desktop) -> None:
    desktop.play("chosen")
    desktop.choose("chosen", "song")
    before = desktop.remembered()
    with Router.start(RoutingRequest()) as router:
        router.capture()
        desktop.wait_for("chosen", "rtsep")
        until(router, StreamsChanged)
        desktop.end()
    desktop.wait_until_clean()
    time.sleep(WIREPLUMBER_WRITES_S)
    assert desktop.remembered() == before
    desktop.play("chosen")
    desktop.wait_for("chosen", "song")


def test_a_users_choice_comes_back(desktop: Desktop) -> None:
    desktop.play("chosen")
    desktop.choose("chosen", "song")
    before = desktop.pinned()
    with Router.start(RoutingRequest()) as router:
        router.capture()
        desktop.wait_for("chosen", "rtsep")
    desktop.wait_for("chosen", "song")
    wait_until(lambda: desktop.pinned() == before, f"{before}, not {desktop.pinned()}")


def test_a_user_who_moves_a_stream_away_is_not_contradicted(desktop: Desktop) -> None:
    desktop.play("player")
    with Router.start(RoutingRequest()) as router:
        router.capture()
        until(router, StreamsChanged, lambda e: e.names == ("player",))
        desktop.wait_for("player", "rtsep")
        time.sleep(0.3)
        desktop.move("player", "song")
        until(router, StreamsChanged, lambda e: e.names == ())
        assert desktop.heard()["player"] == "song"
    assert desktop.heard()["player"] == "song"
    wait_until(lambda: "song" in desktop.remembered().values(), "the new choice")


def test_only_the_applications_named(desktop: Desktop) -> None:
    desktop.play("Music Box")
    desktop.play("talk")
    with Router.start(RoutingRequest(apps=("music", "later"))) as router:
        router.capture()
        event = until(router, StreamsChanged, lambda e: e.names != ())
        assert event == StreamsChanged(("Music Box",), ("later",))
        desktop.wait_for("Music Box", "rtsep")
        listed = {app.name: app.is_filtered for app in list_apps()}
        assert listed == {"Music Box": True, "talk": False}
        desktop.play("later")
        until(router, StreamsChanged, lambda e: e.awaited == ())
        desktop.wait_for("later", "rtsep")
        assert desktop.heard()["talk"] == "stem"


def test_rtseps_own_streams_and_event_sounds_stay(desktop: Desktop) -> None:
    desktop.play("rtsep")
    desktop.play("bell", "--property=media.role=event")
    desktop.play("player")
    with Router.start(RoutingRequest()) as router:
        router.capture()
        desktop.wait_for("player", "rtsep")
        assert desktop.heard()["rtsep"] == "stem"
        assert desktop.heard()["bell"] == "stem"


def test_the_default_output_is_followed(desktop: Desktop) -> None:
    with Router.start(RoutingRequest()) as router:
        router.capture()
        desktop.default("song")
        event = until(router, OutputChanged)
        assert event.route.sink == router.route.sink == "song"
        desktop.default("rtsep")  # no loop
        desktop.default("stem")
        assert until(router, OutputChanged).route.sink == "stem"


def test_an_output_that_goes_and_comes_back(desktop: Desktop) -> None:
    load = ("pactl", "load-module", "module-null-sink", "sink_name=phones", "channel_map=stereo")
    module = desktop.server.command(*load).strip()
    with Router.start(RoutingRequest(output="PHONE")) as router:
        assert router.route.sink == "phones"
        desktop.server.command("pactl", "unload-module", module)
        assert until(router, OutputChanged).route.sink == "stem"
        desktop.server.command(*load)
        assert until(router, OutputChanged).route.sink == "phones"


@pytest.mark.parametrize("end", ["interrupt", "main", "routing", "both", "main stopped by TERM"])
def test_nothing_is_left_of_a_killed_process(desktop: Desktop, end: str) -> None:
    desktop.play("player")
    desktop.play("elsewhere", "--device=song")
    before = desktop.pinned()
    with main_process() as (main, routing):
        desktop.wait_for("player", "rtsep")
        desktop.wait_for("elsewhere", "rtsep")
        expected = desktop.kind == "pipewire"
        # Beside a tool of the server's that the routing runs for a moment.
        wait_until(lambda: len(children(routing)) == expected, f"{expected:d} holders")
        holders = children(routing)
        if end == "both":
            os.kill(routing, signal.SIGSTOP)
        number = {"interrupt": signal.SIGINT, "main stopped by TERM": signal.SIGTERM}
        if end == "routing":
            os.kill(routing, signal.SIGKILL)
        else:
            main.send_signal(number.get(end, signal.SIGKILL))
        main.wait(READY_S)
        if end == "both":
            os.kill(routing, signal.SIGKILL)
            wait_until(lambda: not os.path.exists(f"/proc/{routing}/exe"), "its end")
            assert "rtsep_vocals" in desktop.devices()
            list_apps()
        desktop.wait_until_clean()
        wait_until(lambda: not any(p.is_alive() for p in holders), "the sink's process to end")
    desktop.wait_for("player", "stem")
    desktop.wait_for("elsewhere", "song")
    wait_until(lambda: desktop.pinned() == before, f"{before}, not {desktop.pinned()}")


def test_a_killed_routing_process_is_told(desktop: Desktop) -> None:
    router = Router.start(RoutingRequest(stems=("vocals",)))
    os.kill(router._process.pid, signal.SIGKILL)
    with pytest.raises(RtsepError, match="routes sound has ended"):
        until(router, ServerGone)
    assert router.poll() == []
    desktop.wait_until_clean()


def test_a_second_rtsep_is_refused(desktop: Desktop) -> None:
    with Router.start(RoutingRequest()):
        with pytest.raises(RtsepError, match=f"another rtsep .*process {os.getpid()}"):
            Router.start(RoutingRequest())
        # One that needs other devices may run beside it.
        with Router.start(
            RoutingRequest(capture=False, input="song", stems=("microphone",))
        ) as two:
            assert two.route.source == "song.monitor"
            assert two.route.sink is None
            assert {"rtsep", "rtsep_microphone"} <= desktop.devices()
    desktop.wait_until_clean()


def test_a_server_that_restarts(desktop: Desktop) -> None:
    with Router.start(RoutingRequest()) as router:
        router.capture()
        desktop.server.kill()
        until(router, ServerGone)
        if desktop.kind == "pipewire":
            # What a killed server leaves: the programs after it would take it for the new one's.
            Path(desktop.server.environ["XDG_RUNTIME_DIR"], "pipewire-0").unlink(missing_ok=True)
        desktop.server.restart()
        until(router, ServerBack)
        wait_until(lambda: "rtsep" in desktop.devices(), "the sink")
        prepare(desktop)
        desktop.play("player")
        router.capture()
        desktop.wait_for("player", "rtsep")
    desktop.wait_until_clean()
    desktop.wait_for("player", "stem")


def test_stems_are_sources(desktop: Desktop) -> None:
    stems = ("vocals", "drums")
    with Router.start(RoutingRequest(stems=stems)) as router:
        nodes = router.route.stem_nodes
        assert tuple(nodes) == stems
        assert set(nodes.values()) <= desktop.devices()
        listed = desktop.server.command("pactl", "list", "sources")
        for stem in stems:
            found = [part for part in listed.split("Source #") if f"Name: rtsep_{stem}\n" in part]
            assert len(found) == 1
            assert f"Description: rtsep {stem}\n" in found[0]
            assert "Channel Map: front-left,front-right\n" in found[0]
            assert "Monitor of Sink: n/a\n" in found[0]
    desktop.wait_until_clean()


def test_what_is_not_there_is_named(desktop: Desktop) -> None:
    with pytest.raises(UsageError, match="there is no output 'nowhere'; .*song, stem"):
        Router.start(RoutingRequest(output="nowhere"))
    with pytest.raises(UsageError, match="there is no input 'nowhere'"):
        Router.start(RoutingRequest(capture=False, input="nowhere", stems=("microphone",)))
    desktop.server.command("pactl", "load-module", "module-null-sink", "sink_name=rtsep")
    with pytest.raises(UsageError, match="did not make: remove it with `pactl unload-module"):
        Router.start(RoutingRequest())


@pytest.mark.needs("pulse")
def test_a_server_that_permits_no_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    socket = tmp_path / "native"
    sink = "--load=module-null-sink sink_name=song norewinds=1"
    protocol = f"--load=module-native-protocol-unix socket={socket} auth-anonymous=1"
    command = [
        "pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1",
        "--disallow-module-loading=yes", protocol, sink,
    ]  # fmt: skip
    environ = {
        **without_servers(), "PULSE_SERVER": f"unix:{socket}", "PULSE_RUNTIME_PATH": str(tmp_path),
        "PULSE_STATE_PATH": str(tmp_path), "PULSE_COOKIE": str(tmp_path / "cookie"),
        "XDG_CACHE_HOME": str(tmp_path),
    }  # fmt: skip
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    def ready(server: AudioServer) -> bool:
        return "song" in server.command("pactl", "list", "short", "sinks")

    program = Program(command, tmp_path / "pulseaudio.log")
    with (
        running([program], environ, ready),
        pytest.raises(RtsepError, match="permits this program"),
    ):
        Router.start(RoutingRequest())


def test_no_server(desktop: Desktop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_SERVER", "unix:/nowhere/native")
    with pytest.raises(RtsepError, match="no PulseAudio and no PipeWire"):
        Router.start(RoutingRequest())
