"""From what a decoder gives out to interleaved float32 of one rate and one number of channels.

Mono and stereo at the wanted rate are scaled here, by the same factors as FFmpeg's. More channels,
and a rate or number of channels that changes within the stream, go through libswresample.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtsep.files.source import NoSoundError

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

# Full scale of FFmpeg's sample formats; unsigned ones lie around theirs.
_FULL_SCALE = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31, "s64": 2.0**63, "flt": 1.0, "dbl": 1.0}
_STANDARD_LAYOUTS = {1: "mono", 2: "stereo"}


class FrameConverter:
    """Converts the frames of one stream.

    first: the frame that sets rate and channels; more than two channels are mixed down to stereo,
        with the gains normalised so that no mix can clip.

    Raises NoSoundError for an arrangement of channels that cannot be mixed down.
    """

    def __init__(self, first: AudioFrame):
        self.sample_rate = int(first.sample_rate)
        self.channels = min(2, int(first.layout.nb_channels))
        self._settings = settings_of(first)
        self._resampler = self._resampler_for(first)

    def convert(self, frame: AudioFrame) -> NDArray[np.float32]:
        """Return the samples of `frame`, and what was held back before; (samples, channels)."""
        if settings_of(frame) == self._settings:
            return self._converted(frame)
        rest = self.finish()
        self._settings = settings_of(frame)
        self._resampler = self._resampler_for(frame)
        return np.concatenate([rest, self._converted(frame)])

    def finish(self) -> NDArray[np.float32]:
        """Return what is held back at the end of the stream."""
        if self._resampler is None:
            return np.zeros((0, self.channels), np.float32)
        return self._resampler.push(None)

    def _converted(self, frame: AudioFrame) -> NDArray[np.float32]:
        if self._resampler is not None:
            return self._resampler.push(frame)
        samples = frame.to_ndarray()
        samples = samples.T if frame.format.is_planar else samples.reshape(-1, self.channels)
        name = frame.format.packed.name
        if name == "u8":
            samples = samples.astype(np.float32) - np.float32(128)
        scale = _FULL_SCALE[name]
        converted = samples.astype(np.float32, order="C")
        return converted if scale == 1 else converted * np.float32(1 / scale)

    def _resampler_for(self, frame: AudioFrame) -> _Resampler | None:
        rate, channels, name = settings_of(frame)
        standard = name in _FULL_SCALE or name[:-1] in _FULL_SCALE
        if (rate, channels) == (self.sample_rate, self.channels) and standard:
            return None
        return _Resampler(frame, self.sample_rate, self.channels)


def settings_of(frame: AudioFrame) -> tuple[int, int, str]:
    """Sample rate, number of channels and sample format of a frame."""
    return int(frame.sample_rate), int(frame.layout.nb_channels), frame.format.name


class _Resampler:
    """libswresample, from frames like `frame` to `rate` and `channels`."""

    def __init__(self, frame: AudioFrame, rate: int, channels: int):
        import av
        from av.filter import Graph

        self._channels = channels
        self._nothing_ready = (av.error.BlockingIOError, av.error.EOFError)
        source_channels = frame.layout.nb_channels
        self._graph = Graph()
        steps: list[Any] = [
            self._graph.add(
                "abuffer",
                sample_rate=str(frame.sample_rate),
                sample_fmt=frame.format.name,
                channel_layout=_STANDARD_LAYOUTS.get(source_channels, frame.layout.name),
                time_base=str(frame.time_base or f"1/{frame.sample_rate}"),
            ),
            self._graph.add("aresample", sample_rate=str(rate), rematrix_maxval="1.0"),
            self._graph.add(
                "aformat", sample_fmts="flt", sample_rates=str(rate),
                channel_layouts=_STANDARD_LAYOUTS[channels],
            ),
            self._graph.add("abuffersink"),
        ]  # fmt: skip
        for step, following in itertools.pairwise(steps):
            step.link_to(following)
        try:
            self._graph.configure()
        except av.FFmpegError as error:
            raise NoSoundError(
                f"has {source_channels} channels in no known arrangement: mix it down to stereo first"
            ) from error

    def push(self, frame: AudioFrame | None) -> NDArray[np.float32]:
        """Take a frame, or None at the end; return what is ready."""
        self._graph.push(frame)
        pieces: list[NDArray[Any]] = [np.zeros((0, self._channels), np.float32)]
        while True:
            try:
                converted = self._graph.pull()
            except self._nothing_ready:
                return np.concatenate(pieces)
            pieces.append(converted.to_ndarray().reshape(-1, self._channels))
