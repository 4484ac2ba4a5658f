"""rtsep separates music into stems, while it plays or from files.

    import rtsep
    stems = rtsep.separate(audio, sample_rate=44_100)

    with rtsep.LiveSeparator("spleeter:2stems", latency="low", sample_rate=48_000) as live:
        out = live.process(block)

The names below are loaded when they are first used, so that `import rtsep` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtsep.errors import RtsepError, UsageError
    from rtsep.files.reader import AudioReader
    from rtsep.files.writer import StemWriter
    from rtsep.live.live_separator import LiveSeparator
    from rtsep.offline.separate_file import separate_file
    from rtsep.offline.separator import Separator, separate
    from rtsep.offline.stream_separator import StreamSeparator

__version__ = "0.2.0"
__all__ = [
    "AudioReader",
    "LiveSeparator",
    "RtsepError",
    "Separator",
    "StemWriter",
    "StreamSeparator",
    "UsageError",
    "__version__",
    "separate",
    "separate_file",
]

_HOMES = {
    "AudioReader": "rtsep.files.reader",
    "LiveSeparator": "rtsep.live.live_separator",
    "Separator": "rtsep.offline.separator",
    "StemWriter": "rtsep.files.writer",
    "separate": "rtsep.offline.separator",
    "separate_file": "rtsep.offline.separate_file",
    "StreamSeparator": "rtsep.offline.stream_separator",
    "RtsepError": "rtsep.errors",
    "UsageError": "rtsep.errors",
}


if not TYPE_CHECKING:  # type checkers have the imports above, and would take any name for known

    def __getattr__(name: str) -> Any:
        if name in _HOMES:
            from importlib import import_module

            return getattr(import_module(_HOMES[name]), name)
        raise AttributeError(f"module 'rtsep' has no attribute {name!r}")
