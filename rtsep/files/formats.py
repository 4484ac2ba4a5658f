"""The formats in which stems can be written, as data, and what each of them can hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtsep.errors import UsageError

DEFAULT_FORMAT = "wav"

BIT_DEPTHS = ("16", "24", "float")

_PCM = {"16": "PCM_16", "24": "PCM_24"}
_PCM_AND_FLOAT = {**_PCM, "float": "FLOAT"}


@dataclass(frozen=True)
class OutputFormat:
    """How libsndfile is to write one format.

    Parameters
    ----------
    name : str
        What callers and programs call it; also the file name's extension.
    container : str
        Its name in libsndfile.
    encodings : dict of str to str
        The encoding's name in libsndfile for each possible bit depth; the first is the default, the last
        loses least. For a lossy format the only key is "".
    sample_rates : tuple of int
        Those the format can hold, in Hz, ascending; empty if it can hold any.
    options : tuple of (str, object)
        Further arguments of `soundfile.SoundFile`, for the quality of lossy formats.
    bytes_max : int or None
        Length of the longest file.
    """

    name: str
    container: str
    encodings: dict[str, str]
    sample_rates: tuple[int, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()
    bytes_max: int | None = None

    @property
    def lossy(self) -> bool:
        """Whether the format has no bit depth."""
        return "" in self.encodings

    def bit_depth(self, wanted: str | None) -> str:
        """Return the bit depth to use ("" for a lossy format); None asks for the default.

        Raises UsageError if the format cannot hold it.
        """
        if wanted is None:
            return next(iter(self.encodings))
        if wanted in self.encodings:
            return wanted
        if self.lossy:
            raise UsageError(f"{self.name} has no bit depth: ask for none instead of {wanted}")
        raise UsageError(
            f"{self.name} cannot hold bit depth {wanted}: choose {' or '.join(self.encodings)}"
        )

    @property
    def best_bit_depth(self) -> str:
        """The bit depth that loses least; "" for a lossy format."""
        return list(self.encodings)[-1]

    def stored_rate(self, sample_rate: int) -> int:
        """Return the sample rate to write for sound at `sample_rate`: that one, if possible.

        Else the next higher one that the format can hold, or its highest.
        """
        if not self.sample_rates:
            return sample_rate
        higher = [rate for rate in self.sample_rates if rate >= sample_rate]
        return higher[0] if higher else self.sample_rates[-1]


_MPEG_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
_LENGTH_IN_32_BITS = 2**32 - 1

# Lossy encoders at a quality where they are hardly told from the original, for stems are mixed and
# processed further: Vorbis quality 8 (about 256 kbit/s for stereo), Opus about 210, MP3 V0.
_ALL = (
    OutputFormat("wav", "WAV", _PCM_AND_FLOAT, bytes_max=_LENGTH_IN_32_BITS),
    OutputFormat("flac", "FLAC", _PCM),
    OutputFormat("ogg", "OGG", {"": "VORBIS"}, (), (("compression_level", 0.2),)),
    OutputFormat("opus", "OGG", {"": "OPUS"}, _OPUS_RATES, (("compression_level", 0.6),)),
    OutputFormat(
        "mp3", "MP3", {"": "MPEG_LAYER_III"}, _MPEG_RATES,
        (("compression_level", 0.0), ("bitrate_mode", "VARIABLE")),
    ),
    OutputFormat("aiff", "AIFF", _PCM_AND_FLOAT, bytes_max=_LENGTH_IN_32_BITS),
    OutputFormat("caf", "CAF", _PCM_AND_FLOAT),
    OutputFormat("w64", "W64", _PCM_AND_FLOAT),
    OutputFormat("rf64", "RF64", _PCM_AND_FLOAT),
    OutputFormat("au", "AU", _PCM_AND_FLOAT, bytes_max=_LENGTH_IN_32_BITS),
)  # fmt: skip

FORMATS: dict[str, OutputFormat] = {output.name: output for output in _ALL}

# Other extensions that these formats go by.
_ALIASES = {"wave": "wav", "aif": "aiff", "oga": "ogg", "snd": "au"}


def format_of(path: Path) -> OutputFormat:
    """Return the format that a file's extension stands for; raises UsageError as `find_format`."""
    extension = path.suffix.lower().lstrip(".")
    if _ALIASES.get(extension, extension) not in FORMATS:
        raise UsageError(
            f"{path} has the extension of no known format: use one of .{', .'.join(FORMATS)}"
        )
    return find_format(_ALIASES.get(extension, extension))


def find_format(name: str) -> OutputFormat:
    """Return the format called `name`, in whatever case; raises UsageError naming the known ones.

    Raises UsageError too if the installed libsndfile cannot write it.
    """
    output = FORMATS.get(name.lower().lstrip("."))
    if output is None:
        raise UsageError(f"unknown format {name!r}: choose one of {', '.join(FORMATS)}")
    import soundfile  # here, because it is slow to import

    encodings = soundfile.available_subtypes(output.container)
    if any(encoding not in encodings for encoding in output.encodings.values()):
        raise UsageError(
            f"the installed libsndfile {soundfile.__libsndfile_version__} cannot write"
            f" {output.name}: choose another format, or install libsndfile 1.1 or later"
        )
    return output
