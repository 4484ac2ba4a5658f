"""The faults: what is done to a running session, and how long nothing can be heard because of it."""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtsep.control.protocol import LOOPBACK
from rtsep.environment import usable_cores
from rtsep.errors import RtsepError
from rtsep.live.plans.plan import PLANS
from rtsep_bench import fault_machine
from rtsep_bench.busy import busy_programs
from rtsep_bench.control_switches import free_port
from rtsep_bench.endtoend_routes import EARS
from rtsep_bench.fault_scene import JACK, PHONES, PIPEWIRE, PLAN, PULSE, RATES, START_S, Scene
from rtsep_bench.fault_sound import MIDDLE_PPM, SWING_PPM

ALL = (PULSE, PIPEWIRE, JACK)
# Servers with sinks, of which there may be several.
BOTH = (PULSE, PIPEWIRE)
STOPPED_S, GONE_S, SUSPENDED_S, HALTED_S = 5.0, 20.0, 5.0, 1.0
LOADED_S, PRESSED_S = 5.0, 10.0
CHANGES_A_SECOND = 50
CLOCK_S = 40.0
PLANS_S, SETTLED_S, LEAST_CHANGES = 10.0, 5.0, 3
# A server takes memory in its first sessions that it keeps for later ones.
SETTLING_STARTS = 10


@dataclass(frozen=True)
class Fault:
    """One way in which things go wrong.

    done: in words.  act: does it, and returns for how many seconds no program could have been heard.
    words: further options of rtsep-monitor, given a folder.  servers: on which it can happen.
    wrong: what is wrong about the statistics afterwards, or "".
    clocked: the output has a clock of its own.  enclosed: the program has a cgroup of its own.
    """

    name: str
    done: str
    act: Callable[[Scene], float]
    words: Callable[[Path], Sequence[str]] = lambda folder: ()
    servers: Sequence[str] = ALL
    wrong: Callable[[dict[str, Any]], str] = lambda stats: ""
    clocked: bool = False
    enclosed: bool = False


def _server_stopped(scene: Scene) -> float:
    scene.stop(STOPPED_S, server=True)
    return STOPPED_S


def _server_gone(scene: Scene) -> float:
    begun_s = time.monotonic()
    scene.server.kill()
    time.sleep(GONE_S)
    scene.restart_server()
    return time.monotonic() - begun_s


def _device_unplugged(scene: Scene) -> float:
    scene.plug_in_phones()
    scene.default_to(PHONES)
    time.sleep(2.0)
    scene.unplug_phones()
    return 0.0


def _another_default(scene: Scene) -> float:
    scene.plug_in_phones()
    for sink in (PHONES, EARS, PHONES, EARS):
        scene.default_to(sink)
        time.sleep(1.5)
    scene.unplug_phones()
    return 0.0


def _another_rate(scene: Scene) -> float:
    if scene.family == PIPEWIRE:
        for rate in (RATES[1], RATES[0]):
            scene.server.command(
                "pw-metadata", "-n", "settings", "0", "clock.force-rate", str(rate)
            )
            time.sleep(4.0)
        return 0.0
    scene.plug_in_phones(RATES[1])
    for sink in (PHONES, EARS):
        scene.default_to(sink)
        time.sleep(4.0)
    scene.unplug_phones()
    return 0.0


def _program_stopped(scene: Scene) -> float:
    scene.stop(HALTED_S, program=True)
    return HALTED_S


def _core_taken(scene: Scene) -> float:
    core = fault_machine.core_of_worker(scene.monitor.process.pid)
    with fault_machine.hog(core):
        time.sleep(HALTED_S)
    return HALTED_S


def _suspended(scene: Scene) -> float:
    scene.stop(SUSPENDED_S, program=True, server=True)
    return SUSPENDED_S


def _hogs(scene: Scene) -> float:
    with busy_programs(2 * usable_cores()):
        time.sleep(LOADED_S)
    return 0.0


def _memory_pressure(scene: Scene) -> float:
    assert scene.memory is not None
    with scene.memory.little_left(scene.monitor.process.pid):
        time.sleep(PRESSED_S)
    return 0.0


def _disk_full(scene: Scene) -> float:
    time.sleep(LOADED_S)
    return 0.0


def _disk_slow(scene: Scene) -> float:
    with fault_machine.frozen(scene.folder / "disk"):
        time.sleep(STOPPED_S)
    return 0.0


def _clock_off(scene: Scene) -> float:
    time.sleep(CLOCK_S)
    return 0.0


def _starts_and_stops(scene: Scene) -> float:
    """With the sound of the session on and off: what plays passes by unfiltered, or through it."""
    before = None
    for number in range(1, scene.starts + 1):
        scene.note(f"ending before start {number}")
        scene.monitor.end()
        if number == min(SETTLING_STARTS, scene.starts):
            before = scene.server_load()
        scene.note(f"start {number}")
        scene.start_again()
        if scene.wait_for_sound(START_S) is None:
            raise RtsepError(f"no filtered sound after start {number} of {scene.starts}")
    scene.note("ending for good")
    scene.monitor.end()
    scene.told = {"server_before": before, "server_after": scene.server_load()}
    left = scene.server.command("pactl", "list", "short", "sinks")
    if "rtsep" in left:
        raise RtsepError(f"a sink was left: {left.strip()}")
    scene.note("start to see that it still plays")
    scene.start_again()
    if scene.wait_for_sound(START_S) is None:
        raise RtsepError("no filtered sound after the last start")
    return 0.0


def _not_a_number(scene: Scene) -> float:
    scene.player.is_bad = True
    time.sleep(HALTED_S)
    scene.player.is_bad = False
    # What is no sound cannot be heard.
    return HALTED_S


def _controls(scene: Scene) -> float:
    """Pairs of keys that undo each other, so that it sounds at the end as it did."""
    chosen = random.Random(0)
    ends_s = time.monotonic() + LOADED_S
    while time.monotonic() < ends_s:
        for key in chosen.choice(("bb", "+-", "-+", "2+-1", "1-+")):
            os.write(scene.keys, key.encode())
            time.sleep(1 / CHANGES_A_SECOND)
    return 0.0


def _plans(scene: Scene) -> float:
    """Asked for by OSC; the plan at the end is the one at the beginning."""
    from rtsep.control.osc.packets import write_message

    port = int(scene.words[scene.words.index("--osc") + 1])
    # What the longest plan lets be heard has to have played.
    time.sleep(max(plan.latency_ms for plan in PLANS.values()) / 1000)
    chosen = random.Random(0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

        def ask_for(plan: str) -> None:
            sender.sendto(write_message("plan", [plan]), (LOOPBACK, port))
            time.sleep(1 / CHANGES_A_SECOND)

        ends_s = time.monotonic() + PLANS_S
        while time.monotonic() < ends_s:
            ask_for(chosen.choice(list(PLANS)))
        ask_for(PLAN)
        # The change under way, and the last.
        time.sleep(SETTLED_S)
    return 0.0


def _by_osc(folder: Path) -> list[str]:
    return ["--osc", str(free_port())]


def _has_changed_plans(stats: dict[str, Any]) -> str:
    if len(stats["plan_changes"]) < LEAST_CHANGES:
        return f"{len(stats['plan_changes'])} plan changes: nothing was tried"
    last = stats["plan"]["name"]
    return "" if last == PLAN else f"the plan is {last}, and {PLAN} was asked for last"


def _record(folder: Path) -> list[str]:
    return ["--record", str(folder / "disk" / "takes")]


def _keeps_bad_samples(stats: dict[str, Any]) -> str:
    return "" if stats["bad_samples"] else "no bad sample has come in: nothing was tried"


def _drifts(stats: dict[str, Any]) -> str:
    ppm = stats["clock_drift_ppm"]
    return "" if abs(ppm) > MIDDLE_PPM / 2 else f"{ppm} ppm between the clocks: nothing was tried"


def _has_lost_samples(stats: dict[str, Any]) -> str:
    return (
        "" if stats["lost_samples"] else "nothing is missing from the recording: nothing was tried"
    )


FAULTS = (
    Fault("server-stopped", f"SIGSTOP of the server for {STOPPED_S:g} s", _server_stopped),
    Fault("server-gone", f"server killed, and started again {GONE_S:g} s later", _server_gone),
    Fault("device-unplugged", "the output in use is taken away", _device_unplugged, servers=BOTH),
    Fault("another-default", "four changes of the default output", _another_default, servers=BOTH),
    Fault("another-rate", "44.1 to 48 kHz and back", _another_rate, servers=BOTH),
    Fault("program-stopped", f"SIGSTOP of rtsep-monitor for {HALTED_S:g} s", _program_stopped),
    Fault("core-taken", f"a worker's core is taken by SCHED_FIFO 50 for {HALTED_S:g} s", _core_taken),
    Fault("suspended", f"SIGSTOP of program and server for {SUSPENDED_S:g} s", _suspended),
    Fault("hogs", f"two busy programs on each core for {LOADED_S:g} s", _hogs),
    Fault(
        "memory-pressure", f"a cgroup with no memory left, again and again, for {PRESSED_S:g} s",
        _memory_pressure,
        enclosed=True,
    ),
    Fault(
        "disk-full", "a recording on a file system of 2 MB", _disk_full,
        _record, wrong=_has_lost_samples,
    ),
    Fault(
        "disk-slow", f"the recording's file system takes nothing for {STOPPED_S:g} s", _disk_slow,
        _record,
    ),
    Fault(
        "not-a-number", f"NaN for {HALTED_S:g} s", _not_a_number, wrong=_keeps_bad_samples,
    ),
    Fault(
        "clock-off",
        f"the output's clock {MIDDLE_PPM - SWING_PPM:g} to {MIDDLE_PPM + SWING_PPM:g} ppm fast,"
        f" drifting, for {CLOCK_S:g} s",
        _clock_off, servers=(PULSE,), wrong=_drifts, clocked=True,
    ),
    Fault("starts-and-stops", "started and ended again and again", _starts_and_stops, servers=BOTH),
    Fault(
        "plans", f"{CHANGES_A_SECOND} other plans a second asked for, for {PLANS_S:g} s", _plans,
        _by_osc, wrong=_has_changed_plans,
    ),
    Fault("controls", f"{CHANGES_A_SECOND} keys a second for {LOADED_S:g} s: bypass, gains", _controls),
)  # fmt: skip
