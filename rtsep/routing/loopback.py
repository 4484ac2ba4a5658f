"""The sink on PipeWire: a process `pw-loopback`, which lives as long as the routing process.

    players -> node "rtsep" (Audio/Sink) | node "rtsep.out" -> whoever is connected

What is played to one node comes out of the other in the same cycle of the graph, and the latency
behind it is told to the players. The monitor of a null sink (0.3.65) does neither.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from typing import IO, Any

from rtsep.errors import RtsepError, one_line
from rtsep.routing import pipewire_tools
from rtsep.routing.owner import PROPERTY, Owner
from rtsep.routing.server import ServerLost

PROGRAM = "pw-loopback"
# PipeWire's settings for clients whose thread is to have real-time priority, as those of JACK have:
# rtsep's workers do, and beside them one without it would hold up the graph.
_REAL_TIME = "client-rt.conf"
_POSITIONS = ["FL", "FR"]
# What the nodes may take to appear on a busy machine.
_START_S, _POLL_S = 5.0, 0.02
_END_S = 1.0
_PR_SET_PDEATHSIG = 1


class Loopback:
    """A sink and what comes out of it, until `close` or the end of this process.

    Parameters
    ----------
    name : str
        Name and description of the sink.
    rate : int
        Samples per second.
    owner : Owner
        Entered among the sink's properties.
    is_there : callable
        Whether the sound server lists the sink; asked until it does.

    Raises
    ------
    MissingLibraryError
        If PipeWire's programs are not installed.
    ServerLost
        If PipeWire does not take the nodes.
    """

    def __init__(self, name: str, rate: int, owner: Owner, is_there: Callable[[], bool]) -> None:
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (until `close`)
        try:
            self._process = subprocess.Popen(
                _command(name, rate, owner),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._complaints,
                env={**os.environ, "PIPEWIRE_CONFIG_NAME": _REAL_TIME},
                preexec_fn=_die_with_parent(),
            )  # fmt: skip
        except FileNotFoundError:
            self._complaints.close()
            raise pipewire_tools.missing(PROGRAM) from None
        try:
            self._wait(is_there)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the process, and with it the nodes; a second call does nothing."""
        self._process.terminate()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._complaints.close()

    def _wait(self, is_there: Callable[[], bool]) -> None:
        ends = time.monotonic() + _START_S
        while not is_there():
            if self._process.poll() is not None:
                self._complaints.seek(0)
                said = one_line(self._complaints.read().decode(errors="replace"))
                raise ServerLost(f"{PROGRAM} makes no sink: {said or 'it says no more'}")
            if time.monotonic() > ends:
                raise ServerLost(f"{PROGRAM} made no sink in {_START_S:g} s")
            time.sleep(_POLL_S)


def out_node(name: str) -> str:
    """The node whose output ports give what is played to the sink."""
    return f"{name}.out"


def owner_of(sink: Any) -> Owner | None:
    """Whose loopback a sink is, as pulsectl lists it; None if it is none."""
    return Owner.named_in(f"{PROPERTY}={sink.proplist.get(PROPERTY, '')}")


def remove(sink: Any) -> None:
    """Remove a sink whose process may be gone, or may have lost its parent; the process then ends."""
    with contextlib.suppress(RtsepError):  # the node has gone meanwhile
        pipewire_tools.run("pw-cli", "destroy", sink.proplist["object.id"])


def _command(name: str, rate: int, owner: Owner) -> list[str]:
    both = {"audio.rate": rate, "audio.channels": 2, "audio.position": _POSITIONS}
    sink = {
        **both,
        "node.name": name,
        "node.description": name,
        "media.class": "Audio/Sink",
        # Suspended, it would tell no latency.
        "session.suspend-timeout-seconds": 0,
        PROPERTY: str(owner).partition("=")[2],
    }
    out = {
        **both,
        "node.name": out_node(name),
        "node.description": f"{name} out",
        # Neither linked by the session manager nor shown by mixers as one more player.
        "media.class": "Stream/Output/Audio/Internal",
        "node.autoconnect": False,
    }
    # JSON is a form of PipeWire's own notation.
    return [
        PROGRAM, f"--name={name}", "--channels=2", "-m", f"[ {', '.join(_POSITIONS)} ]",
        f"--capture-props={json.dumps(sink)}", f"--playback-props={json.dumps(out)}",
    ]  # fmt: skip


def _die_with_parent() -> Callable[[], None]:
    """What a child calls first, so that it is killed when this process ends in any way."""
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def call() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has ended before
            os._exit(1)

    return call
