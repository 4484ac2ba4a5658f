"""What a file is found to hold that a person should know of: damage, and what was made of it.

A remark is a clause that goes after the file's name. Damage is what a strict reader refuses; the
others tell how an intact file was read.
"""

from __future__ import annotations

from dataclasses import dataclass

# A file that is damaged all over is told by its first places and their number.
MOST_OF_DAMAGE = 5


@dataclass(frozen=True)
class Remark:
    """One thing found. text: a clause such as ``has 2 audio tracks: number 1 is taken``."""

    text: str
    damage: bool

    def __str__(self) -> str:
        return self.text


class Remarks:
    """The remarks on one file, in the order in which they were found."""

    def __init__(self) -> None:
        self._kept: list[Remark] = []
        self._damaged_places = 0

    def note(self, text: str) -> None:
        """Add how something was read that is no damage."""
        self._kept.append(Remark(text, False))

    def damage(self, text: str) -> None:
        """Add a place where something is missing or wrong."""
        self._damaged_places += 1
        if self._damaged_places <= MOST_OF_DAMAGE:
            self._kept.append(Remark(text, True))

    @property
    def first_damage(self) -> str | None:
        """The first damage, or None."""
        return next((remark.text for remark in self._kept if remark.damage), None)

    def all(self) -> list[Remark]:
        """Every remark; of damage in many places the first ones, and how many more there are."""
        more = self._damaged_places - MOST_OF_DAMAGE
        tail = [Remark(f"is damaged in {more} more places", True)] if more > 0 else []
        return self._kept + tail
