"""The training itself: steps, evaluations, checkpoints, and what ends it.

    batch -> spectra -> nets -> masks -> loss -> gradients -> Adam -> (moving average)
    every so many steps: SDR of the songs held out -> log -> model, if it is the best -> checkpoint

Between two steps everything is consistent; a step itself is not interrupted.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from rtsep.errors import TrainingError, UsageError
from rtsep.system.signals import shielded
from rtsep.training.checkpoint import (
    Checkpoint,
    checkpoint_path,
    read_checkpoint,
    write_checkpoint,
)
from rtsep.training.evaluation import evaluate, windows_of
from rtsep.training.examples import Example, ExampleMaker
from rtsep.training.export import UNKNOWN, write_model
from rtsep.training.log import Log
from rtsep.training.losses import loss_named, spectra
from rtsep.training.recipe import Recipe
from rtsep.training.song_cache import Song
from rtsep.training.torch_nets import Nets
from rtsep.training.warm_start import take_over
from rtsep.weights.download import ByteProgress

# Steps from which the time of all of them is foretold, after the first, which warms up.
TIMED_STEPS = 4


class Watcher(Protocol):
    """Is told how the training goes."""

    def foretold(self, step_s: float, evaluation_s: float, left_s: float) -> None:
        """How long a step and an evaluation take, and how long it will take until the last one."""
        ...

    def stepped(self, step: int, loss: float) -> None:
        """A step is done."""
        ...

    def evaluated(
        self, step: int, loss: float, sdr_db: dict[str, float], best: bool, left_s: float
    ) -> None:
        """The mean loss since the last evaluation, and the SDR of each stem.

        best: of all so far.  left_s: how long it will still take, at the pace of this session.
        """
        ...


def find_device(name: str) -> torch.device:
    """The device called so, ``auto`` being CUDA's where there is one.

    Raises UsageError where it is not there.
    """
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise UsageError(
            "torch finds no CUDA device here: train on the cpu, or install a build of torch with CUDA,"
            " and the driver"
        )
    return torch.device("cuda" if name != "cpu" and there else "cpu")


class Trainer:
    """One training, in the folder `run`.

    songs, held_out: see song_cache.py; without songs held out the latest model is kept, else the best.
    """

    def __init__(
        self,
        recipe: Recipe,
        run: Path,
        songs: Sequence[Song],
        held_out: Sequence[Song],
        device: torch.device,
        progress: ByteProgress | None = None,
    ):
        self._recipe, self._run, self._device = recipe, run, device
        self._songs, self._held_out = songs, held_out
        config = recipe.config("own")
        self.nets = Nets(config, recipe.dropout, recipe.seed)
        self._licences = (UNKNOWN, UNKNOWN)
        if recipe.sources:
            self._licences = take_over(self.nets, recipe, progress)
        for index in range(len(self.nets)):
            for name in recipe.frozen:
                self.nets[index].freeze(name)
        self.nets.to(device, memory_format=torch.channels_last)
        self._average = copy.deepcopy(self.nets) if recipe.average else None
        trained = [weight for weight in self.nets.parameters() if weight.requires_grad]
        if not trained:
            raise UsageError("all layers are frozen: nothing is left to train")
        # Its other numbers are TensorFlow's, too. Fused, a step takes a fifth of the time.
        self._optimiser = torch.optim.Adam(trained, recipe.learning_rate, fused=True)
        self._loss = loss_named(recipe.loss)
        self.step = 0
        self._best: float | None = None
        self._best_step = 0
        self._worse = 0
        torch.manual_seed(recipe.seed)

    @property
    def kept_nets(self) -> Nets:
        """The nets that are evaluated and kept: the moving average, where there is one."""
        return self.nets if self._average is None else self._average

    def resume(self) -> None:
        """Go on from the checkpoint in the folder; raises UsageError, TrainingError."""
        state = read_checkpoint(self._run, self._recipe)
        try:
            self.nets.load_state_dict(state.nets)
            if self._average is not None and state.average is not None:
                self._average.load_state_dict(state.average)
            self._optimiser.load_state_dict(state.optimiser)
            torch.set_rng_state(state.random)
        except (RuntimeError, KeyError, ValueError, TypeError) as error:
            raise TrainingError(
                f"{checkpoint_path(self._run)} does not fit its own recipe: begin anew"
            ) from error
        self.step, self._best = state.step, state.best
        self._best_step, self._worse = state.best_step, state.worse

    def train(self, watcher: Watcher) -> None:
        """Train to the recipe's last step, or until it has got no better for long enough.

        Raises TrainingError where the loss is no number or the disk is full. However it ends, the
        newest good checkpoint is in the folder.
        """
        log = Log(self._run, self._recipe.names, self.step)
        first_step, session_begun = self.step, time.monotonic()
        begun = session_begun - log.seconds
        losses: list[float] = []
        batches = ExampleMaker(self._recipe, self._songs).batches(self.step)
        durations: list[float] = []
        try:
            while self.step < self._recipe.steps and not self._is_over:
                batch = next(batches)
                started = time.monotonic()
                with shielded():
                    losses.append(self._one_step(batch))
                durations.append(time.monotonic() - started)
                watcher.stepped(self.step, losses[-1])
                if len(durations) == TIMED_STEPS:
                    self._foretell(durations, watcher)
                if self.step % self._recipe.every == 0 or self.step == self._recipe.steps:
                    loss, losses = float(np.mean(losses)), []
                    sdr_db, best = self._evaluate(loss, time.monotonic() - begun, log)
                    pace_s = (time.monotonic() - session_begun) / (self.step - first_step)
                    left_s = pace_s * (self._recipe.steps - self.step)
                    watcher.evaluated(self.step, loss, sdr_db, best, left_s)
                    log.draw(f"{self._run.resolve().name}: {', '.join(self._recipe.names)}")
        except KeyboardInterrupt:
            with shielded():
                self.save()
            raise
        finally:
            batches.close()

    @property
    def _is_over(self) -> bool:
        return 0 < self._recipe.patience <= self._worse

    def _one_step(self, batch: Example) -> float:
        recipe = self._recipe
        self.nets.train()
        for index in range(len(self.nets)):
            self.nets[index].set_step(self.step)
        mixture = spectra(torch.from_numpy(batch.mixture).to(self._device), recipe.bins)
        stems = spectra(torch.from_numpy(batch.stems).to(self._device), recipe.bins)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=recipe.mixed_precision):
            masks = self.nets(mixture.abs())
        loss = self._loss(masks.float(), mixture, stems)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        value = loss.item()
        if not math.isfinite(value):
            kept = "; the checkpoint before is kept" if checkpoint_path(self._run).exists() else ""
            raise TrainingError(
                f"the loss of step {self.step + 1} is {value}: lower the learning rate{kept}"
            )
        self._optimiser.step()
        if self._average is not None:
            self._move_average(self._average)
        self.step += 1
        return value

    def _move_average(self, average: Nets) -> None:
        # At first the mean of what there is: the decay proper would remember random weights for long.
        decay = min(self._recipe.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for old, new in zip(average.parameters(), self.nets.parameters()):
                old.lerp_(new, 1 - decay)
            for old, new in zip(average.buffers(), self.nets.buffers()):
                old.copy_(new)

    def _foretell(self, durations: Sequence[float], watcher: Watcher) -> None:
        step_s = float(np.median(durations[1:]))
        # A forward pass takes a third of a step; an evaluation is made of forward passes.
        windows = sum(windows_of(song, self._recipe) for song in self._held_out)
        evaluation_s = windows * step_s / 3 / self._recipe.batch
        left = self._recipe.steps - self.step
        evaluations = math.ceil(left / self._recipe.every)
        watcher.foretold(step_s, evaluation_s, left * step_s + evaluations * evaluation_s)

    def _evaluate(self, loss: float, seconds: float, log: Log) -> tuple[dict[str, float], bool]:
        """Judge, log and keep; returns the SDR of each stem, and whether it is the best so far."""
        self._check_weights()
        sdr_db = evaluate(self.kept_nets, self._recipe, self._held_out, self._device)
        mean = float(np.mean(list(sdr_db.values()))) if sdr_db else None
        best = mean is None or self._best is None or mean > self._best
        with shielded():
            if best:
                self._best, self._best_step, self._worse = mean, self.step, 0
                write_model(
                    self._run, self._recipe, self.kept_nets, self._in_words(sdr_db), self._licences
                )
            else:
                self._worse += 1
            log.add(self.step, seconds, loss, sdr_db)
            self.save()
        return sdr_db, best

    def save(self) -> None:
        """Write the checkpoint; raises TrainingError."""
        self._check_weights()
        state = Checkpoint(
            self.step,
            self.nets.state_dict(),
            None if self._average is None else self._average.state_dict(),
            self._optimiser.state_dict(),
            torch.get_rng_state(),
            self._best,
            self._best_step,
            self._worse,
        )
        write_checkpoint(self._run, self._recipe, state)

    def _check_weights(self) -> None:
        """Nothing that is no number goes into a checkpoint: an infinite gradient shows a step later."""
        for name, tensor in self.nets.state_dict().items():
            if tensor.is_floating_point() and not tensor.isfinite().all():
                raise TrainingError(
                    f"after step {self.step} {name} is no number: lower the learning rate; the"
                    " checkpoint before is kept"
                )

    def _in_words(self, sdr_db: dict[str, float]) -> str:
        figures = ", ".join(f"{stem} {value:.1f} dB" for stem, value in sdr_db.items())
        held_out = f", on {len(self._held_out)} held out: {figures}" if figures else ""
        return f"{self.step} steps on {len(self._songs)} songs{held_out}"
