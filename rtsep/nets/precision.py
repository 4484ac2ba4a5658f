"""Which precision a program's nets run in: what was asked for, or what its sound wants.

Paced sound is as fast as it can be, everything else as exact as it can be, unless asked otherwise.
"""

from __future__ import annotations

import os

from rtsep.errors import UsageError
from rtsep.nets.kinds import kind_of
from rtsep.nets.registry import ModelConfig
from rtsep_kernels.precision import (
    AUTO,
    PRECISIONS,
    ChosenPrecision,
    Precision,
    choose_precision,
)

VARIABLE = "RTSEP_PRECISION"
EXACT: Precision = "f32"


def check_precision_name(name: str | None) -> None:
    """Raise UsageError where `name` is neither a precision nor None."""
    _checked("precision", name)


def find_precision(
    asked: str | None, *, paced: bool, config: ModelConfig | None = None
) -> ChosenPrecision:
    """The precision to run in, and why.

    Parameters
    ----------
    asked : str or None
        One of PRECISIONS; None for what the variable RTSEP_PRECISION says, and without it ``auto``
        where `paced`, else ``f32``.
    paced : bool
        Whether the sound waits for no net.
    config : ModelConfig, optional
        The model, where its nets may not know every precision.

    Raises
    ------
    UsageError
        For a name that is none, and where the nets, the kernels or the processor do not have what was
        asked for.
    """
    origin, name = "precision", asked
    if name is None:
        origin, name = VARIABLE, os.environ.get(VARIABLE) or None
    _checked(origin, name)
    if config is not None and set(known := kind_of(config).precisions) != set(PRECISIONS) - {AUTO}:
        if name in (None, AUTO):
            return ChosenPrecision(known[0], f"which the nets of {config.name} are computed in")
        if name not in known:
            raise UsageError(
                f"{origin} {name}: the nets of {config.name} are computed in {', '.join(known)} only:"
                f" choose {known[0]}, or leave it out"
            )
    if name is None and not paced:
        return ChosenPrecision(EXACT, "exact, as nothing is paced")
    try:
        return choose_precision(name or AUTO)
    except ValueError as error:
        raise UsageError(f"{origin} {name}: {error}") from None


def _checked(origin: str, name: str | None) -> None:
    if name is not None and name not in PRECISIONS:
        raise UsageError(f"{origin} must be one of {', '.join(PRECISIONS)}: got {name!r}")
