"""The sink on PipeWire, which a process holds: its latency, its end, and what is left of it."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from rtsep.errors import RtsepError
from rtsep.routing.apps import list_apps
from rtsep.routing.events import Failed
from rtsep.routing.loopback import Loopback
from rtsep.routing.owner import Owner, Process
from rtsep.routing.request import RoutingRequest
from rtsep.routing.router import Router
from rtsep_bench.server_process import wait_until
from tests.devices.graph_programs import DELAY_SAMPLES, node_ports, passing, probing
from tests.routing.sound import Desktop, children

pytestmark = pytest.mark.parametrize(
    "desktop", [pytest.param("pipewire", marks=pytest.mark.needs("pipewire"))], indirect=True
)
CYCLE = 1024


def test_a_player_is_told_the_latency_and_the_sink_adds_none(desktop: Desktop) -> None:
    desktop.play("player")
    with Router.start(RoutingRequest()) as router:
        route = router.route
        with passing(desktop.server, source=route.source_node, sink=route.sink):
            router.capture()
            desktop.wait_for("player", "rtsep")

            def told() -> bool:
                latencies, _ = node_ports(desktop.server, CYCLE)
                return bool(latencies["player", "output_FL"]["Input"] == DELAY_SAMPLES)

            wait_until(told, "the player's port to have the latency")
            played = "rtsep:playback_FL,rtsep:playback_FR"
            with probing(desktop.server, played, "rtsep out:output_FL") as delay:
                assert delay() == 0


@pytest.mark.unhurried
def test_a_sink_whose_process_was_killed_is_made_anew(desktop: Desktop) -> None:
    desktop.play("player")
    with Router.start(RoutingRequest()) as router:
        router.capture()
        desktop.wait_for("player", "rtsep")
        (before,) = children(router._process.pid)
        os.kill(before.number, signal.SIGKILL)
        said: list[str] = []

        def came() -> bool:
            said.extend(event.line for event in router.poll() if isinstance(event, Failed))
            return any(child != before for child in children(router._process.pid))

        wait_until(came, "another process")
        desktop.wait_for("player", "rtsep")
        wait_until(lambda: came() and said != [], "its line")
        assert said == ["pw-loopback, which holds the sink rtsep, has ended: it is started anew"]
    desktop.wait_until_clean()
    desktop.wait_for("player", "stem")


@pytest.mark.unhurried
def test_a_sink_whose_owner_is_gone_is_removed(desktop: Desktop) -> None:
    gone = Owner(Process(1, 0), Process(1, 0))
    loopback = Loopback("rtsep", 48_000, gone, lambda: "rtsep" in desktop.devices())
    try:
        list_apps()
        desktop.wait_until_clean()
        wait_until(lambda: children(os.getpid(), "pw-loopback") == [], "the process's end")
    finally:
        loopback.close()


@pytest.mark.unhurried
def test_without_the_program(
    desktop: Desktop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = shutil.which("pw-metadata")
    assert found is not None
    (tmp_path / "pw-metadata").symlink_to(found)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RtsepError, match="pw-loopback is missing.*apt install pipewire-bin"):
        Router.start(RoutingRequest())
