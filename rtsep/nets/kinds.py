"""The kinds of network, an entry for each (kind.py says what it holds).

The rest of rtsep asks here: which class computes a model's nets and in which buffers, which arrays they
are made of, which windows and precisions they take. docs/adding.md leads through adding one.

Nothing here imports the kernels; what does is imported when a net is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

from rtsep.errors import UsageError
from rtsep.nets.arrays import stem_shapes
from rtsep.nets.d3net_steps import PUBLISHED, D3NetStructure, d3net_shapes
from rtsep.nets.kind import Arrays, Kind, LiveState, Net, State
from rtsep.nets.player_transformer_arrays import (
    FRAMES_MAX,
    STEMS,
    PlayerTransformerStructure,
    player_transformer_shapes,
)
from rtsep.nets.player_unet_arrays import PlayerUNetStructure, player_unet_shapes
from rtsep.nets.registry import (
    D3NET,
    OFFICIAL_FRAMES,
    PLAYER_TRANSFORMER,
    PLAYER_UNET,
    UNET,
    ModelConfig,
)
from rtsep_kernels.precision import Precision

if TYPE_CHECKING:
    from rtsep.nets.sliding import SlidingWindow

# What the player's nets are shown at once, 4.5 s.
PLAYER_FRAMES = 192
# Between the names of stems that one net computes together.
TOGETHER = "+"
# Spleeter's U-Net halves frames and bins six times.
UNET_GRID = 64


def kind_of(config: ModelConfig) -> Kind:
    """The kind of a model's nets."""
    return KINDS[config.kind]


def nets_of(config: ModelConfig, stems: Sequence[str] | None = None) -> tuple[tuple[str, ...], ...]:
    """The nets that compute `stems`, all `net_stems` for None: the stems of each, in order."""
    if kind_of(config).together:
        return (config.net_stems,)
    return tuple((stem,) for stem in (config.net_stems if stems is None else stems))


def net_name(stems: Sequence[str]) -> str:
    """What a net that computes these stems is called, in files of weights and in messages."""
    return TOGETHER.join(stems)


def net_names(config: ModelConfig, stems: Sequence[str] | None = None) -> tuple[str, ...]:
    """What the nets that compute `stems`, all for None, are called; see nets_of."""
    return tuple(net_name(net) for net in nets_of(config, stems))


def check_window(config: ModelConfig, frames: int) -> None:
    """Raise UsageError where the nets of a model do not take windows of so many frames."""
    kind = kind_of(config)
    frame_grid, bin_grid = kind.window_grid(config)
    if config.bins % bin_grid:
        raise UsageError(
            f"{config.name} has {config.bins} bins, its nets take multiples of {bin_grid}"
        )
    if config.bins < (least := kind.least_bins(config)):
        raise UsageError(f"{config.name} has {config.bins} bins, its nets take {least} at least")
    if kind.only_stems and (config.stems != kind.only_stems or config.output != "sigmoid"):
        raise UsageError(
            f"a {kind.name} computes {', '.join(kind.only_stems)}, each with a sigmoid: {config.name}"
            f" has {', '.join(config.stems)}, {config.output}"
        )
    longest = frames if kind.frames_max is None else kind.frames_max
    if kind.only_frames and frames not in kind.only_frames:
        taken = " or ".join(map(str, kind.only_frames))
    elif frames < frame_grid or frames % frame_grid or frames > longest:
        taken = f"multiples of {frame_grid}"
        taken += "" if kind.frames_max is None else f" up to {kind.frames_max}"
    else:
        return
    raise UsageError(
        f"the nets of {config.name} take windows of {taken} frames, not of {frames}: choose a plan or"
        " a window of such a length"
    )


def _whole_windows(config: ModelConfig, window: SlidingWindow, precision: Precision) -> LiveState:
    from rtsep.nets.whole_window import WholeWindowState

    return WholeWindowState(window, kind_of(config).state(config, window.frames, precision))


def _unet(config: ModelConfig, arrays: Arrays, precision: Precision) -> Net:
    from rtsep.nets.unet import UNet

    return UNet(config, arrays, precision)


def _unet_state(config: ModelConfig, frames: int, precision: Precision) -> State:
    from rtsep.nets.unet import UNetState

    return UNetState(frames, config.bins, precision)


def _unet_live(config: ModelConfig, window: SlidingWindow, precision: Precision) -> LiveState:
    from rtsep.nets.sliding import SlidingState

    return SlidingState(window, precision)


def _player_unet(config: ModelConfig, arrays: Arrays, precision: Precision) -> Net:
    from rtsep.nets.player_unet import PlayerUNet

    return PlayerUNet(config, arrays, precision)


def _player_unet_state(config: ModelConfig, frames: int, precision: Precision) -> State:
    from rtsep.nets.player_unet import PlayerUNetState

    return PlayerUNetState(config, frames, config.bins)


def _d3net(config: ModelConfig, arrays: Arrays, precision: Precision) -> Net:
    from rtsep.nets.d3net import D3Net

    return D3Net(config, arrays, precision)


def _d3net_state(config: ModelConfig, frames: int, precision: Precision) -> State:
    from rtsep.nets.d3net import D3NetState

    return D3NetState(config, frames, config.bins)


def _player_transformer(config: ModelConfig, arrays: Arrays, precision: Precision) -> Net:
    from rtsep.nets.player_transformer import PlayerTransformer

    return PlayerTransformer(config, arrays, precision)


def _player_transformer_state(config: ModelConfig, frames: int, precision: Precision) -> State:
    from rtsep.nets.player_transformer import PlayerTransformerState

    return PlayerTransformerState(config, frames, config.bins)


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            name=UNET,
            frames=OFFICIAL_FRAMES,
            precisions=get_args(Precision),
            structure=None,
            shapes=lambda config: stem_shapes(),
            window_grid=lambda config: (UNET_GRID, UNET_GRID),
            net=_unet,
            state=_unet_state,
            live_state=_unet_live,
            keeps_rows=True,
        ),
        Kind(
            name=PLAYER_UNET,
            frames=PLAYER_FRAMES,
            precisions=("f32",),
            structure=PlayerUNetStructure,
            shapes=lambda config: player_unet_shapes(PlayerUNetStructure.of(config.structure)),
            window_grid=lambda config: (PlayerUNetStructure.of(config.structure).grid,) * 2,
            net=_player_unet,
            state=_player_unet_state,
            live_state=_whole_windows,
        ),
        Kind(
            name=D3NET,
            frames=PLAYER_FRAMES,
            precisions=("f32",),
            structure=D3NetStructure,
            shapes=lambda config: d3net_shapes(D3NetStructure.of(config.structure)),
            window_grid=lambda config: (D3NetStructure.of(config.structure).grid,) * 2,
            net=_d3net,
            state=_d3net_state,
            live_state=_whole_windows,
            least_bins=lambda config: D3NetStructure.of(config.structure).least_bins,
            published=PUBLISHED,
        ),
        Kind(
            name=PLAYER_TRANSFORMER,
            frames=PLAYER_FRAMES,
            precisions=("f32",),
            structure=PlayerTransformerStructure,
            shapes=lambda config: player_transformer_shapes(
                PlayerTransformerStructure.of(config.structure), config.bins
            ),
            window_grid=lambda config: (PlayerTransformerStructure.of(config.structure).grid,) * 2,
            net=_player_transformer,
            state=_player_transformer_state,
            live_state=_whole_windows,
            together=True,
            frames_max=FRAMES_MAX,
            only_stems=STEMS,
        ),
    )
}
