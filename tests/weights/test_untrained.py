"""Models that nobody has published weights of: untrained, until weights of one's own are imported."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rtsep.cli.weights import main
from rtsep.errors import UsageError, WeightsError
from rtsep.nets.player_unet_arrays import PlayerUNetStructure
from rtsep.nets.registry import ModelConfig, find_model
from rtsep.weights import library as weights
from rtsep.weights.load_nets import load_nets
from rtsep.weights.network import Network
from rtsep.weights.own_models import RUN_FILE
from rtsep.weights.store import Provenance, read_provenance, write_weights
from rtsep_bench.made_up import made_up_stems
from tests.weights.helpers import replace_header

PLAYER = find_model("player-unet")
SMALL = PlayerUNetStructure((16, 16), (16,))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "weights"
    monkeypatch.setenv(weights.CACHE_VARIABLE, str(folder))
    return folder


def trained(folder: Path, config: ModelConfig) -> Path:
    """A folder as rtsep-train leaves it, with made-up weights of a model."""
    folder.mkdir()
    provenance = Provenance(
        model="run",
        stems=",".join(config.net_stems),
        source="made up",
        source_sha256="0" * 64,
        licence="none",
        copyright="none",
        network=Network.of(config).as_text(),
    )
    write_weights(folder / RUN_FILE, made_up_stems(config), provenance)
    return folder


def test_without_weights_it_says_that_it_is_untrained(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for action in (
        lambda: load_nets(PLAYER),
        lambda: weights.verify("player-unet"),
        lambda: weights.fetch("player-unet"),
    ):
        with pytest.raises(
            WeightsError, match="player-unet is untrained.*--network player-unet"
        ) as e:
            action()
        assert "\n" not in str(e.value) and "--name player-unet" in str(e.value)
    assert main(["list"]) == 0
    line = next(li for li in capsys.readouterr().out.splitlines() if li.startswith("player-unet"))
    assert line.startswith("player-unet (vocals, drums, bass, other): untrained: ")
    assert main(["list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["models"]}
    assert rows["player-unet"]["untrained"] and not rows["player-unet"]["installed"]
    assert not rows["spleeter:2stems"]["untrained"]


def test_imported_weights_make_it_a_model(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = replace(PLAYER, structure=SMALL)
    run = trained(tmp_path / "run", PLAYER)
    assert main(["import", str(run), "--name", "player-unet"]) == 0
    assert main(["import", str(trained(tmp_path / "other", small)), "--name", "mine"]) == 0
    capsys.readouterr()
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    lines = [line for line in said.splitlines() if line.startswith("player-unet ")]
    assert lines == ["player-unet (vocals, drums, bass, other): your own: made up"]
    assert main(["verify"]) == 0
    assert "player-unet: good, your own" in capsys.readouterr().out
    nets = load_nets(PLAYER)
    assert len(nets) == 4 and nets[0].config == PLAYER
    # One's own says all that it is in its header.
    mine = weights.model_named("mine")
    assert (mine.kind, mine.structure, mine.stems) == ("player-unet", SMALL, PLAYER.stems)
    assert len(load_nets(mine, stems=["drums"])) == 1


def test_weights_of_other_nets_are_refused(cache: Path, tmp_path: Path) -> None:
    others = {
        "holds nets with structure widths .16, 16., .* player-unet has widths": replace(
            PLAYER, structure=SMALL
        ),
        "holds nets with encoder_activation elu, player-unet has leaky_relu": replace(
            PLAYER, encoder_activation="elu"
        ),
        "holds the stems drums,bass, player-unet needs vocals,drums,bass,other": replace(
            PLAYER, stems=("drums", "bass")
        ),
        "holds nets with kind unet, player-unet has player-unet": replace(
            find_model("spleeter:4stems"),
            encoder_activation="leaky_relu",
            decoder_activation="relu",
        ),
    }
    for number, (message, config) in enumerate(others.items()):
        run = trained(tmp_path / str(number), config)
        with pytest.raises(WeightsError, match=message) as error:
            weights.import_path(run, "player-unet")
        assert "\n" not in str(error.value) and str(error.value).endswith("name of its own")
    assert not weights.is_installed("player-unet")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: n | {"kind": "no-such-kind"}, "does not say what nets"),
        (lambda n: n | {"kind": "unet"}, "does not say what nets"),
        (lambda n: n | {"structure": {"widths": [16, 20], "reduced": [16]}}, "does not say"),
        (lambda n: n | {"structure": {"widths": [16, 16.5], "reduced": [16]}}, "does not say"),
        (lambda n: n | {"structure": {"depth": 3}}, "does not say what nets"),
        (lambda n: n | {"structure": [1, 2]}, "does not say what nets"),
        (lambda n: {name: v for name, v in n.items() if name != "structure"}, "does not say"),
        (lambda n: [n], "does not say what nets"),
        (lambda n: n | {"bins": 1023}, "does not say what nets"),
        # Another structure than that of the arrays behind it.
        (lambda n: n | {"structure": {"widths": [32, 16], "reduced": [16]}}, "has shape"),
    ],
)
def test_headers_that_say_nothing_usable(change, message: str, cache: Path, tmp_path: Path) -> None:
    config = replace(PLAYER, structure=SMALL)
    run = trained(tmp_path / "run", config)
    file = run / RUN_FILE
    network = read_provenance(file).network
    changed = json.dumps(change(json.loads(network)), sort_keys=True)
    replace_header(file, json.dumps(network), json.dumps(changed))
    with pytest.raises(WeightsError, match=message) as error:
        weights.import_path(run, "mine")
    assert "\n" not in str(error.value)


def test_headers_of_before_are_spleeters_nets() -> None:
    """What was trained before there were kinds says nothing of them."""
    official = find_model("spleeter:2stems")
    config = replace(official, name="mine", weights_name="mine", underrated=())
    text = Network.of(config).as_text()
    assert "kind" not in text and "structure" not in text
    assert Network.from_text(text).config("mine", config.stems) == config
    assert (
        Network.from_text(Network.of(PLAYER).as_text()).config("player-unet", PLAYER.stems)
        == PLAYER
    )


def test_its_name_is_taken(cache: Path, tmp_path: Path) -> None:
    run = trained(tmp_path / "run", replace(PLAYER, structure=SMALL))
    with pytest.raises(UsageError, match="cannot be called 'Player-UNet'"):
        weights.import_path(run, "Player-UNet")
