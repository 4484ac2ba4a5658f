"""Computes pieces of songs: from the decoded sound on disk, through the nets, into the store on disk."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from rtsep.constants import FRAME_LENGTH, HOP
from rtsep.dsp import MASK_EXTENSIONS
from rtsep.dsp.channels import NET_CHANNELS
from rtsep.nets.registry import ModelConfig
from rtsep.play.pcm_file import PcmFile
from rtsep.play.pieces import window_sizes
from rtsep.play.stem_cache import StemSettings
from rtsep.play.stem_store import write_joined

if TYPE_CHECKING:
    from rtsep.nets.kind import Net
    from rtsep.offline.segments import SegmentSeparator
    from rtsep.weights.download import ByteProgress


@dataclass(frozen=True)
class PieceOrder:
    """One piece to make; of values that JSON knows.

    decoded, store: files of the song and of its stems.  frames, window_begin: see pieces.Piece.
    begin, end: the samples to write.  gap: those of them that are not done yet.
    """

    decoded: str
    store: str
    frames: int
    window_begin: int
    samples_in: int
    begin: int
    end: int
    gap: tuple[int, int]


class MakesPieces(Protocol):
    """Whoever carries out orders: PieceMaker, or a process that has one."""

    def make(self, order: PieceOrder) -> None:
        """Make a piece; raises RtsepError for nets that cannot be had, OSError for a full disk."""
        ...

    def close(self) -> None:
        """Release threads and memory."""
        ...


def import_all() -> None:
    """Import what a PieceMaker needs, before anybody knows what it shall do."""
    import rtsep.dsp.fft_wisdom
    import rtsep.offline.segments
    import rtsep.weights.shared_nets  # noqa: F401


class PieceMaker:
    """Makes pieces in this process. One user at a time.

    Parameters
    ----------
    model : ModelConfig
    settings : StemSettings
    jobs : int
        Nets computed at the same time.
    progress : callable, optional
        Called while weights are fetched, see rtsep.weights.download.
    """

    def __init__(
        self,
        model: ModelConfig,
        settings: StemSettings,
        jobs: int,
        progress: ByteProgress | None = None,
    ):
        self._model, self._jobs, self._progress = model, jobs, progress
        self._extension = MASK_EXTENSIONS.index(settings.mask_extension)
        self._precision = settings.precision
        self._nets: Sequence[Net] = ()
        self._separators: dict[int, SegmentSeparator] = {}
        # The song of the last order.
        self._paths: tuple[str, str] | None = None
        self._decoded: PcmFile | None = None
        self._store: PcmFile | None = None

    def load(self) -> None:
        """Load the nets; raises WeightsError."""
        from rtsep.weights.shared_nets import shared_nets
        from rtsep_kernels.precision import PRECISIONS

        if not self._nets:
            precision = next(known for known in PRECISIONS if known == self._precision)
            self._nets = shared_nets(self._model, self._progress, precision).nets

    def warm_up(self) -> None:
        """Load the nets and run them once, on silence; raises WeightsError.

        What is done for the first time, most of all finding the compiled kernels, takes ten times as
        long as the shortest window.
        """
        from rtsep.dsp.stft import find_kernels
        from rtsep.dsp.windows import hann_pair

        with ThreadPoolExecutor(1) as pool:
            loading = pool.submit(self.load)  # reads and checks files, mostly
            find_kernels(hann_pair(FRAME_LENGTH, HOP), NET_CHANNELS)
            loading.result()
        separator = self._separator(window_sizes(self._model)[0])
        separator.push(np.zeros((separator.samples_per_segment, NET_CHANNELS), np.float32))

    def make(self, order: PieceOrder) -> None:
        """See MakesPieces."""
        self.load()
        decoded, store = self._files(order)
        separator = self._separator(order.frames)
        separator.begin()
        outputs = separator.push(decoded.read(order.window_begin, order.samples_in))
        kept = slice(order.begin - order.window_begin, order.end - order.window_begin)
        block = np.stack([outputs[stem][kept] for stem in self._model.stems], axis=1)
        write_joined(store, order.begin, block, order.gap)

    def close(self) -> None:
        """See MakesPieces."""
        for separator in self._separators.values():
            separator.close()
        self._separators.clear()
        for file in (self._decoded, self._store):
            if file is not None:
                file.close()

    def _files(self, order: PieceOrder) -> tuple[PcmFile, PcmFile]:
        if self._decoded is None or self._store is None or self._paths != (
            order.decoded, order.store,
        ):  # fmt: skip
            for file in (self._decoded, self._store):
                if file is not None:
                    file.close()
            self._paths = order.decoded, order.store
            self._decoded = PcmFile(Path(order.decoded), NET_CHANNELS)
            self._store = PcmFile(Path(order.store), NET_CHANNELS * len(self._model.stems))
        return self._decoded, self._store

    def _separator(self, frames: int) -> SegmentSeparator:
        if frames not in self._separators:
            from rtsep.dsp.fft_wisdom import remembered_plans
            from rtsep.offline.segments import SegmentSeparator

            outputs = {stem: (stem,) for stem in self._model.stems}
            with remembered_plans():
                self._separators[frames] = SegmentSeparator(
                    self._model, self._nets, outputs, self._extension, frames, self._jobs, False
                )
        return self._separators[frames]
