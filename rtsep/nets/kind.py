"""What a kind of network is: everything that differs from one to another. Those there are: kinds.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rtsep.nets.registry import ModelConfig
from rtsep.nets.structure import Structure
from rtsep_kernels.precision import Precision

if TYPE_CHECKING:
    from rtsep.nets.sliding import SlidingWindow

Arrays = Mapping[str, NDArray[np.float32]]
Shapes = dict[str, tuple[int, ...]]


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
    frames_max : int or None
        The longest window that it takes, where there is one.
    only_stems : tuple of str
        The stems of a model, where these are a part of the kind; each has its mask, a sigmoid.
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
    frames_max: int | None = None
    only_stems: tuple[str, ...] = ()
    least_bins: Callable[[ModelConfig], int] = lambda config: 1
    published: Mapping[str, Structure] = field(default_factory=dict)

    def structure_for(self, stems: Sequence[str]) -> Structure | None:
        """The structure of a new model with nets for these stems: all its nets have the same."""
        if self.structure is None:
            return None
        published = self.published.get(stems[0]) if len(stems) == 1 else None
        return published or self.structure()
