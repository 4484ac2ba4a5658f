"""A separator for many recordings in a row: what it computes with is kept from one to the next.

A stream's buffers are some 100 MB that the system has to hand out, and FFTs that are planned: more work
than half a second of sound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from rtsep.batch.settings import BatchSettings
from rtsep.dsp.channels import NET_CHANNELS
from rtsep.dsp.fft_wisdom import remembered_plans
from rtsep.nets.kind import Net
from rtsep.nets.kinds import kind_of
from rtsep.nets.registry import ModelConfig
from rtsep.offline.segments import SegmentSeparator
from rtsep.offline.separator import Separator


class WarmSeparator(Separator):
    """A Separator with shared nets that keeps the segments of a stream for the next one.

    One stream at a time has those that are kept; others make theirs.
    """

    def __init__(self, settings: BatchSettings):
        super().__init__(
            settings.model,
            stems=settings.stems,
            mask_extension=settings.mask_extension,
            jobs=settings.jobs,
            auto_level=settings.auto_level,
            precision=settings.precision,
            shared=True,
        )
        self._kept: dict[tuple[str, ...], _KeptSegments] = {}

    def warm_up(self) -> None:
        """Run every kernel once, so that they are compiled, or loaded, before the first recording."""
        with self.stream() as stream:
            stream.push(np.zeros((1, NET_CHANNELS), np.float32))
            stream.flush()

    def _segments(self, masked: Mapping[str, Sequence[str]]) -> SegmentSeparator:
        key = tuple(masked)
        kept = self._kept.pop(key, None)
        if kept is None:
            with remembered_plans():
                kept = _KeptSegments(
                    self.model,
                    self._nets,
                    masked,
                    self._extension,
                    self.jobs,
                    self.auto_level,
                    lambda segments: self._kept.update({key: segments}),
                )
        return kept

    def close(self) -> None:
        """End the threads of what is kept."""
        while self._kept:
            self._kept.popitem()[1].end()


class _KeptSegments(SegmentSeparator):
    """Segments that are handed back where others are thrown away.

    hand_back: called when a stream has been closed.
    """

    def __init__(
        self,
        config: ModelConfig,
        nets: Sequence[Net],
        outputs: Mapping[str, Sequence[str]],
        extension: int,
        jobs: int,
        auto_level: bool,
        hand_back: Callable[[_KeptSegments], None],
    ):
        frames = kind_of(config).frames
        super().__init__(config, nets, outputs, extension, frames, jobs, auto_level)
        self._hand_back = hand_back

    def close(self) -> None:
        """Be ready for another stream."""
        self.begin()
        self._hand_back(self)

    def end(self) -> None:
        """End the worker threads."""
        super().close()
