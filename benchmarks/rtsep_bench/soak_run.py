"""One soak: a server of its own, the song in, `rtsep-monitor` beside it, and what is heard checked.

this program: server, watchdog, monitor, check
   |   song: soak_probe.py in a graph, soak_listen.py on PulseAudio
   +-> player -> server -> rtsep-monitor -> server -> listener -> SongCheck
"""

from __future__ import annotations

import queue
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rtsep.constants import SAMPLE_RATE
from rtsep.errors import RtsepError
from rtsep.live.plans.notation import read_plan
from rtsep.live.plans.plan import StreamPlan
from rtsep.system.memory import keep_in_place
from rtsep.system.signals import settle
from rtsep.weights.library import CACHE_VARIABLE
from rtsep_bench import child
from rtsep_bench.core_speed import CORE, MEMORY, CoreSpeed, Slow
from rtsep_bench.endtoend_monitor import MonitorProcess
from rtsep_bench.endtoend_routes import EARS, PULSEAUDIO, Route, Server
from rtsep_bench.kernel_threads import KernelThreads
from rtsep_bench.memory import rss_mb
from rtsep_bench.server_process import AudioServer
from rtsep_bench.servers import pipewire_jack, pulse_server
from rtsep_bench.soak_causes import SLOW, STALLED, Noted, Stall, explain
from rtsep_bench.soak_check import SongCheck
from rtsep_bench.soak_judges import PIECE, WarpedJudge
from rtsep_bench.soak_probe import HEARD, MODULE, NO_SINK, Record, read_records
from rtsep_bench.soak_song import References, Wanted
from rtsep_bench.watchdog import Watchdog, priority

TICK_S, TOLD_S = 0.05, 10.0
# Programs that are compiled the first time take as long until the song is found in what is heard.
MOST_START_S = 180.0
# Memory is looked at so often, and its growth counts from the first of these parts of the time on.
MEMORY_S, SETTLED = 5.0, 0.1
MOST_SETTLED_S = 120.0
# Records that wait to be checked: half a minute of the shortest cycles.
MOST_WAITING = 8192
# So long a plan is tried that the program chooses: its choice is looked at again for 10 s.
REHEARSAL_S = 20.0


@dataclass(frozen=True)
class SoakSettings:
    """What runs.

    server, route: as for `rtsep-bench endtoend`.  options: further ones of rtsep-monitor.
    seconds: from when the song was first heard as it must sound.
    """

    server: Server
    route: Route
    wanted: Wanted
    options: Sequence[str]
    seconds: float


@dataclass
class _Soak:
    """What is known of a soak while it runs."""

    check: SongCheck
    player_missed_s: list[float] = field(default_factory=list)
    memory_mb: list[tuple[float, float]] = field(default_factory=list)

    def take(self, record: Record) -> None:
        if record.kind == HEARD:
            self.check.add(record.at, record.came_s, record.block)
        else:
            self.player_missed_s.append(record.came_s)


def run(
    settings: SoakSettings, references: References, weights: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Run it; returns the figures. Raises RtsepError where it cannot be run to its end."""
    keep_in_place()  # the song, which is large, shall be no reason for the machine to stand still
    soak = _Soak(SongCheck(references))
    # Without leave to go before all other programs it would watch those, and not the machine.
    watchdog = Watchdog() if priority() else None
    speed = CoreSpeed() if priority() else None
    with (
        watchdog or nullcontext(),
        speed or nullcontext(),
        KernelThreads() as kernel,
        tempfile.TemporaryDirectory() as folder,
    ):
        stats, lasted_s = _play(settings, soak, weights, Path(folder), say)
    stalls = None
    if watchdog is not None:
        stalls = [
            Stall(over_s, length_s, _held_up(watchdog, kernel, over_s, length_s))
            for over_s, length_s in watchdog.delays
            if length_s > settings.server.stall_s
        ]
    return _figures(settings, soak, stats, lasted_s, stalls, speed.slow if speed else [])


def sustained(settings: SoakSettings, weights: Path) -> StreamPlan:
    """The plan that `rtsep-monitor` comes to run where it is asked for that of `settings`.

    Of `low` it takes as many views as the machine sustains. Raises RtsepError.
    """
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        server = stack.enter_context(started(settings.server, folder))
        silence = np.zeros((SAMPLE_RATE, 2), np.float32)
        stack.enter_context(
            _player(settings, server, weights, silence, folder, lambda record: None)
        )
        monitor = _monitor(settings, server, weights, folder, stack)
        ends_s = time.monotonic() + REHEARSAL_S
        while time.monotonic() < ends_s:
            monitor.check()
            time.sleep(TICK_S)
        return read_plan(monitor.end()["plan"]["spelling"])


def words_for(settings: SoakSettings) -> list[str]:
    """The options of rtsep-monitor."""
    wanted = settings.wanted
    return [
        "--quiet", "--model", wanted.model, "--stem", wanted.stem, "--ratio",
        "--latency", wanted.plan.name, "--precision", wanted.precision, "--no-auto-level",
        *settings.route.options(settings.server), *settings.options,
    ]  # fmt: skip


@contextmanager
def started(server: Server, folder: Path) -> Iterator[AudioServer]:
    """The server, whose monitors give every sample once: PulseAudio renders none anew."""
    if server.family == PULSEAUDIO:
        with pulse_server(folder) as pulse:
            pulse.command("pactl", "set-default-sink", EARS)
            yield pulse
    else:
        with server.start(folder) as graph:
            yield graph


def _play(
    settings: SoakSettings, soak: _Soak, weights: Path, folder: Path, say: Callable[[str], None]
) -> tuple[dict[str, Any], float]:
    records: queue.Queue[Record] = queue.Queue(MOST_WAITING)
    with ExitStack() as stack:
        server = stack.enter_context(started(settings.server, folder))
        song = soak.check.references.song
        stack.enter_context(_player(settings, server, weights, song, folder, records.put))
        monitor = _monitor(settings, server, weights, folder, stack)
        try:
            _look_after(settings, soak, monitor, records, say)
        except KeyboardInterrupt:
            if soak.check.found_s is None:
                raise
            settle()
            say("interrupted: what was seen until now")
        assert soak.check.found_s is not None
        lasted_s = time.monotonic() - soak.check.found_s
        return monitor.end(), lasted_s


def _player(
    settings: SoakSettings, server: AudioServer, weights: Path, song: np.ndarray, folder: Path,
    take: Callable[[Record], None],
) -> AbstractContextManager[None]:  # fmt: skip
    """What plays the song, and gives to `take` what is heard."""
    if settings.server.family == PULSEAUDIO:
        from rtsep_bench.soak_listen import song_on_pulse

        sink = None if settings.route.takes_over else settings.route.input_sink
        return song_on_pulse(_environ(settings, server, weights), song, sink, take)
    return _song_in_graph(settings, server, song, folder, take)


def _environ(settings: SoakSettings, server: AudioServer, weights: Path) -> dict[str, str]:
    reached = server.players_environ if settings.route.takes_over else server.environ
    return {**reached, CACHE_VARIABLE: str(weights)}


def _monitor(
    settings: SoakSettings, server: AudioServer, weights: Path, folder: Path, stack: ExitStack
) -> MonitorProcess:
    """The program, started; `stack` ends it."""
    monitor = MonitorProcess(words_for(settings), folder, _environ(settings, server, weights))
    stack.callback(monitor.kill)
    return monitor


@contextmanager
def _song_in_graph(
    settings: SoakSettings, server: AudioServer, song: np.ndarray, folder: Path,
    take: Callable[[Record], None],
) -> Iterator[None]:  # fmt: skip
    """Play the song into the graph by soak_probe.py, for the time of a `with` block."""
    file = folder / "song.npy"
    np.save(file, song)
    sink = settings.route.input_sink
    ears = NO_SINK if sink is None else EARS
    environ = server.environ if settings.server.family == "jack" else pipewire_jack(server).environ
    words = [str(file), NO_SINK if sink is None else sink, ears]
    program = subprocess.Popen(
        [*priority(), *child.command(MODULE, *words)], env=environ,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip

    def read() -> None:
        assert program.stdout is not None
        for record in read_records(program.stdout):
            take(record)

    try:
        assert program.stderr is not None
        first = program.stderr.readline().decode().strip()
        if first != child.BEGUN:
            raise RtsepError(f"the player did not start: {first or 'it said nothing'}")
        threading.Thread(target=read, daemon=True).start()
        yield
    finally:
        program.kill()
        program.wait()


def _look_after(
    settings: SoakSettings, soak: _Soak, monitor: MonitorProcess,
    records: queue.Queue[Record], say: Callable[[str], None],
) -> None:  # fmt: skip
    """Check what comes in until the time is over."""
    check = soak.check
    begun_s = time.monotonic()
    told_s = memory_s = 0.0
    while True:
        time.sleep(TICK_S)
        while not records.empty():
            soak.take(records.get())
        monitor.check()
        now_s = time.monotonic()
        if check.found_s is None:
            if now_s - begun_s > MOST_START_S:
                stats = monitor.end()
                raise RtsepError(
                    f"what is heard was not what the song must sound like in {MOST_START_S:g} s:"
                    f" {stats['late_masks']} late masks in {stats['hops']} hops,"
                    f" {max(stats['xruns'].values())} xruns"
                )
            continue
        lasted_s = now_s - check.found_s
        if now_s - memory_s >= MEMORY_S:
            memory_s = now_s
            memory_mb = rss_mb(monitor.process.pid)
            if memory_mb is not None:
                soak.memory_mb.append((lasted_s, memory_mb))
        if now_s - told_s >= TOLD_S:
            told_s = now_s
            say(_progress(settings, soak, lasted_s))
        if lasted_s >= settings.seconds:
            return


def _progress(settings: SoakSettings, soak: _Soak, lasted_s: float) -> str:
    check = soak.check
    grown_mb = growth_mb(soak.memory_mb, settings.seconds)
    return (
        f"{lasted_s:.0f} of {settings.seconds:.0f} s: {check.right} hops right, {check.wrong} wrong in"
        f" {len(check.gaps) + check.more_gaps} gaps"
        + ("" if grown_mb is None else f"; memory {grown_mb:+.2f} MB")
    )


def growth_mb(memory_mb: Sequence[tuple[float, float]], seconds: float) -> float | None:
    """How much more memory there is at the end than after the first of the time; None if unknown."""
    settled_s = min(MOST_SETTLED_S, SETTLED * seconds)
    later = [mb for at_s, mb in memory_mb if at_s >= settled_s]
    return later[-1] - later[0] if later else None


def _figures(
    settings: SoakSettings, soak: _Soak, stats: dict[str, Any], lasted_s: float,
    stalls: Sequence[Stall] | None, slow: Sequence[Slow],
) -> dict[str, Any]:  # fmt: skip
    check = soak.check
    assert check.found_s is not None
    rate = check.references.rate
    to_monotonic_s = time.monotonic() - time.time()
    xruns_s = [at_s + to_monotonic_s for at_s in stats["xrun_times_s"]]
    late_s = [at_s + to_monotonic_s for at_s in stats["late_mask_times_s"]]
    noted = Noted(
        stalls=stalls,
        slow=slow,
        measuring_s=[*check.jumps_s, *soak.player_missed_s],
        xruns_s=xruns_s,
        late_masks_s=late_s,
        reaches_s=check.references.settles_s,
    )  # fmt: skip
    during = [at_s for at_s in xruns_s if at_s >= check.found_s]
    gaps = [
        {
            "at_s": gap.begun_s - check.found_s,
            "lasts_ms": 1000 * (gap.ended_s - gap.begun_s + PIECE / rate),
            "hops": gap.pieces,
            "silent_hops": gap.silent,
            "cause": explain(gap.begun_s, noted),
            "heard": gap.heard,
            "moved_samples": gap.moved_samples,
        }
        for gap in check.gaps
    ]
    return {
        "seconds": lasted_s,
        "exact": check.references.exact,
        "tolerance_db": check.judge.tolerance_db if isinstance(check.judge, WarpedJudge) else None,
        "hops": check.checked,
        "wrong_hops": check.wrong,
        "gaps": gaps,
        "more_gaps": check.more_gaps,
        "wrong_by_cause": _by_cause(gaps),
        "xruns": len(during),
        "xruns_at_start": len(xruns_s) - len(during),
        "xruns_by_kind": stats["xruns"],
        "late_masks": sum(at_s >= check.found_s for at_s in late_s),
        "late_masks_at_start": sum(at_s < check.found_s for at_s in late_s),
        "delay_ms": 1000 * check.delay / rate,
        "moved_samples": check.delay - check.first_delay,
        "most_moved_samples": check.most_moved,
        "clock_drift_ppm": stats.get("clock_drift_ppm"),
        "growth_mb": growth_mb(soak.memory_mb, settings.seconds),
        "memory_mb": soak.memory_mb,
        "callback_own_ms": stats["callback_own_ms"],
        "callback_ms": stats["callback_ms"],
        "priority": stats["priority"],
        "precision": stats["precision"],
        "player_missed": len(soak.player_missed_s),
        "listener_missed": len(check.jumps_s),
        "stalls": None if stalls is None else _stalls(settings, stalls, check.found_s),
        "slow": None
        if stalls is None
        else {what: _slow(slow, what, check.found_s) for what in (CORE, MEMORY)},
    }  # fmt: skip


def _held_up(watchdog: Watchdog, kernel: KernelThreads, over_s: float, length_s: float) -> str:
    thread = kernel.held_up(over_s, length_s)
    return thread or ("all cores at once" if watchdog.on_all_cores(over_s) else "")


def _stalls(settings: SoakSettings, stalls: Sequence[Stall], from_s: float) -> dict[str, Any]:
    """How often the machine stood still from then on, for how long at most, and what held it up."""
    during = [stall for stall in stalls if stall.over_s >= from_s]
    held_up = Counter(stall.held_up_by or "one core, by nothing known" for stall in during)
    return {
        "longer_than_ms": 1000 * settings.server.stall_s,
        "count": len(during),
        "longest_ms": 1000 * max((stall.length_s for stall in during), default=0.0),
        "held_up_by": dict(held_up.most_common()),
    }


def _slow(slow: Sequence[Slow], what: str, from_s: float) -> dict[str, Any]:
    """For how long it was slow from then on, seen from any core, and by how much at most."""
    during = [phase for phase in slow if phase.what == what and phase.to_s >= from_s]
    return {
        "count": len(during),
        "longest_s": max((phase.to_s - phase.from_s for phase in during), default=0.0),
        "most_times": max((phase.times for phase in during), default=1.0),
    }


def _by_cause(gaps: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Wrong hops by cause, of the gaps that are kept; what else is told of the machine is left out."""
    counted: Counter[str] = Counter()
    for gap in gaps:
        cause, slow, _ = gap["cause"].partition(SLOW)
        counted[STALLED if cause.startswith(STALLED) else cause + slow] += gap["hops"]
    return dict(counted.most_common())
