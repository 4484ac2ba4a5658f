"""The kinds of network: everything that differs from one to another, an entry for each.

The rest of rtsep asks here: which class computes a model's nets and in which buffers, which arrays they
are made of, which windows and precisions they take. docs/adding.md leads through adding one.

Nothing here imports the kernels; what does is imported when a net is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from rtsep.errors import UsageError
from rtsep.nets.arrays import stem_shapes
from rtsep.nets.d3net_steps import PUBLISHED, D3NetStructure, d3net_shapes
from rtsep.nets.player_unet_arrays import PlayerUNetStructure, player_unet_shapes
from rtsep.nets.registry import D3NET, OFFICIAL_FRAMES, PLAYER_UNET, UNET, ModelConfig
from rtsep.nets.structure import Structure
from rtsep_kernels.precision import Precision

if TYPE_CHECKING:
    from rtsep.nets.sliding import SlidingWindow

Arrays = Mapping[str, NDArray[np.float32]]
Shapes = dict[str, tuple[int, ...]]

# What the player's nets are shown at once, 4.5 s.
PLAYER_FRAMES = 192
# Between the names of stems that one net computes together.
TOGETHER = "+"
# Spleeter's U-Net halves frames and bins six times.
UNET_GRID = 64


class Net(Protocol):
    """The constants of one net, packed for this processor. Shared by all its states."""

    config: ModelConfig
    precision: Precision


class State(Protocol):
    """The buffers of a net that runs on whole windows. One user at a time."""

    def run(self, net: Any, magnitudes: NDArray[Any], masks: NDArray[np.float32]) -> None:
        """Masks of a window, without the GIL and without allocating.

        magnitudes: (T, F, 2) float32.  masks: (T, 2, F) float32, or (stems, T, 2, F) of a net that
        computes several; written.
        """
        ...

    @property
    def nbytes(self) -> int:
        """Memory held by the buffers, in bytes."""
        ...


class LiveState(Protocol):
    """The buffers of a net that runs on a window that slides; see sliding.SlidingState."""

    def run(
        self,
        net: Any,
        magnitudes: NDArray[np.float32],
        gains: NDArray[np.float32],
        start: int,
        masks: NDArray[np.float32],
    ) -> int:
        """Masks of the window that begins with frame `start`; returns the first frame that was read."""
        ...

    def reset(self) -> None:
        """Forget everything that was kept from earlier runs."""
        ...

    @property
    def phases(self) -> int:
        """Runs until only what a slide needs is computed."""
        ...

    @property
    def nbytes(self) -> int:
        """Memory held by the buffers, in bytes."""
        ...


@dataclass(frozen=True)
class Kind:
    """A kind of network.

    Attributes
    ----------
    name : str
        As in ModelConfig.kind.
    frames : int
        T of the windows that it is trained on and shown offline.
    precisions : tuple of Precision
        In which it can be computed.
    structure : type or None
        Of ModelConfig.structure; None where the kind has one shape only.
    shapes : callable
        From a configuration to name and shape of every array of one net, in network order.
    window_grid : callable
        From a configuration to the whole numbers of frames and bins that windows are multiples of.
    net : callable
        Makes a net of a configuration, its arrays and a precision.
    state : callable
        Makes a State of a configuration, T and a precision.
    live_state : callable
        Makes a LiveState of a configuration, a SlidingWindow and a precision.
    keeps_rows : bool
        Its LiveState computes only what a slide changes, so that it can run at every hop.
    together : bool
        One net computes all stems of the model.
    only_frames : tuple of int
        The windows that it takes, where these are a few; empty for all multiples of the grid.
    least_bins : callable
        From a configuration to the fewest bins that its nets take.
    published : mapping of str to Structure
        By stem, the structures that were published for nets of that stem alone.
    """

    name: str
    frames: int
    precisions: tuple[Precision, ...]
    structure: type[Structure] | None
    shapes: Callable[[ModelConfig], Shapes]
    window_grid: Callable[[ModelConfig], tuple[int, int]]
    net: Callable[[ModelConfig, Arrays, Precision], Net]
    state: Callable[[ModelConfig, int, Precision], State]
    live_state: Callable[[ModelConfig, SlidingWindow, Precision], LiveState]
    keeps_rows: bool = False
    together: bool = False
    only_frames: tuple[int, ...] = ()
    least_bins: Callable[[ModelConfig], int] = lambda config: 1
    published: Mapping[str, Structure] = field(default_factory=dict)

    def structure_for(self, stems: Sequence[str]) -> Structure | None:
        """The structure of a new model with nets for these stems: all its nets have the same."""
        if self.structure is None:
            return None
        published = self.published.get(stems[0]) if len(stems) == 1 else None
        return published or self.structure()


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
    if kind.only_frames and frames not in kind.only_frames:
        taken = " or ".join(map(str, kind.only_frames))
    elif frames < frame_grid or frames % frame_grid:
        taken = f"multiples of {frame_grid}"
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


def _player_structure(config: ModelConfig) -> PlayerUNetStructure:
    assert isinstance(config.structure, PlayerUNetStructure)
    return config.structure


def _player_unet(config: ModelConfig, arrays: Arrays, precision: Precision) -> Net:
    from rtsep.nets.player_unet import PlayerUNet

    return PlayerUNet(config, arrays, precision)


def _player_unet_state(config: ModelConfig, frames: int, precision: Precision) -> State:
    from rtsep.nets.player_unet import PlayerUNetState

    return PlayerUNetState(config, frames, config.bins)


def _d3net_structure(config: ModelConfig) -> D3NetStructure:
    assert isinstance(config.structure, D3NetStructure)
    return config.structure


def _d3net(config: ModelConfig, arrays: Arrays, precision: Precision) -> Net:
    from rtsep.nets.d3net import D3Net

    return D3Net(config, arrays, precision)


def _d3net_state(config: ModelConfig, frames: int, precision: Precision) -> State:
    from rtsep.nets.d3net import D3NetState

    return D3NetState(config, frames, config.bins)


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
            shapes=lambda config: player_unet_shapes(_player_structure(config)),
            window_grid=lambda config: (_player_structure(config).grid,) * 2,
            net=_player_unet,
            state=_player_unet_state,
            live_state=_whole_windows,
        ),
        Kind(
            name=D3NET,
            frames=PLAYER_FRAMES,
            precisions=("f32",),
            structure=D3NetStructure,
            shapes=lambda config: d3net_shapes(_d3net_structure(config)),
            window_grid=lambda config: (_d3net_structure(config).grid,) * 2,
            net=_d3net,
            state=_d3net_state,
            live_state=_whole_windows,
            least_bins=lambda config: _d3net_structure(config).least_bins,
            published=PUBLISHED,
        ),
    )
}
