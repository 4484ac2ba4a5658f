"""How fast and how high a song is played, within the limits that a person may ask for."""

from __future__ import annotations

from dataclasses import dataclass

from rtsep.errors import UsageError

SLOWEST_PERCENT, FASTEST_PERCENT = 50.0, 150.0
MOST_SEMITONES = 6
MOST_CENTS = 100.0


@dataclass(frozen=True)
class Speed:
    """Tempo and pitch.

    Parameters
    ----------
    tempo_percent : float
        100 is the song's own; SLOWEST_PERCENT to FASTEST_PERCENT.
    key_semitones : int
        Up or down, MOST_SEMITONES at most.
    tuning_cents : float
        Added to the key, hundredths of a semitone; MOST_CENTS at most.

    Raises
    ------
    UsageError
        For a value out of these limits.
    """

    tempo_percent: float = 100.0
    key_semitones: int = 0
    tuning_cents: float = 0.0

    def __post_init__(self) -> None:
        if not SLOWEST_PERCENT <= self.tempo_percent <= FASTEST_PERCENT:
            raise UsageError(
                f"the tempo must be {SLOWEST_PERCENT:g} to {FASTEST_PERCENT:g} per cent:"
                f" got {self.tempo_percent:g}"
            )
        if self.key_semitones != int(self.key_semitones) or not (
            -MOST_SEMITONES <= self.key_semitones <= MOST_SEMITONES
        ):
            raise UsageError(
                f"the key must be a whole number of semitones, {-MOST_SEMITONES} to {MOST_SEMITONES}:"
                f" got {self.key_semitones:g}"
            )
        if not -MOST_CENTS <= self.tuning_cents <= MOST_CENTS:
            raise UsageError(
                f"the tuning must be {-MOST_CENTS:g} to {MOST_CENTS:g} cents: got {self.tuning_cents:g}"
            )

    @property
    def is_plain(self) -> bool:
        """Whether the song is played as it is."""
        return self == Speed()

    @property
    def time_ratio(self) -> float:
        """Length of what is heard over the length in the song."""
        return 100.0 / self.tempo_percent

    @property
    def pitch_scale(self) -> float:
        """Frequency of what is heard over the frequency in the song."""
        return float(2 ** ((self.key_semitones + self.tuning_cents / 100) / 12))
