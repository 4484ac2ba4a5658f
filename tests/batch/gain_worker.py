"""A worker process whose stems are the sound times a factor, in place of networks. See `with_gains`.

Files that are called so make it do what bad files do to workers: `crash` ends it, `hang` holds it up,
`grow` takes memory while it is separated and goes on, `leak` keeps memory after it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from tests.offline.gain_separator import GainSeparator

kept: list[np.ndarray] = []


class GainWarmSeparator(GainSeparator):
    """In the place of rtsep.batch.warm_separator.WarmSeparator."""

    why_not_shared = None

    def __init__(self, settings) -> None:
        super().__init__({stem: 0.5**n for n, stem in enumerate(settings.stems, 1)})

    def warm_up(self) -> None:
        pass


def _misbehave(name: str) -> None:
    if "crash" in name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "hang" in name:
        time.sleep(600)
    if "grow" in name:
        kept.append(np.ones(80_000_000))  # 640 MB
        time.sleep(600)
    if "leak" in name:
        kept.append(np.ones(40_000_000))


def main() -> int:
    """Run the real worker with the double."""
    from rtsep.batch import task, warm_separator, worker

    warm_separator.WarmSeparator = GainWarmSeparator  # type: ignore[misc]
    perform_really = task._separate

    def separate(what, *rest):
        pause_s = float(os.environ.get("GAIN_WORKER_PAUSE_S", "0"))
        time.sleep(pause_s)
        _misbehave(Path(what.source).name)
        return perform_really(what, *rest)

    task._separate = separate
    return worker.main()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(main())
