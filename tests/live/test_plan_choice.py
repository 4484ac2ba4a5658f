"""Which plan is chosen: what --latency may say, and what follows from a machine's loads."""

import json
import math
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from rtsep.errors import RtsepError, UsageError
from rtsep.live import INDEPENDENT, MASKING, RATIO
from rtsep.live.plans.choice import (
    AUTO_FLOOR_DB,
    HEAD_ROOM,
    NEARBY_HOPS,
    Option,
    Request,
    choose,
    parse_latency,
    slower_plan,
)
from rtsep.live.plans.ladder import LADDER, MEASURED_DB, versions
from rtsep.live.plans.notation import read_plan, spell
from rtsep.live.plans.plan import PLANS
from rtsep.live.plans.work import run_work
from rtsep_bench.measurements import RECORDED


def _machine(run_ms, independent_run_ms=None, asked=None):
    """Loads of a machine on which every run takes so long; `asked` collects what was asked for."""

    def load_of(option):
        if asked is not None:
            asked.append(option)
        took = (
            run_ms if option.masking == RATIO or independent_run_ms is None else independent_run_ms
        )
        return took / option.plan.deadline_ms

    return load_of


# --- what may be asked for ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["120ms", "120 ms", " 120MS ", "0.12s", "0.12 s", ".12s", "120.0ms"]
)
def test_a_bound_in_milliseconds_or_seconds(text):
    assert parse_latency(text) == Request(bound_ms=pytest.approx(120))


def test_names_auto_and_plans_spelt_out():
    assert parse_latency("auto") == parse_latency("AUTO") == Request()
    assert parse_latency("low").plan is PLANS["low"]
    plan = parse_latency("128/4/2/0.5/asymmetric").plan
    assert (plan.frames, plan.stride, plan.look_ahead) == (128, 4, 2)
    assert plan.compute_delay == 0.5 and plan.asymmetric
    assert not read_plan("64/1/2/1/hann").asymmetric
    assert (read_plan("64/1/2/1/hann").extrapolated, read_plan("64/1/2/1/hann/4").extrapolated) == (
        0,
        4,
    )


@pytest.mark.parametrize(
    "text", ["", "fast", "120", "ms", "-5ms", "1e3ms", "120 m s", "nan ms", "infs", "120mss"]
)
def test_anything_else_is_refused_with_what_there_is(text):
    with pytest.raises(UsageError, match="unknown latency .*low, .*classic, auto, or .*120ms"):
        parse_latency(text)


@pytest.mark.parametrize(
    "text",
    [
        "64/1/2/1",
        "64/1/2/1/round",
        "a/1/2/1/hann",
        "64/1/2/x/hann",
        "/",
        "64/1/2/1/hann/x",
        "64/1/2/1/hann/4/4",
        "64x/1/2/1/hann",
        "64x0/1/2/1/hann",
        "64x-2/1/2/1/hann",
        "x3/1/2/1/hann",
        "64+64/1/2/1/hann",
        "64+/1/2/1/hann",
    ],
)
def test_plans_spelt_wrongly_are_refused(text):
    with pytest.raises(UsageError, match="unknown plan .*64/1/2/1/hann"):
        parse_latency(text)
    with pytest.raises(UsageError, match="frames must be a multiple of 64: got frames=100"):
        parse_latency("100/1/2/1/hann")
    with pytest.raises(UsageError, match="frames must be a multiple of 64: got frames=100"):
        parse_latency("64x2+100/1/2/1/hann")
    with pytest.raises(UsageError, match="at most 16 views: got 17"):
        parse_latency("64x17/1/2/1/hann")


# --- what is chosen ----------------------------------------------------------------------------


@pytest.mark.parametrize("run_ms", [0.1, 5, 10, 20, 40, 100, 400])
def test_auto_takes_the_shortest_good_plan_with_head_room_or_a_better_one_nearby(run_ms):
    good = [rung for rung in LADDER if rung.quality_db[RATIO] >= AUTO_FLOOR_DB]
    sustained = [rung for rung in good if run_ms / rung.plan.deadline_ms <= 1 - HEAD_ROOM]
    shortest = sustained[0]
    most_ms = shortest.plan.latency_ms + NEARBY_HOPS * shortest.plan.hop / 44.1
    nearby = [rung for rung in sustained if rung.plan.latency_ms <= most_ms + 1e-6]
    best = max(nearby, key=lambda rung: (rung.quality_db[RATIO], -rung.plan.latency_samples))
    choice = choose(Request(), (RATIO,), _machine(run_ms), "2 nets")
    assert choice.option.plan == best.plan
    assert choice.load == run_ms / choice.option.plan.deadline_ms
    assert "head-room" in choice.why
    assert ("stored timing" in choice.why) == (shortest is not good[0])


def test_auto_on_a_fast_machine_does_better_than_the_shortest():
    choice = choose(Request(), (RATIO,), _machine(0.1), "2 nets")
    assert choice.option.plan.name == "64x3+128/1/1/0.25/asymmetric/4"
    # Runs that do not fit into a quarter of a hop, nor into half of one.
    choice = choose(Request(), (RATIO,), _machine(7), "2 nets")
    assert choice.option.plan.name == "64x3+128/1/1/0.5/asymmetric/4"
    choice = choose(Request(), (RATIO,), _machine(10), "2 nets")
    assert choice.option.plan.name == "64x3+128/1/0/1/asymmetric/4"


def test_auto_asks_for_no_more_loads_than_it_needs():
    asked = []
    choose(Request(), (RATIO, INDEPENDENT), _machine(0.1, asked=asked), "2 nets")
    assert len(asked) == 2


def test_auto_runs_independent_nets_where_that_is_what_fits():
    good = [rung for rung in LADDER if rung.quality_db[INDEPENDENT] >= AUTO_FLOOR_DB]
    shortest = min(good, key=lambda r: (r.plan.latency_samples, -r.quality_db[INDEPENDENT]))
    deadline_ms = shortest.plan.deadline_ms
    load_of = _machine(0.9 * deadline_ms, 0.5 * deadline_ms)
    choice = choose(Request(), (RATIO, INDEPENDENT), load_of, "1 net")
    assert choice.option == Option(shortest.plan, INDEPENDENT, shortest.quality_db[INDEPENDENT])
    # Both fit: at the same latency the better one.
    choice = choose(Request(), (RATIO, INDEPENDENT), _machine(0.1, 0.05), "1 net")
    assert choice.option.masking == RATIO


def test_auto_on_a_machine_that_sustains_nothing_takes_the_lightest_and_says_so():
    choice = choose(Request(), (RATIO,), _machine(1e6), "2 nets")
    assert choice.option.plan is PLANS["classic"]
    assert "no plan has head-room here" in choice.why
    assert "more than there is" in choice.why


@pytest.mark.parametrize("bound_ms", [100, 150, 260, 1000, 6000])
@pytest.mark.parametrize("run_ms", [0.1, 10, 30])
def test_a_bound_gets_the_best_that_is_sustained_within(bound_ms, run_ms):
    candidates = [
        rung
        for rung in LADDER
        if rung.plan.latency_ms <= bound_ms and run_ms <= (1 - HEAD_ROOM) * rung.plan.deadline_ms
    ]
    request = Request(bound_ms=bound_ms)
    if not candidates:
        with pytest.raises(RtsepError, match=f"no plan within {bound_ms} ms with 2 nets, but"):
            choose(request, (RATIO,), _machine(run_ms), "2 nets")
        return
    choice = choose(request, (RATIO,), _machine(run_ms), "2 nets")
    assert choice.option.quality_db == max(rung.quality_db[RATIO] for rung in candidates)
    assert choice.option.plan.latency_ms <= bound_ms
    assert f"best within {bound_ms} ms" in choice.why


def test_a_bound_out_of_reach_tells_what_this_machine_can_do():
    with pytest.raises(RtsepError) as told:
        choose(Request(bound_ms=120), (RATIO,), _machine(20), "4 nets")
    message = str(told.value)
    assert "no plan within 120 ms with 4 nets" in message and "independent masks" in message
    assert "\n" not in message
    # Asking for what it names gets it.
    bound = message.split("for a latency of ")[1].split(",")[0]
    choice = choose(parse_latency(bound), (RATIO,), _machine(20), "4 nets")
    assert choice.option.plan.latency_ms > 120
    with pytest.raises(RtsepError, match="sustains no plan with 4 nets"):
        choose(Request(bound_ms=120), (RATIO,), _machine(1e6), "4 nets")


def test_a_bound_shorter_than_any_plan_is_a_usage_error():
    shortest_ms = math.ceil(LADDER[0].plan.latency_ms)
    with pytest.raises(UsageError, match=f"no plan takes 10 ms or less.*takes {shortest_ms} ms"):
        choose(Request(bound_ms=10), (RATIO,), _machine(0.1), "2 nets")


def test_a_name_is_obeyed_and_the_load_decides_on_the_nets():
    plan = PLANS["balanced"]
    request = Request(plan=plan)
    asked = []
    choice = choose(request, (RATIO,), _machine(1e6, asked=asked), "2 nets")
    assert (choice.option.plan, choice.option.masking, asked) == (plan, RATIO, [])
    half, all_of_it = 0.5 * plan.deadline_ms, 0.95 * plan.deadline_ms
    assert choose(request, (RATIO, INDEPENDENT), _machine(half), "1 net").option.masking == RATIO
    choice = choose(request, (RATIO, INDEPENDENT), _machine(all_of_it, half), "1 net")
    assert choice.option.plan is plan and choice.option.masking == INDEPENDENT
    assert "all nets would take 95% of their deadline" in choice.why


def _machine_by_views(view_ms, asked=None):
    """Loads where each view of each of two nets takes so long."""

    def load_of(option):
        if asked is not None:
            asked.append(option)
        nets = 2 if option.masking == RATIO else 1
        return nets * len(option.plan.views) * view_ms / option.plan.deadline_ms

    return load_of


def test_a_named_plan_has_as_many_views_as_the_machine_sustains():
    low = PLANS["low"]
    alike = versions(low)
    spelt = {spell(rung.plan): len(rung.plan.views) for rung in alike}
    assert spelt == {
        "64x3+128/1/1/1/asymmetric/4": 4, "64x2/1/1/1/asymmetric/4": 2, "64/1/1/1/asymmetric/4": 1,
    }  # fmt: skip
    assert {rung.plan.latency_samples for rung in alike} == {low.latency_samples}
    for name, views in spelt.items():
        view_ms = (1 - HEAD_ROOM) * low.deadline_ms / (2 * views)
        load_of = _machine_by_views(view_ms)
        choice = choose(Request(plan=low), (RATIO,), load_of, "2 nets")
        assert (spell(choice.option.plan), choice.option.masking) == (name, RATIO)
        # As asked for, however many views it has.
        assert choice.option.plan.name == "low"
        assert ("with fewer views; all nets and views would take" in choice.why) == (views < 4)
        # With both maskings: as it is named, or whichever of what is sustained measures best.
        best = choose(Request(plan=low), (RATIO, INDEPENDENT), load_of, "1 net").option
        sustained = [
            rung.quality_db[masking]
            for rung in alike
            for masking in MASKING
            if load_of(Option(rung.plan, masking)) <= 1 - HEAD_ROOM
        ]
        assert best.quality_db == max(sustained) or (best.plan, best.masking) == (low, RATIO)
    choice = choose(Request(plan=low), (RATIO, INDEPENDENT), _machine_by_views(1e6), "1 net")
    assert len(choice.option.plan.views) == 1 and choice.option.masking == INDEPENDENT
    assert "more than there is" in choice.why


def test_a_plan_spelt_out_keeps_its_views():
    asked = []
    for text in ("64x3+128/1/0/1/asymmetric/4", "64/1/1/1/asymmetric/4", "64x5/1/0/1/hann"):
        plan = read_plan(text)
        choice = choose(Request(plan=plan), (RATIO,), _machine_by_views(1e6, asked), "2 nets")
        assert choice.option.plan == plan and choice.why == "as asked for" and not asked
    assert versions(read_plan("64x5/1/0/1/hann")) == ()


def test_balanced_and_classic_never_take_more_work_than_they_are_known_for():
    for name in ("balanced", "classic"):
        assert [rung.plan.name for rung in versions(PLANS[name])] == [name]


def test_a_file_that_waits_gets_the_best_and_nothing_is_timed():
    asked = []
    load_of = _machine(1e6, asked=asked)
    best = choose(Request(), (RATIO, INDEPENDENT), load_of, "2 nets", paced=False).option
    assert best.masking == RATIO and best.quality_db == max(
        rung.quality_db[RATIO] for rung in LADDER
    )
    within = choose(
        Request(bound_ms=100), (RATIO, INDEPENDENT), load_of, "2 nets", paced=False
    ).option
    assert within.plan.latency_ms <= 100
    named = choose(Request(plan=PLANS["low"]), (RATIO, INDEPENDENT), load_of, "2 nets", paced=False)
    assert named.option.plan is PLANS["low"] and named.option.masking == RATIO
    assert not asked


# --- stepping down -----------------------------------------------------------------------------


def test_each_step_gives_a_run_more_time_until_the_ladder_ends():
    plan, steps = LADDER[0].plan, 0
    while (longer := slower_plan(plan, run_ms=1.0)) is not None:
        assert longer.latency_samples > plan.latency_samples
        assert longer.deadline_ms >= 1.5 * plan.deadline_ms
        plan, steps = longer, steps + 1
    assert plan is PLANS["classic"]
    assert steps >= 3


def test_a_heavy_overload_skips_the_plans_that_would_not_relieve_it():
    low = PLANS["low"]
    near, far = slower_plan(low, 20.0), slower_plan(low, 300.0)
    for plan, run_ms in ((near, 20.0), (far, 300.0)):
        expected_ms = run_ms * run_work(plan) / run_work(low)
        assert plan.deadline_ms * (1 - HEAD_ROOM) >= expected_ms
    # Fewer views are less work at the same latency.
    assert near.latency_samples == low.latency_samples and len(near.views) == 2
    assert far.latency_samples > near.latency_samples
    assert slower_plan(PLANS["low"], 1e6) is PLANS["classic"]
    # A shorter plan might relieve the machine, too, but has been left behind.
    patient = read_plan("64/1/4/1/hann")
    assert slower_plan(patient, 1.0).latency_samples >= patient.latency_samples
    assert slower_plan(PLANS["classic"], 1.0) is None


# --- the table ---------------------------------------------------------------------------------


def test_the_ladder_says_what_was_measured():
    sdr_db = defaultdict(list)
    for file in RECORDED.glob("quality-ladder*.json"):
        for row in json.loads(file.read_text())["rows"]:
            if row["level_db"] == 0 and row["auto_level"]:
                sdr_db[row["contender"], row["ratio"]].append(row["sdr_db"])
    reference = np.mean(sdr_db["classic", True])
    measured = {
        name: tuple(
            round(float(np.mean(sdr_db[name, masking == RATIO]) - reference), 2)
            for masking in MASKING
        )
        for name in MEASURED_DB
    }
    assert measured == MEASURED_DB


def test_the_ladder_is_in_order_and_holds_the_named_plans():
    latencies = [rung.plan.latency_samples for rung in LADDER]
    assert latencies == sorted(latencies)
    assert {plan.name for plan in PLANS.values()} <= set(MEASURED_DB)


# --- the notation ------------------------------------------------------------------------------


@pytest.mark.parametrize("rung", LADDER, ids=lambda rung: rung.plan.name)
def test_a_plan_is_read_as_it_is_spelt(rung):
    again = read_plan(spell(rung.plan))
    assert spell(again) == again.name
    assert replace(again, name=rung.plan.name, ratio_exponent=rung.plan.ratio_exponent) == rung.plan


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("64/1/2/1.0/asymmetric/4", "64/1/2/1/asymmetric/4"),
        ("064/1/1/.5/hann/0", "64/1/1/0.5/hann"),
        ("64x1/1/2/1/hann", "64/1/2/1/hann"),
        ("64x03+128x1/1/2/1/hann", "64x3+128/1/2/1/hann"),
    ],
)
def test_a_plan_has_one_name_however_it_is_written(text, name):
    assert read_plan(text).name == name


def test_numbers_that_do_not_fit_are_told_with_the_plan():
    with pytest.raises(UsageError, match=r"^plan 60/1/2/1/hann: frames must be .* got frames=60$"):
        read_plan("60/1/2/1/hann")
