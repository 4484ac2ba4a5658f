"""The mixing desk: what solo, mute, fade and trim make of the engine's gains."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from rtsep.errors import UsageError
from rtsep.live.mixer import HIGHEST_TRIM_DB, LOWEST_TRIM_DB, MixControls

STEMS = ("vocals", "drums", "bass", "other")


@dataclass
class DeskOnly:
    """As much of an engine as the desk touches."""

    stems: tuple = STEMS
    gains: np.ndarray = field(default_factory=lambda: np.zeros(4, np.float32))
    bypass: bool = False


@pytest.fixture
def engine():
    return DeskOnly()


@pytest.fixture
def desk(engine):
    return MixControls(engine, dict.fromkeys(STEMS, 1.0))


def heard(engine):
    return [stem for stem, gain in zip(STEMS, engine.gains) if gain > 0]


def test_gains_at_start_are_kept_and_stems_without_are_muted(engine):
    desk = MixControls(engine, {"vocals": 1.0, "bass": 0.5, "other": 0.0})
    np.testing.assert_allclose(engine.gains, [1.0, 0.0, 0.5, 0.0], rtol=1e-6)
    assert [stem for stem in STEMS if desk.strips[stem].muted] == ["drums", "other"]
    desk.mute("drums")
    np.testing.assert_allclose(engine.gains, [1.0, 1.0, 0.5, 0.0], rtol=1e-6)


def test_the_stem_selected_at_first(engine):
    assert MixControls(engine, {}).selected == "vocals"
    assert MixControls(engine, {}, "bass").selected == "bass"
    with pytest.raises(UsageError, match="no stem 'piano'"):
        MixControls(engine, {}, "piano")


def test_any_solo_leaves_only_the_soloed(engine, desk):
    desk.solo("drums")
    assert heard(engine) == ["drums"]
    desk.solo("bass")
    assert heard(engine) == ["drums", "bass"]
    desk.solo("drums")
    assert heard(engine) == ["bass"]
    desk.solo("bass")
    assert heard(engine) == list(STEMS)


def test_mute_toggles_and_holds_within_a_solo(engine, desk):
    desk.mute("drums")
    assert heard(engine) == ["vocals", "bass", "other"]
    desk.solo("bass")
    desk.mute("bass")
    assert heard(engine) == []
    desk.mute("bass")
    desk.solo("bass")
    assert heard(engine) == ["vocals", "bass", "other"]


def test_solo_lifts_a_mute_until_it_ends_or_the_stem_is_muted_again(engine, desk):
    desk.mute("drums")
    desk.solo("drums")
    assert heard(engine) == ["drums"]
    desk.solo("drums")
    assert heard(engine) == ["vocals", "bass", "other"]
    desk.solo("drums")
    desk.mute("drums")
    assert heard(engine) == []


def test_trim_is_in_decibels_and_limited(engine, desk):
    for _ in range(6):
        desk.trim("bass", -1.0)
    np.testing.assert_allclose(engine.gains, [1, 1, 10 ** (-6 / 20), 1], rtol=1e-6)
    desk.trim("bass", -1000.0)
    assert desk.strips["bass"].trim_db == LOWEST_TRIM_DB
    desk.trim("bass", 1000.0)
    assert desk.strips["bass"].trim_db == HIGHEST_TRIM_DB


def test_a_gain_beyond_the_limit_is_not_pulled_back(engine):
    desk = MixControls(engine, {"vocals": 100.0})
    desk.trim("vocals", 1.0)
    assert desk.gain("vocals") == pytest.approx(100.0)
    desk.trim("vocals", -1.0)
    assert desk.gain("vocals") == pytest.approx(10 ** (39 / 20))


def test_a_fade_moves_evenly_from_the_first_tick_on(engine, desk):
    desk.trim("vocals", -20.0)
    desk.fade("vocals", 0.0, 2.0)
    seen = []
    for now_s in (100.0, 100.5, 101.0, 102.0, 103.0):
        desk.tick(now_s)
        seen.append(float(engine.gains[0]))
    np.testing.assert_allclose(seen, [0.1, 0.075, 0.05, 0.0, 0.0], atol=1e-7)
    assert list(engine.gains[1:]) == [1.0, 1.0, 1.0]


def test_a_fade_turned_round_goes_on_from_where_it_is(engine, desk):
    desk.fade_in_or_out("vocals", 2.0)
    desk.tick(0.0)
    desk.tick(1.5)
    assert engine.gains[0] == pytest.approx(0.25)
    desk.fade_in_or_out("vocals", 2.0)
    desk.tick(1.5)
    assert engine.gains[0] == pytest.approx(0.25)
    desk.tick(2.5)
    assert engine.gains[0] == pytest.approx(0.625)
    desk.tick(3.5)
    assert engine.gains[0] == 1.0


def test_fading_in_a_muted_stem_starts_from_silence(engine):
    desk = MixControls(engine, {"vocals": 1.0})
    desk.fade_in_or_out("bass", 2.0)
    desk.tick(0.0)
    assert engine.gains[2] == 0.0
    desk.tick(1.0)
    assert engine.gains[2] == pytest.approx(0.5)
    assert not desk.strips["bass"].muted


def test_a_fade_goes_on_unheard_while_muted(engine, desk):
    desk.fade("vocals", 0.5, 1.0)
    desk.tick(0.0)
    desk.mute("vocals")
    desk.tick(5.0)
    assert engine.gains[0] == 0.0
    desk.mute("vocals")
    assert engine.gains[0] == 0.5


def test_a_fade_without_time_is_done_at_the_next_tick(engine, desk):
    desk.fade("vocals", 0.25, 0.0)
    desk.tick(7.0)
    assert engine.gains[0] == 0.25


def test_bypass_toggles_and_leaves_the_gains(engine, desk):
    desk.bypass()
    assert engine.bypass and desk.bypassed
    assert heard(engine) == list(STEMS)
    desk.bypass()
    assert not engine.bypass


def test_selecting_a_stem_that_is_not_there_changes_nothing(desk):
    assert desk.select(3)
    assert not desk.select(5)
    assert desk.selected == "bass"


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda desk: desk.solo("piano"), "no stem 'piano': choose from vocals, drums"),
        (lambda desk: desk.fade("bass", -1.0, 2.0), "target_gain=-1.0"),
        (lambda desk: desk.fade("bass", 1.0, float("nan")), "seconds=nan"),
        (lambda desk: MixControls(DeskOnly(), {"piano": 1.0}), "no stem 'piano'"),
    ],
)
def test_impossible_wishes_are_refused(desk, action, words):
    with pytest.raises(UsageError, match=words):
        action(desk)


def test_what_is_set_again_stays(engine, desk):
    """Several clients may say the same, none of whom knows of the others."""
    for _ in range(2):
        desk.mute("drums", True)
        desk.solo("bass", True)
        desk.bypass(True)
        desk.set_trim("bass", -6.0)
    assert heard(engine) == ["bass"] and engine.bypass
    assert desk.gain("bass") == pytest.approx(10 ** (-6 / 20))
    for _ in range(2):
        desk.solo("bass", False)
        desk.bypass(False)
    assert heard(engine) == ["vocals", "bass", "other"] and not engine.bypass
    desk.mute("drums", False)
    assert heard(engine) == list(STEMS)


def test_a_mute_that_a_solo_has_lifted_can_be_set_and_comes_back(engine, desk):
    desk.mute("drums", True)
    desk.solo("drums", True)
    desk.mute("drums", False)  # it is not muted now
    assert heard(engine) == ["drums"]
    desk.mute("drums", True)
    assert heard(engine) == []
    desk.solo("drums", False)
    assert heard(engine) == ["vocals", "bass", "other"]
