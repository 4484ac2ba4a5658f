"""What the live display, its plain stand-in and the summary say of a stream in a given state."""

import io
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from rtsep.cli.terminal.display import LiveDisplay, PlainStatus, Quiet, make_display
from rtsep.cli.terminal.screen import RED, YELLOW, Counter, Meter, Screen
from rtsep.cli.terminal.stream_status import (
    LOAD_S,
    RECENT_S,
    Load,
    LoadReader,
    PeakHold,
    RecentRise,
)
from rtsep.live.engine import Engine
from rtsep.live.mixer import MixControls
from rtsep.live.plans.plan import PLANS
from rtsep.live.stats import Counters, Durations

STEMS = ("vocals", "accompaniment")
HEADER = ["input   Line in [analogue]", "latency 5950.0 ms: plan classic 5944.3 + device 5.7"]
# Blocks of 512: two callbacks a hop, 11.6 ms each.
CALLBACK_S, WORKER_S = 0.00116, 0.290


def durations(count, seconds, longest_s):
    out = Durations()
    for _ in range(count - 1):
        out.add(seconds)
    out.add(longest_s)
    return out


@dataclass
class StreamState:
    """An engine as the displays read it: 10 s into a stream, callback and workers at 10 %."""

    stems: tuple = STEMS
    plan: object = PLANS["classic"]
    gains: np.ndarray = field(default_factory=lambda: np.zeros(2, np.float32))
    bypass: bool = False
    counters: Counters = field(default_factory=lambda: Counters(hops=431))
    levels: dict = field(
        default_factory=lambda: {"vocals": -18.25, "accompaniment": -30.5, "mix": -18.75}
    )

    def __post_init__(self):
        self.callback_durations = durations(862, CALLBACK_S, 4 * CALLBACK_S)
        self.workers = [
            SimpleNamespace(stem=stem, durations=durations(5, WORKER_S, 2 * WORKER_S))
            for stem in STEMS
        ]

    played_s = Engine.played_s
    block_ms = Engine.block_ms

    def levels_dbfs(self):
        return dict(self.levels)


@pytest.fixture
def engine():
    return StreamState()


@pytest.fixture
def controls(engine):
    return MixControls(engine, {"vocals": 1.0})


@pytest.fixture(params=[80, 120])
def console(request):
    return Console(
        file=io.StringIO(), force_terminal=True, width=request.param, height=40, record=True
    )


@pytest.fixture
def display(engine, controls, console):
    display = LiveDisplay(engine, controls, HEADER, console)
    display.start()
    yield display
    display.stop()


def drawn(display, console, *times_s):
    """The text of everything drawn when refreshed at these times, as a list of lines."""
    console.export_text(clear=True)
    lines = []
    for now_s in times_s:
        display.refresh(now_s)
        lines += console.export_text(clear=True).splitlines()
    return lines


def row(lines, beginning):
    """The last line that begins so."""
    return [line for line in lines if line.lstrip(" >").startswith(beginning)][-1]


def test_the_header_is_printed_once_and_as_it_is(engine, controls, console):
    display = LiveDisplay(engine, controls, HEADER, console)
    display.start()
    assert console.export_text(clear=False).splitlines()[:2] == HEADER
    display.refresh(0.0)
    display.stop()
    assert console.export_text().count(HEADER[0]) == 1


def test_meters_loads_counters_and_keys_are_there(display, console):
    lines = drawn(display, console, 0.0, 1.0, 2.0)[-10:]
    assert "█" in row(lines, "1 vocals")
    assert "-18.2 dBFS +0.0 dB" in row(lines, "1 vocals")
    assert "-30.5 dBFS muted" in row(lines, "2 accompaniment")
    assert "-18.8 dBFS" in row(lines, "mix")
    assert "10 %, max   40 % of    11.6 ms" in row(lines, "callback")
    assert "10 %, max   20 % of  2902.5 ms" in row(lines, "vocals")
    assert "10 %, max   20 % of  2902.5 ms" in row(lines, "accompaniment")
    assert "0:10   late masks 0   xruns 0" in "\n".join(lines)
    assert "m mute  s solo  f fade  +/- trim  b bypass  space freeze  q quit" in lines[-1]


def test_no_line_is_longer_than_the_terminal(display, console, controls, engine):
    controls.solo("accompaniment")
    engine.counters.late_masks = 400
    engine.counters.bad_samples = 10_000
    lines = drawn(display, console, 0.0, 1.0, 2.0)
    assert max(map(len, lines)) <= console.width
    assert len(lines) == 3 * 10


def test_bad_samples_are_shown_once_there_are_some(display, console, engine):
    assert "bad samples" not in "\n".join(drawn(display, console, 0.0))
    engine.counters.count_bad_samples(3)
    assert "bad samples 3" in "\n".join(drawn(display, console, 1.0))


class Recording:
    """What the displays read of a recorder."""

    lost_samples = 0


def test_what_is_not_recorded_is_counted_in_red(engine, controls, console, capsys):
    recorder = Recording()
    display = LiveDisplay(engine, controls, HEADER, console, recorder)
    display.start()
    assert "not recorded" not in "\n".join(drawn(display, console, 0.0, 1.0))
    recorder.lost_samples = 66_150
    assert "not recorded 1.5 s" in "\n".join(drawn(display, console, 2.0))
    display.stop()
    plain = PlainStatus(engine, [], interval_s=1, recorder=recorder)
    plain.refresh(0.0)
    plain.refresh(1.0)
    assert capsys.readouterr().err.endswith("xruns 0; not recorded 1.5 s\n")


def test_the_longer_bar_is_the_louder(display, console, engine):
    lengths = []
    for now_s, level in enumerate((-70.0, -60.0, -30.0, 0.0, 10.0)):
        engine.levels["vocals"] = level
        lengths.append(row(drawn(display, console, now_s), "1 vocals").count("█"))
    assert lengths[0] == lengths[1] == 0
    assert lengths[3] == lengths[4]
    assert lengths[2] == pytest.approx(lengths[3] / 2, abs=1)


def test_remarks_follow_the_desk(display, console, controls):
    controls.trim("vocals", -3.0)
    controls.select(2)
    lines = drawn(display, console, 0.0)
    assert "-3.0 dB" in row(lines, "1 vocals")
    assert row(lines, "2 accomp").startswith(">")
    controls.solo("accompaniment")
    controls.bypass()
    lines = drawn(display, console, 1.0)
    assert row(lines, "1 vocals").rstrip().endswith("silent")
    assert row(lines, "2 accomp").rstrip().endswith("+0.0 dB solo")
    assert row(lines, "mix").rstrip().endswith("bypass: the input")


def test_frozen_it_stands_still_after_saying_so(display, console, engine):
    drawn(display, console, 0.0)
    display.toggle_freeze()
    assert "0:10, frozen" in "\n".join(drawn(display, console, 1.0))
    engine.levels["vocals"] = -1.0
    assert drawn(display, console, 2.0, 3.0) == []
    display.toggle_freeze()
    lines = drawn(display, console, 4.0)
    assert "-1.0 dBFS" in row(lines, "1 vocals")
    assert "frozen" not in "\n".join(lines)


def test_it_is_drawn_ten_times_a_second_at_most(display, console):
    lines = drawn(display, console, *np.arange(0.0, 1.0, 0.005))
    assert 5 <= sum("xruns" in line for line in lines) <= 12


def test_before_anything_has_run_there_are_no_loads(display, console, engine):
    engine.counters.hops = 0
    engine.workers[0].durations = Durations()
    lines = drawn(display, console, 0.0, 1.0, 2.0)[-8:]
    assert not any(line.lstrip().startswith(("callback", "vocals")) for line in lines)
    assert row(lines, "accompaniment")


def styles(screen, text):
    segments = Console(width=100).render(screen)
    return [segment.style for segment in segments if text in segment.text]


def test_counters_are_red_while_new_and_yellow_after(engine, controls):
    display = LiveDisplay(engine, controls, [], Console(file=io.StringIO(), force_terminal=True))

    def colour(now_s):
        display.refresh(now_s)
        return styles(display._screen, "xruns")

    assert colour(0.0)[0].color is None
    engine.counters.xruns["output_underflow"] = 2
    assert colour(1.0) == [RED]
    assert colour(RECENT_S) == [RED]
    assert colour(1.0 + RECENT_S) == [YELLOW]


def test_loads_near_the_limit_are_red():
    screen = Screen(loads=[Load("calm", 0.1, 0.2, 1.0), Load("tight", 0.85, 0.9, 1.0)])
    assert RED not in styles(screen, "20 %")
    assert styles(screen, "90 %") == [RED]


def test_terminals_without_blocks_get_ascii():
    screen = Screen([Meter("1 vocals", -20.0, -10.0, "")], [], [Counter("xruns 0", 0, False)])
    output = io.StringIO()
    console = Console(file=output, width=80)
    console.print(screen)
    assert "█" in output.getvalue()
    ascii_options = console.options.update(width=80)
    ascii_options.encoding = "ascii"
    text = "".join(segment.text for segment in console.render(screen, ascii_options))
    assert text.isascii()
    assert "###" in text


def test_peaks_are_held_and_then_fall():
    peaks = PeakHold()
    assert peaks.update({"mix": -6.0}, 0.0) == {"mix": -6.0}
    assert peaks.update({"mix": -40.0}, 1.5) == {"mix": -6.0}
    assert peaks.update({"mix": -40.0}, 2.0) == {"mix": pytest.approx(-16.0)}
    assert peaks.update({"mix": -40.0}, 9.0) == {"mix": -40.0}
    assert peaks.update({"mix": -3.0}, 9.1) == {"mix": -3.0}


def test_a_count_that_was_there_before_is_news_once():
    rise = RecentRise()
    assert rise.update(3, 100.0)
    assert not rise.update(3, 100.0 + RECENT_S)
    assert rise.update(4, 200.0)


def test_loads_are_those_of_late(engine):
    loads = LoadReader(engine)
    assert loads.read(0.0)[0].worst == pytest.approx(0.4, rel=0.01)
    for _ in range(100):
        engine.callback_durations.add(2 * CALLBACK_S)
    engine.counters.hops += 50  # the same time between two callbacks
    engine.workers[0].durations.add(3 * WORKER_S)
    # The first look is not yet LOAD_S ago: so far, all that ever was.
    assert loads.read(LOAD_S - 0.1)[0].p50 == pytest.approx(0.1, rel=0.01)
    callback, vocals, accompaniment = loads.read(LOAD_S)
    assert callback.p50 == callback.worst == pytest.approx(0.2, rel=0.01)
    assert vocals.p50 == vocals.worst == pytest.approx(0.3, rel=0.01)
    # No run of late: the last one, which was the slowest.
    assert accompaniment.p50 == accompaniment.worst == pytest.approx(0.2, rel=0.01)


def test_loads_go_on_when_the_counts_begin_anew(engine):
    loads = LoadReader(engine)
    loads.read(0.0)
    engine.workers[0].durations = durations(2, WORKER_S, 4 * WORKER_S)
    assert loads.read(1.0)[1].worst == pytest.approx(0.4, rel=0.01)


# --- without a terminal -------------------------------------------------------------------------


def test_plain_lines_now_and_then(engine, capsys):
    display = PlainStatus(engine, HEADER, interval_s=5)
    display.start()
    for now_s in (100.0, 104.9, 105.0, 109.0):
        display.refresh(now_s)
    display.stop()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        *HEADER,
        "0:10; vocals -18.2, accompaniment -30.5, mix -18.8 dBFS; callback 10.0 % (max 40 %); "
        "workers 10.0 % (max 20 %); late masks 0; xruns 0",
    ]


def test_plain_lines_before_anything_has_run(engine, capsys):
    engine.counters.hops = 0
    engine.callback_durations = Durations()
    for worker in engine.workers:
        worker.durations = Durations()
    display = PlainStatus(engine, [], interval_s=1)
    display.refresh(0.0)
    display.refresh(1.0)
    assert capsys.readouterr().err.endswith("dBFS; late masks 0; xruns 0\n")
    engine.counters.count_bad_samples(7)
    display.refresh(2.0)
    assert capsys.readouterr().err.endswith("late masks 0; xruns 0; bad samples 7\n")


def test_quiet_says_nothing(engine, controls, capsys):
    display = make_display(engine, controls, HEADER, quiet=True)
    assert isinstance(display, Quiet)
    display.start()
    display.refresh(0.0)
    display.toggle_freeze()
    display.stop()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("terminal", "kind", "expected"),
    [(True, "xterm", LiveDisplay), (True, "dumb", PlainStatus), (False, "xterm", PlainStatus)],
)
def test_the_display_fits_the_terminal(engine, controls, monkeypatch, terminal, kind, expected):
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", kind)
    assert type(make_display(engine, controls, [], quiet=False)) is expected
