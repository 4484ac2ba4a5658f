"""The errors rtsep raises on purpose: one line each, ready to be shown to a person.

Every message names the thing, the value that was found and the remedy. The command-line
programs print it after `error: ` and exit with `exit_status`; nothing here carries a traceback
to the user.
"""


class RtsepError(Exception):
    """Something failed while working (exit status 1)."""

    exit_status = 1


class UsageError(RtsepError):
    """An option or argument is impossible (exit status 2)."""

    exit_status = 2


class AudioFileError(RtsepError):
    """A file is missing, empty, truncated, no audio, or cannot be written."""


class WeightsError(RtsepError):
    """Weights are missing, altered, cut short or of the wrong shape."""


class TrainingError(RtsepError):
    """A training cannot begin or go on."""


class MissingLibraryError(RtsepError):
    """A system library such as PortAudio is not installed."""


def one_line(reason: object) -> str:
    """What an exception, or its reason, says on one line; the name of its class if it says nothing."""
    return " ".join(str(reason).split()) or type(reason).__name__
