"""A kind of network that computes all stems at once: Spleeter's nets of a model, in one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rtsep.nets.kinds import KINDS
from rtsep.nets.registry import UNET
from rtsep.nets.whole_window import WholeWindowState

TOGETHER = "together"


@dataclass
class UNetsTogether:
    """The net: its config is of kind TOGETHER."""

    config: object
    nets: list
    precision: str = "f32"


class TogetherState:
    """Its buffers: those of one net, which runs after the other."""

    def __init__(self, config, frames, precision):
        self._state = KINDS[UNET].state(config, frames, precision)
        self.nbytes = self._state.nbytes

    def run(self, net, magnitudes, masks):
        """masks: (stems, T, 2, F)."""
        for of_stem, one in zip(masks, net.nets, strict=True):
            self._state.run(one, magnitudes, of_stem)


def two_unets_together(config, nets, monkeypatch):
    """A model of the kind TOGETHER, which is known from then on, and its net."""
    kind = replace(
        KINDS[UNET],
        name=TOGETHER,
        together=True,
        keeps_rows=False,
        state=TogetherState,
        live_state=lambda config, window, precision: WholeWindowState(
            window, TogetherState(config, window.frames, precision)
        ),
    )
    monkeypatch.setitem(KINDS, TOGETHER, kind)
    together = replace(config, kind=TOGETHER)
    return together, UNetsTogether(together, nets)
