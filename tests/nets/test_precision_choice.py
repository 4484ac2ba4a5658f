"""Which precision a session's nets run in: the argument, the environment, what the sound wants."""

import pytest

from rtsep.errors import UsageError
from rtsep.live.session import SessionSettings
from rtsep.nets import precision
from rtsep_kernels.precision import PRECISIONS, ChosenPrecision


@pytest.fixture(autouse=True)
def _any_processor(monkeypatch):
    """The processor has everything; ``auto`` comes back as it went in."""
    monkeypatch.delenv("RTSEP_PRECISION", raising=False)
    monkeypatch.setattr(precision, "choose_precision", lambda name: ChosenPrecision(name, "here"))


def test_what_is_paced_defaults_to_auto_and_all_else_to_float32():
    assert precision.find_precision(None, paced=True) == ("auto", "here")
    assert precision.find_precision(None, paced=False).precision == "f32"


@pytest.mark.parametrize("paced", [True, False])
@pytest.mark.parametrize("name", PRECISIONS)
def test_the_environment_goes_before_the_default_and_the_argument_before_both(
    monkeypatch, name, paced
):
    monkeypatch.setenv("RTSEP_PRECISION", name)
    assert precision.find_precision(None, paced=paced) == (name, "here")
    for asked in PRECISIONS:
        assert precision.find_precision(asked, paced=paced) == (asked, "here")


def test_unknown_names_are_told_with_their_origin_and_the_known_ones(monkeypatch):
    known = "must be one of auto, f32, weights16, bf16: got 'f16'"
    with pytest.raises(UsageError, match=f"^precision {known}$"):
        precision.find_precision("f16", paced=True)
    with pytest.raises(UsageError, match=f"^precision {known}$"):
        SessionSettings(precision="f16")
    monkeypatch.setenv("RTSEP_PRECISION", "f16")
    with pytest.raises(UsageError, match=f"^RTSEP_PRECISION {known}$"):
        precision.find_precision(None, paced=True)


def test_what_is_missing_is_told_with_what_was_asked_for(monkeypatch):
    def refuse(name):
        raise ValueError("this processor has not: choose another")

    monkeypatch.setattr(precision, "choose_precision", refuse)
    with pytest.raises(UsageError, match="^precision bf16: this processor has not: choose"):
        precision.find_precision("bf16", paced=False)
    monkeypatch.setenv("RTSEP_PRECISION", "bf16")
    with pytest.raises(UsageError, match="^RTSEP_PRECISION bf16: this processor has not"):
        precision.find_precision(None, paced=False)
