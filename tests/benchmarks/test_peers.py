"""The contenders compute the same net, and one that does not is found before anything is timed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtsep.errors import RtsepError
from rtsep.nets.registry import find_model
from rtsep_bench import contenders, peers
from rtsep_bench.contenders import RUNTIMES, Runtime, open_contender
from rtsep_bench.exact import reference_masks
from rtsep_bench.made_up import made_up_stems
from rtsep_bench.memory import contender_peak_rss_mb
from rtsep_bench.net_case import NetCase, cases_of, read_arrays, read_case, write_case

NETS = {
    "spleeter:2stems": ("vocals", "accompaniment", "vocals"),
    "spleeter:4stems": ("drums",),
}


def small_case(model: str, folder: Path, with_onnx: bool) -> NetCase:
    """Nets of 64 frames and bins, in the folder; several of them on two threads."""
    nets = NETS[model]
    case = NetCase("small", 64, nets, min(2, len(nets)), model, 64)
    write_case(case, made_up_stems(find_model(model)), folder, with_onnx)
    return case


@pytest.mark.parametrize("name", RUNTIMES)
@pytest.mark.parametrize("model", NETS)
def test_contenders_compute_the_reference(name: str, model: str, tmp_path: Path) -> None:
    for package in RUNTIMES[name].packages:
        pytest.importorskip(package)
    case = small_case(model, tmp_path, contenders.need_onnx([name]))
    contender = open_contender(name, tmp_path)
    contender.run()
    for net, stem in enumerate(case.nets):
        arrays = read_arrays(tmp_path, stem)
        wanted = reference_masks(case.config, arrays, contender.magnitudes)
        tolerance = 2e-5 if name == "rtsep" else contender.tolerance
        masks = contender.masks(net)
        np.testing.assert_allclose(masks, wanted, rtol=0, atol=tolerance)
        # Single bins of nets in 16 bits are far off, most are not.
        assert np.abs(masks - wanted).mean() < tolerance / 10
    contender.close()


def test_a_case_comes_back_from_its_folder(tmp_path: Path) -> None:
    case = small_case("spleeter:2stems", tmp_path, with_onnx=False)
    assert read_case(tmp_path) == case
    expected = made_up_stems(case.config)["vocals"]
    found = read_arrays(tmp_path, "vocals")
    assert list(found) == list(expected)
    np.testing.assert_array_equal(found["up3/kernel"], expected["up3/kernel"])


@pytest.mark.parametrize("spoil", [lambda masks: masks + 2e-4, lambda masks: masks * np.nan])
def test_a_contender_that_disagrees_is_an_error(spoil, tmp_path: Path) -> None:
    small_case("spleeter:2stems", tmp_path, with_onnx=False)
    honest, other = (open_contender("rtsep", tmp_path) for _ in range(2))
    agreed = peers.compare({"rtsep": honest, "other": other}, tmp_path)
    assert agreed["rtsep"] == agreed["other"] < 2e-5
    right = other.masks
    # Wrong in its second net only.
    other.masks = lambda net: spoil(right(net)) if net == 1 else right(net)  # type: ignore[method-assign]
    with pytest.raises(RtsepError, match="other on small: masks of accompaniment differ from") as e:
        peers.compare({"rtsep": honest, "other": other}, tmp_path)
    assert "\n" not in str(e.value)


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Runtime("net_absent", "Absent", ("numpy", "no_such_package"))
    monkeypatch.setitem(RUNTIMES, "absent", absent)
    assert "absent" not in contenders.installed_runtimes()
    assert contenders.installed_runtimes()[0] == "rtsep"
    said = contenders.missing_runtimes()
    assert said is not None and "\n" not in said
    assert "absent (needs no_such_package)" in said and "pip install 'rtsep[bench]'" in said
    for name in list(RUNTIMES)[1:]:
        monkeypatch.delitem(RUNTIMES, name)
    assert contenders.missing_runtimes() is None


@pytest.mark.slow
def test_memory_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    small_case("spleeter:2stems", tmp_path, with_onnx=False)
    peak_mb = contender_peak_rss_mb("rtsep", tmp_path)
    # Python and NumPy alone take 30; the nets' weights are there twice, packed and not.
    assert peak_mb is None or 100 < peak_mb < 700
    with pytest.raises(RtsepError, match=r"memory of rtsep failed: .*case\.json") as caught:
        contender_peak_rss_mb("rtsep", tmp_path / "nowhere")
    assert "\n" not in str(caught.value)


def test_the_four_nets_are_those_of_the_model() -> None:
    """Two stems come twice, each time with weights of their own; only this case has threads."""
    two = cases_of(find_model("spleeter:2stems"), 1024, threads=2)
    assert list(two) == ["unet-T128", "four-unets-T128", "unet-T512", "unet-T64"]
    assert two["four-unets-T128"].nets == ("vocals", "accompaniment") * 2
    four = cases_of(find_model("spleeter:4stems"), 1024, threads=3)
    assert four["four-unets-T128"].nets == ("vocals", "drums", "bass", "other")
    for name, case in four.items():
        assert case.threads == (3 if name.startswith("four") else 1)
        assert name.endswith(f"T{case.frames}") and case.bins == 1024
