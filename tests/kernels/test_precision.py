"""Which precision is chosen: by name, by what the kernels have, by measured peaks."""

import pytest

from rtsep_kernels import jit, peaks, precision


def test_a_default_holds_where_nothing_is_asked(monkeypatch):
    monkeypatch.delenv("RTSEP_PRECISION", raising=False)
    assert precision.choose_precision("f32") == "f32"


@pytest.mark.parametrize(
    ("gain", "vector", "chosen"),
    [(2.0, True, "bf16"), (1.4, True, "weights16"), (0.0, True, "weights16"), (2.0, False, "f32")],
)
def test_auto_goes_by_the_measured_gain(monkeypatch, gain, vector, chosen):
    monkeypatch.setenv("RTSEP_PRECISION", "auto")
    monkeypatch.setattr(precision, "gain_of_pairs", lambda: gain)
    monkeypatch.setattr(precision, "VECTOR", vector)
    assert precision.choose_precision("f32") == chosen


@pytest.mark.parametrize("name", ["f32", "weights16", "bf16"])
def test_what_is_asked_for_is_taken_whatever_the_default(monkeypatch, name):
    monkeypatch.setenv("RTSEP_PRECISION", name)
    monkeypatch.setattr(precision, "VECTOR", True)
    assert precision.choose_precision("auto") == name


def test_an_unknown_precision_is_named_with_the_known_ones(monkeypatch):
    monkeypatch.setenv("RTSEP_PRECISION", "f16")
    with pytest.raises(ImportError, match="RTSEP_PRECISION='f16' .*auto, f32, weights16, bf16"):
        precision.choose_precision("auto")


@pytest.mark.parametrize("name", ["weights16", "bf16"])
def test_plain_kernels_refuse_what_they_have_not(monkeypatch, name):
    monkeypatch.setenv("RTSEP_PRECISION", name)
    monkeypatch.setattr(precision, "VECTOR", False)
    with pytest.raises(ImportError, match="RTSEP_PRECISION='.*16' needs vector kernels"):
        precision.choose_precision("auto")


def test_only_a_processor_with_products_of_pairs_gains_by_them():
    peaks.gain_of_pairs.cache_clear()
    gain = peaks.gain_of_pairs()
    # No processor known multiplies pairs more than 32 times as fast, or less than a fifth.
    assert gain == 0.0 if jit.PAIRS == "none" else 0.2 < gain < 64
