"""What a kind of network leaves open: how wide, how deep; a few whole numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

Self = TypeVar("Self", bound="Structure")


@dataclass(frozen=True)
class Structure:
    """Base of the kinds' structures: frozen dataclasses of whole numbers and tuples of them.

    All have defaults, and raise ValueError where their numbers do not fit together.
    """

    @classmethod
    def of(cls: type[Self], structure: Structure | None) -> Self:
        """`structure`, of a model of this kind; raises ValueError if it is another kind's, or none."""
        if not isinstance(structure, cls):
            raise ValueError(f"{structure!r} is no {cls.__name__}")
        return structure

    def as_json(self) -> dict[str, Any]:
        """As JSON has it; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls: type[Self], values: Mapping[str, Any]) -> Self:
        """The structure that `as_json` gave; raises ValueError or TypeError for anything else."""
        if not isinstance(values, Mapping):
            raise TypeError(f"{values!r} is no structure")
        return cls(**{name: _whole_numbers(value) for name, value in values.items()})


def _whole_numbers(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_whole_numbers(item) for item in value)
    if type(value) is not int:
        raise TypeError(f"{value!r} is no whole number")
    return value
