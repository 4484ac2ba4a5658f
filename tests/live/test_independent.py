"""Nets that run without the others: their own masks, and everything that they leave."""

import numpy as np
import pytest

from rtsep.dsp import MASK_EXTENSIONS
from rtsep.errors import UsageError
from rtsep.live.engine import Engine
from rtsep.live.mixer import MixControls
from rtsep.live.plans.plan import StreamPlan
from rtsep.nets.registry import find_model
from rtsep.nets.view import views_of
from rtsep.weights.load_nets import load_nets
from tests.live.streams import HOP, noise, offline, through

PLAN = StreamPlan("early", frames=64, stride=1, look_ahead=1, compute_delay=1)
SURE = StreamPlan("sure", frames=64, stride=4, look_ahead=4, compute_delay=0.5)
SEVERAL_VIEWS = StreamPlan(
    "several views", 64, stride=1, look_ahead=1, compute_delay=1, views=views_of({64: 2})
)


@pytest.fixture(scope="module")
def four_stems(_made_up_weights_folder):
    config = find_model("spleeter:4stems")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RTSEP_WEIGHTS", str(_made_up_weights_folder))
        return config, load_nets(config)


def level_db(samples):
    return 10 * np.log10(np.mean(np.square(samples, dtype=np.float64)))


@pytest.mark.parametrize("plan", [PLAN, SURE, SEVERAL_VIEWS], ids=lambda p: p.name)
def test_a_stem_is_what_its_own_mask_leaves_of_the_input(two_stems, start_engine, plan):
    config, nets = two_stems
    engine = start_engine(plan, independent=["vocals"])
    assert [worker.stem for worker in engine.workers] == ["vocals"]
    audio = noise(40 * HOP, seed=1)
    out = through(engine, audio)[plan.latency_samples :]
    sure = len(audio) - (plan.stride + plan.look_ahead + 3) * HOP
    expected = offline(config, nets[:1], plan, audio, independent=True)
    np.testing.assert_allclose(out[:sure], expected[:sure], atol=1e-5)


# The ratio masks of all stems are zero above the model's bins with `zeros`, as in Spleeter.
@pytest.mark.parametrize(
    ("independent", "extension"),
    [(None, "average"), (None, "top"), *((["vocals"], name) for name in MASK_EXTENSIONS)],
)
def test_a_stem_and_all_but_that_stem_add_up_to_the_input(start_engine, independent, extension):
    audio = noise(30 * HOP, seed=2)
    parts = []
    for gains in ({"vocals": 1.0}, {"accompaniment": 1.0}):
        engine = start_engine(SURE, gains, independent=independent, mask_extension=extension)
        parts.append(through(engine, audio)[SURE.latency_samples :])
        assert level_db(parts[-1]) > -60
    assert level_db(sum(parts) - audio) < level_db(audio) - 130


def test_two_of_four_and_the_rest_add_up_and_none_exceeds_the_input(start_engine, four_stems):
    independent = ["drums", "bass"]
    engine = start_engine(
        PLAN, {"rest": 1.0}, model=four_stems, independent=independent, separate_stems=True
    )  # fmt: skip
    assert engine.stems == ("drums", "bass", "rest")
    assert [worker.stem for worker in engine.workers] == independent
    audio = noise(30 * HOP, seed=3)
    out = through(engine, audio)[PLAN.latency_samples :]
    mix, *stems = (out[:, at : at + 2] for at in range(0, 8, 2))
    np.testing.assert_array_equal(mix, stems[2])
    assert level_db(sum(stems) - audio) < level_db(audio) - 130
    masks = engine._source.masks
    assert masks.min() > -1e-6
    assert masks.max() <= 1
    assert set(engine.levels_dbfs()) == {"drums", "bass", "rest", "mix"}


def test_the_desk_has_the_outputs(start_engine, four_stems):
    engine = start_engine(PLAN, model=four_stems, independent=["vocals"])
    desk = MixControls(engine, {"vocals": 1.0})
    assert desk.stems == ("vocals", "rest")
    desk.solo("rest")
    np.testing.assert_array_equal(engine.gains, [0, 1])
    assert engine.stats()["stems"] == ["vocals", "rest"]
    assert engine.stats()["ratio"] is False


@pytest.mark.parametrize(
    ("model", "independent", "outputs"),
    [
        ("spleeter:2stems", None, ("vocals", "accompaniment")),
        ("spleeter:2stems", ["accompaniment"], ("accompaniment", "vocals")),
        ("spleeter:4stems", ["bass"], ("bass", "rest")),
        ("spleeter:4stems", ["vocals", "drums", "other"], ("vocals", "drums", "other", "bass")),
        ("spleeter:5stems", None, ("vocals", "piano", "drums", "bass", "other")),
    ],
)
def test_what_is_left_has_a_name(model, independent, outputs):
    assert find_model(model).outputs(independent) == outputs


@pytest.mark.parametrize(
    ("model", "independent", "told"),
    [
        ("spleeter:5stems", ["vocals"], "softmax across all of them"),
        ("spleeter:2stems", ["drums"], "no stem 'drums': choose from vocals, accompaniment"),
        ("spleeter:2stems", [], "some, not all, of vocals, accompaniment: got none"),
        ("spleeter:2stems", ["vocals", "accompaniment"], "got vocals, accompaniment"),
        ("spleeter:4stems", ["bass", "bass"], "got bass, bass"),
    ],
)
def test_nets_that_cannot_run_alone_are_refused(model, independent, told):
    with pytest.raises(UsageError, match=told):
        find_model(model).outputs(independent)


def test_a_stem_that_is_not_given_out_has_no_gain(four_stems):
    config, nets = four_stems
    with pytest.raises(UsageError, match="no stem 'drums': choose from vocals, rest"):
        Engine(config, nets[:1], PLAN, {"drums": 1.0}, independent=["vocals"])
