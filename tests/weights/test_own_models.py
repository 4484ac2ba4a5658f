"""Models of one's own: imported under any name, known to every program, with stems of any name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import rtsep
from rtsep.cli.weights import main
from rtsep.errors import UsageError, WeightsError
from rtsep.live import INDEPENDENT, RATIO
from rtsep.live.session import SessionSettings
from rtsep.nets.registry import ModelConfig
from rtsep.weights import library as weights
from rtsep.weights.own_models import RUN_FILE, Network, config_of, read_own
from rtsep.weights.store import Provenance, read_provenance, write_weights
from tests.files.sounds import music
from tests.weights.helpers import failure, replace_header, tree
from tests.weights.made_up_weights import made_up_arrays

DRUMS = ModelConfig("run", "run", ("drums", "rest"), "elu", "relu", "sigmoid", 512, True)
TWO = ModelConfig("run", "run", ("choir", "organ"), "leaky_relu", "relu", "sigmoid", 1024)


def write_run(folder: Path, config: ModelConfig) -> Path:
    """What rtsep-train leaves, with made-up weights."""
    folder.mkdir(parents=True, exist_ok=True)
    stems = {stem: made_up_arrays(seed) for seed, stem in enumerate(config.net_stems)}
    text = Network.of(config).as_text()
    provenance = Provenance(
        config.name, ",".join(stems), "a training", "0" * 64, "CC0", "me", network=text
    )
    write_weights(folder / RUN_FILE, stems, provenance)
    return folder


@pytest.fixture
def drums(cache: Path, tmp_path: Path) -> ModelConfig:
    """A model with one net, installed as `mine`."""
    run = write_run(tmp_path / "run", DRUMS)
    assert main(["import", str(run), "--name", "mine"]) == 0
    return replace(DRUMS, name="mine", weights_name="mine")


def test_an_imported_run_is_known_by_its_name(
    drums: ModelConfig, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tree(cache) == {"mine.lock", "mine.safetensors", "mine.safetensors.sha256"}
    assert weights.model_named("mine") == drums
    assert weights.installed() == weights.own_models() == ["mine"]
    loaded = weights.load(drums)
    np.testing.assert_array_equal(loaded["drums"]["up2/kernel"], made_up_arrays(0)["up2/kernel"])
    assert main(["verify"]) == 0
    assert "mine: good, your own: a training" in capsys.readouterr().out
    assert main(["list"]) == 0
    assert "mine (drums): your own: a training\n" in capsys.readouterr().out
    assert main(["list", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["models"][-1]
    assert row["name"] == "mine" and row["own"] and row["stems"] == ["drums"]
    assert row["licence"] == "CC0" and not row["genuine"]


def test_a_copy_of_the_file_can_be_imported_and_renamed(
    drums: ModelConfig, cache: Path, tmp_path: Path
) -> None:
    assert main(["import", str(cache / "mine.safetensors"), "--name", "yours"]) == 0
    assert weights.own_models() == ["mine", "yours"]
    assert read_provenance(cache / "yours.safetensors").model == "yours"


@pytest.mark.parametrize("name", ["a b", "spleeter:6stems", "spleeter-2stems", "", "../x", ".x"])
def test_names_that_cannot_be_are_refused(
    name: str, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", DRUMS)
    assert main(["import", str(run), "--name", name]) == 2
    assert "cannot be called" in failure(capsys)


def test_what_holds_no_model_is_refused(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], made_up_weights: Path
) -> None:
    assert main(["import", str(tmp_path), "--name", "mine"]) == 1
    assert "holds no model of your own" in failure(capsys)
    official = made_up_weights / "spleeter-2stems.safetensors"
    assert main(["import", str(official), "--name", "mine"]) == 1
    assert "import it as spleeter:2stems" in failure(capsys)
    run = write_run(tmp_path / "run", DRUMS)
    (run / f"{RUN_FILE}.sha256").unlink()
    assert main(["import", str(run), "--name", "mine"]) == 1
    assert f"no {RUN_FILE}.sha256 beside it" in failure(capsys)


@pytest.mark.parametrize(
    "network",
    [
        "{", "[]", "{}",
        Network.of(DRUMS).as_text().replace("elu", "tanh"),
        Network.of(DRUMS).as_text().replace("512", "500"),
        Network.of(DRUMS).as_text().replace("512", '"512"'),
        Network.of(DRUMS).as_text().replace("true", "false"),
        Network.of(DRUMS).as_text().replace("sigmoid", "softmax"),
    ],
)  # fmt: skip
def test_a_header_that_says_nothing_usable_is_refused(network: str, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", DRUMS)
    good = Network.of(DRUMS).as_text()
    replace_header(run / RUN_FILE, json.dumps(good), json.dumps(network))
    with pytest.raises(WeightsError, match="does not say what nets it is for"):
        read_own(run)


def test_one_of_rtseps_files_says_nothing_of_nets(made_up_weights: Path) -> None:
    path = made_up_weights / "spleeter-2stems.safetensors"
    assert b'"network"' not in path.read_bytes()[:4096]
    assert read_provenance(path).network == ""


def test_there_is_nothing_to_fetch(drums: ModelConfig, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["fetch", "mine"]) == 2
    assert "nothing to fetch" in failure(capsys)


def test_only_models_of_ones_own_are_removed(
    drums: ModelConfig, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(cache / "mine.safetensors"), "--name", "yours"]) == 0
    # A damaged one, too: it is the one to be rid of.
    (cache / "mine.safetensors").write_bytes(b"damaged")
    capsys.readouterr()
    assert main(["remove", "mine"]) == 0
    assert capsys.readouterr().out == f"mine: removed {cache / 'mine.safetensors'}\n"
    assert weights.own_models() == ["yours"]
    assert not list(cache.glob("mine.safetensors*"))
    for name in ("mine", "spleeter:2stems", "../x"):
        assert main(["remove", name]) == 2
        assert f"{name!r} is not one: your own: yours" in failure(capsys)


def test_an_unknown_name_says_what_there_is(drums: ModelConfig) -> None:
    with pytest.raises(UsageError, match=r"unknown model 'nine': .*; your own: mine"):
        rtsep.Separator("nine")


@pytest.mark.parametrize("extension", ["zeros", "average"])
@pytest.mark.parametrize("sample_rate", [44_100, 48_000])
def test_a_net_and_what_it_leaves_add_up(
    drums: ModelConfig, extension: str, sample_rate: int
) -> None:
    audio = music(1.5, rate=sample_rate)
    separator = rtsep.Separator("mine", mask_extension=extension)
    assert separator.stems == ("drums", "rest")
    stems = separator.separate(audio, sample_rate)
    # Resampling there and back is not exact where the rest is not what the others leave.
    exact = sample_rate == 44_100 or extension != "zeros"
    np.testing.assert_allclose(sum(stems.values()), audio, atol=1e-5 if exact else 0.01)
    for stem in stems.values():
        assert np.square(stem).mean() > 1e-3 * np.square(audio).mean()
    only = rtsep.Separator("mine", stems=("no_drums",), mask_extension=extension)
    np.testing.assert_array_equal(only.separate(audio, sample_rate)["no_drums"], stems["rest"])


def test_the_mask_is_the_nets_own(drums: ModelConfig) -> None:
    """Not a ratio among nets, of which there is one: that would be 1 everywhere."""
    from rtsep.nets.unet import UNet
    from rtsep.offline.segments import SegmentSeparator

    segments = SegmentSeparator(
        drums, [UNet(drums, made_up_arrays(0))], {"drums": ("drums",)}, 0, 64, 1, False
    )
    segments.push(music(2.0))
    masks = segments._outputs[0].mask[-1, :, :512]
    np.testing.assert_array_equal(masks, segments._masks[0, 63])
    assert masks.std() > 0.01 and not segments._outputs[0].mask[:, :, 512:].any()
    segments.close()


def test_live_its_nets_run_independently(drums: ModelConfig) -> None:
    settings = SessionSettings(model="mine")
    assert settings.masking_choices == (INDEPENDENT,)
    assert settings.net_stems(INDEPENDENT) == ("drums",)
    assert settings.outputs(INDEPENDENT) == ("drums", "rest")
    assert settings.mix_gains(INDEPENDENT) == {"drums": 1.0, "rest": 0.0}
    muted = SessionSettings(model="mine", muted=("drums",))
    assert muted.mix_gains(INDEPENDENT) == {"drums": 0.0, "rest": 1.0}
    rest = SessionSettings(model="mine", stems=("rest",), separate_stems=True)
    assert rest.net_stems(INDEPENDENT) == ("drums",)
    assert rest.mix_gains(INDEPENDENT) == {"drums": 0.0, "rest": 1.0}
    with pytest.raises(UsageError, match="rest has no net"):
        SessionSettings(model="mine", masking=RATIO)
    with pytest.raises(UsageError, match="unknown stem 'vocals': choose from drums, rest"):
        SessionSettings(model="mine", stems=("vocals",))


def test_nets_for_everything_share_by_the_ratio_mask(cache: Path, tmp_path: Path) -> None:
    main(["import", str(write_run(tmp_path / "run", TWO)), "--name", "church"])
    settings = SessionSettings(model="church")
    assert settings.masking_choices == (RATIO, INDEPENDENT)
    assert settings.mix_gains(RATIO) == {"choir": 1.0, "organ": 0.0}
    assert rtsep.Separator("church").stems == ("choir", "organ")


def test_several_nets_and_a_rest_run_as_they_are_asked_for(tmp_path: Path, cache: Path) -> None:
    config = replace(TWO, stems=("choir", "organ", "rest"), has_rest=True)
    main(["import", str(write_run(tmp_path / "run", config)), "--name", "church"])
    assert SessionSettings(model="church").net_stems(INDEPENDENT) == ("choir",)
    assert SessionSettings(model="church", stems=("rest",)).net_stems(INDEPENDENT) == (
        "choir",
        "organ",
    )
    assert (
        config_of("x", read_provenance(tmp_path / "run" / RUN_FILE), tmp_path).stems == config.stems
    )


def test_live_sound_goes_through(drums: ModelConfig) -> None:
    audio = music(2.0)
    with rtsep.LiveSeparator(
        "mine", latency="low", sample_rate=44_100, separate_stems=True, paced=False
    ) as live:
        assert live.stems == ("drums", "rest")
        stems = live.process_stems(np.concatenate([audio, np.zeros((8192, 2), np.float32)]))
        delay = live.latency_samples
    total = sum(stems.values())[delay : delay + len(audio)]
    np.testing.assert_allclose(total, audio[: len(total)], atol=1e-4)
