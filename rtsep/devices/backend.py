"""What a way to the sound has to offer: find the ends that were meant, and open a stream on them.

A DeviceSession knows no more of devices than this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from rtsep.devices.audio_stream import AudioStream, Process


@dataclass(frozen=True)
class Ends:
    """Where the sound comes from and where it goes.

    Parameters
    ----------
    input_name, output_name : str
        As the person knows them.
    input_rate, output_rate : int
        Samples per second; the engine runs on the output's clock, at `output_rate`.
    channels_in, channels_out : int
        Channels of a block taken, and of a block given.
    """

    input_name: str
    output_name: str
    input_rate: int
    output_rate: int
    channels_in: int
    channels_out: int


@dataclass(frozen=True)
class Output:
    """Where the sound goes of a program that only plays.

    name: as the person knows it. rate: samples per second. channels: of a block given.
    """

    name: str
    rate: int
    channels: int


# Those that there are: the system's devices, a client of the graph, streams of PulseAudio.
PORTAUDIO, JACK, PULSE = BACKENDS = ("portaudio", "jack", "pulse")

EndsT = TypeVar("EndsT", bound=Ends)
OutputT = TypeVar("OutputT", bound=Output)


class Backend(Protocol[EndsT]):
    """A sound system, with what was asked for of it."""

    def find(self, before: Ends | None = None) -> EndsT:
        """Find the ends that were asked for.

        Parameters
        ----------
        before : Ends, optional
            Those that were lost: others in their place are no return.

        Raises
        ------
        RtsepError
            Where they are not there (yet).
        UsageError
            Where they cannot be meant, or do not take the format.
        """
        ...

    def open(
        self, ends: EndsT, process: Process, on_xruns: Callable[[object], None]
    ) -> AudioStream:
        """A stream on what `find` has found; raises RtsepError where it cannot be opened."""
        ...


class PlaybackBackend(Protocol[OutputT]):
    """A sound system for a program that only plays."""

    def find(self, before: Output | None = None) -> OutputT:
        """Find the output that was asked for.

        before: the one that was lost; it is looked for with the same rate. Raises as Backend.find.
        """
        ...

    def open(
        self, output: OutputT, process: Process, on_xruns: Callable[[object], None]
    ) -> AudioStream:
        """A stream on it, whose `process` gets silence; raises RtsepError where that fails."""
        ...
