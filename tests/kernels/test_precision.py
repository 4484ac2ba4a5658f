"""Which precision is chosen: by name, by what the kernels have, by measured peaks."""

import pytest

from rtsep_kernels import jit, peaks, precision


@pytest.fixture
def machine(monkeypatch):
    """Makes this process one whose kernels and processor are of a kind."""

    def make(*, gain=0.0, vector=True, pairs="dot", asked=False):
        monkeypatch.setattr(jit, "VECTOR", vector)
        monkeypatch.setattr(jit, "PAIRS", pairs)
        monkeypatch.setattr(jit, "DOT_ASKED", asked)
        monkeypatch.setattr(peaks, "gain_of_pairs", lambda: gain)

    return make


@pytest.mark.parametrize(
    ("kind", "chosen", "why"),
    [
        ({"gain": 2.0}, "bf16", "auto: here products of bfloat16 are 2.0 times as fast"),
        ({"gain": 1.4}, "weights16", "auto: here products of bfloat16 are 1.4 times as fast"),
        ({"pairs": "none"}, "weights16", "auto: this processor has no products of bfloat16"),
        ({"gain": 2.0, "vector": False}, "f32", "auto: the plain kernels know nothing else"),
    ],
)
def test_auto_goes_by_the_measured_gain(machine, kind, chosen, why):
    machine(**kind)
    found = precision.choose_precision("auto")
    assert found.precision == chosen
    assert found.why.startswith(why)


@pytest.mark.parametrize("name", ["f32", "weights16", "bf16"])
def test_what_is_asked_for_is_taken_however_slow_it_is(machine, name):
    machine(gain=0.5)
    assert precision.choose_precision(name) == (name, "as asked for")


@pytest.mark.parametrize("name", ["weights16", "bf16"])
def test_plain_kernels_refuse_what_they_have_not(machine, name):
    machine(vector=False, pairs="none")
    with pytest.raises(ValueError, match="it needs vector kernels: choose f32"):
        precision.choose_precision(name)


def test_bf16_is_imitated_only_where_that_was_asked_for(machine):
    machine(pairs="none")
    with pytest.raises(ValueError, match="this processor has no products of bfloat16: choose"):
        precision.choose_precision("bf16")
    machine(pairs="none", asked=True)
    assert precision.choose_precision("bf16").precision == "bf16"


def test_only_a_processor_with_products_of_pairs_gains_by_them():
    peaks.gain_of_pairs.cache_clear()
    gain = peaks.gain_of_pairs()
    # No processor known multiplies pairs more than 32 times as fast, or less than a fifth.
    assert gain == 0.0 if jit.PAIRS == "none" else 0.2 < gain < 64
