"""rtsep-monitor choosing and changing plans, on paced files; the machine's timings are made up."""

import json

import numpy as np
import pytest
import soundfile

from rtsep.cli.monitor import main
from rtsep.live import RATIO
from rtsep.live.adaptive import AdaptiveEngine
from rtsep.live.engine import Engine
from rtsep.live.engine_maker import EngineMaker
from rtsep.live.handover import SETTLE_S
from rtsep.live.plans.choice import AUTO_FLOOR_DB
from rtsep.live.plans.ladder import LADDER
from rtsep.live.plans.plan import PLANS
from rtsep.live.plans.timing import PlanTiming
from rtsep.live.session import SessionSettings

RATE = 44_100


@pytest.fixture
def song(tmp_path):
    audio = (0.1 * np.random.default_rng(0).standard_normal((RATE, 2))).astype(np.float32)
    soundfile.write(tmp_path / "song.wav", audio, RATE, subtype="FLOAT")
    return tmp_path / "song.wav"


@pytest.fixture
def machine(made_up_weights, tmp_path, monkeypatch):
    """Machines on which a run takes so long per net; the timings asked for of them, in a list."""
    monkeypatch.setattr("rtsep.live.plans.timing_cache.CACHE_FOLDER", tmp_path / "kernels")

    def make(ms_per_net):
        timed = []

        def time_engine(engine):
            timed.append((engine.plan.stride, len(engine.workers)))
            return PlanTiming(ms_per_net * len(engine.workers), 0.1)

        monkeypatch.setattr("rtsep.live.plans.timing.time_engine", time_engine)
        return timed

    return make


def _run(*words):
    try:
        return main([str(word) for word in words])
    except SystemExit as end:
        return end.code


def _play(song, *words):
    """Play the song paced; its statistics."""
    stats = song.parent / "stats.json"
    assert _run("--input-file", song, "--realtime", "--stats", stats, *words) == 0
    return json.loads(stats.read_text())


def test_auto_is_the_default_times_once_and_says_what_it_chose(machine, song, capsys):
    timed = machine(0.5)
    stats = _play(song)
    good = [rung for rung in LADDER if rung.quality_db[RATIO] >= AUTO_FLOOR_DB]
    shortest = min(good, key=lambda r: (r.plan.latency_samples, -r.quality_db[RATIO])).plan
    assert stats["plan"]["name"] == shortest.name
    assert stats["ratio"] and set(stats["worker_ms"]) == {"vocals", "accompaniment"}
    err = capsys.readouterr().err
    assert "timing the nets on this machine, a second or two" in err
    load = f"{1 / shortest.deadline_ms:.0%}"
    assert f"plan    {shortest.name}: auto: a run takes {load} of its deadline, head-room" in err
    assert timed == [(1, 2)]

    _play(song)
    assert timed == [(1, 2)]
    assert "timing" not in capsys.readouterr().err
    _play(song, "--retime")
    assert timed == [(1, 2), (1, 2)]
    (song.parent / "kernels" / "timings.json").write_text("{]")
    capsys.readouterr()
    _play(song, "-q")
    assert len(timed) == 3
    assert capsys.readouterr().err == ""


def test_a_known_block_makes_room_for_a_quarter_of_a_hop(machine, song):
    timed = machine(0.5)
    plan = _play(song, "--blocksize", 256)["plan"]
    assert (plan["name"], plan["compute_delay"]) == ("64x3+128/1/1/0.25/asymmetric/4", 0.25)
    assert _play(song, "--blocksize", 480)["plan"]["compute_delay"] >= 0.5
    assert timed == [(1, 2)]


def test_one_net_runs_where_all_of_them_would_not_fit(machine, song):
    timed = machine(13.0)  # of 23.2 ms
    stats = _play(song, "--latency", "low")
    # On this machine views cost nothing: one net of them all separates better than two of fewer.
    assert timed[0] == (1, 2) and timed[-1] == (1, 1)
    assert stats["plan"]["name"] == "low"
    assert not stats["ratio"] and set(stats["worker_ms"]) == {"vocals"}
    count = len(timed)
    assert not _play(song, "--latency", "classic", "--no-ratio")["ratio"]
    assert len(timed) == count  # where there is no choice nothing is timed
    assert _play(song, "--latency", "low", "--ratio")["ratio"]


def test_a_bound_takes_the_best_within_or_says_what_this_machine_can_do(machine, song, capsys):
    machine(0.5)
    plan = _play(song, "--latency", "0.12 s")["plan"]
    best = max(
        # With blocks that are not known a compute delay below a hop may be none.
        (rung for rung in LADDER if rung.plan.latency_ms <= 120 and rung.plan.compute_delay >= 1),
        key=lambda rung: rung.quality_db[RATIO],
    )
    assert plan["name"] == best.plan.name
    assert "best within 120 ms" in capsys.readouterr().err

    machine(20.0)
    words = ("--input-file", song, "--realtime", "--retime", "-m", "spleeter:4stems")
    assert _run(*words, "--latency", "120ms", "--ratio", "-q") == 1
    err = capsys.readouterr().err
    assert "sustains no plan within 120 ms with 4 nets, but" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--latency 120", "unknown latency '120'"),
        ("--latency 64/1/2/1/round", "unknown plan '64/1/2/1/round'"),
        ("--latency 100/1/2/1/hann", "frames must be a multiple of 64: got frames=100"),
        ("--latency 1ms --input-file song.wav", "no plan takes 1 ms or less"),
        ("--adaptive --input-file song.wav", "--adaptive needs a device, or --realtime"),
        ("-m spleeter:5stems --no-ratio", "cannot run without each other"),
    ],
)
def test_impossible_options_are_told_in_one_line(machine, words, told, capsys):
    timed = machine(0.5)
    assert _run(*words.split()) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1
    assert not timed


def test_a_file_as_fast_as_it_goes_is_not_timed_and_gets_the_best(machine, song, tmp_path):
    timed, stats = machine(1e6), tmp_path / "stats.json"
    assert _run("--input-file", song, "--stats", stats, "-q") == 0
    best = max(LADDER, key=lambda rung: rung.quality_db[RATIO])
    written = json.loads(stats.read_text())
    assert written["plan"]["name"] == best.plan.name
    assert written["ratio"] and not timed


def test_adaptive_changes_are_told_and_the_recording_has_no_gap(machine, song, monkeypatch, capsys):
    class ChangingAtOnce(AdaptiveEngine):
        """Changes its plan after 20 hops, without having to be watched for seconds."""

        def __init__(self, *arguments, **options):
            super().__init__(*arguments, watching=False, **options)

        def process(self, block, out, wait_until_s=0.0):
            if self.counters.hops == 20 and not self.plan_changes:
                self.change_plan(PLANS["balanced"], "too much")
            super().process(block, out, wait_until_s)

    monkeypatch.setattr("rtsep.live.handover.WITHIN_S", SETTLE_S)
    monkeypatch.setattr("rtsep.live.adaptive.AdaptiveEngine", ChangingAtOnce)
    machine(0.5)
    out, stems = song.parent / "out.wav", song.parent / "stems"
    words = ("--latency", "low", "--adaptive", "--output-file", out, "--record", stems)
    stats = _play(song, *words)
    low, balanced = PLANS["low"], PLANS["balanced"]
    (change,) = stats["plan_changes"]
    assert (change["from"], change["to"], change["why"]) == ("low", "balanced", "too much")
    assert stats["plan"]["name"] == "balanced"
    assert stats["latency_ms"]["total"] == pytest.approx(balanced.latency_ms)
    err = capsys.readouterr().err
    assert "too much: going from plan low to balanced, 255 ms in place of 93" in err
    # What was heard twice is in the files, too.
    length = RATE + balanced.latency_samples - low.latency_samples
    assert soundfile.info(out).frames == length
    heard = [soundfile.read(stems / f"{stem}.wav")[0] for stem in ("vocals", "accompaniment")]
    assert len(heard[0]) == length
    np.testing.assert_allclose(
        sum(heard)[-RATE // 4 :], soundfile.read(song)[0][-RATE // 4 :], atol=3e-6
    )


def _engine(latency, **options):
    settings = SessionSettings(
        model="spleeter:2stems", latency=latency, block_samples=256, **options
    )
    return EngineMaker(settings)()


def test_on_devices_the_plan_changes_within_what_was_asked_for(machine):
    machine(0.5)
    auto, bound, low = (
        {rung.plan.name for rung in _engine(latency, adjusting=True)._ladder}
        for latency in ("auto", "100ms", "low")
    )
    assert auto == {rung.plan.name for rung in LADDER}
    assert bound == {rung.plan.name for rung in LADDER if rung.plan.latency_ms <= 100}
    assert low == {"low", "64x2/1/1/1/asymmetric/4", "64/1/1/1/asymmetric/4"}
    for latency in ("64/1/1/1/asymmetric/4", "balanced"):
        assert isinstance(_engine(latency, adjusting=True), Engine)
    assert isinstance(_engine("auto"), Engine)
    assert _engine("balanced", adaptive=True)._ladder == LADDER


def test_blocks_are_counted_at_the_rate_of_the_nets(machine):
    """Blocks of a hop leave a run a hop, but not at a rate at which they are shorter."""
    machine(7.8)  # of two nets 67 % of a hop, and 73 % of 940 samples, which 1024 at 48 kHz are
    low = PLANS["low"]
    chosen = []
    for rate in (44_100, 48_000):
        maker = EngineMaker(
            SessionSettings(model="spleeter:2stems", latency="low", block_samples=1024)
        )
        maker.on_device(rate)
        assert maker().plan.latency_samples == low.latency_samples
        chosen.append((len(maker().plan.views), maker().masking))
    assert chosen[0] == (4, RATIO) and chosen[1] != (4, RATIO)


def test_a_plan_with_late_masks_in_the_first_seconds_is_not_chosen_at_the_next_start(machine):
    machine(0.5)
    first = _engine("auto", adjusting=True)
    # Runs that are long once are forgiven, by the choice as well.
    first._on_judged(first.plan, np.array([1.0, 1.0, 30.0]))
    second = _engine("auto", adjusting=True)
    assert second.plan.deadline_ms > first.plan.deadline_ms
    # It has lasted since.
    first._on_judged(first.plan, None)
    assert _engine("auto", adjusting=True).plan == first.plan
