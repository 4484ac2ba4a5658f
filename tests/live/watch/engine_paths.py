"""A program whose audio thread goes every path of the callback, block by block, while it is watched.

    main thread:   changes something   says what is to be played    ...
    audio thread:                      blocks of one path, watched  waits

    python -m tests.live.watch.engine_paths HOW FOLDER

HOW: python (python_watch.py) or kernel (system_calls.py). FOLDER: for the trace and for recordings. The
last paths are broken on purpose, see violations.py. Prints what was seen as JSON.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from tests.live.watch import system_calls
from tests.live.watch.python_watch import PythonWatch

if TYPE_CHECKING:
    from rtsep.live.live_engine import LiveEngine
    from rtsep.live.live_stream import LiveStream
    from rtsep.live.plans.plan import StreamPlan

PYTHON, KERNEL = "python", "kernel"
# Of the paths that are broken.
BROKEN = "broken: "
RATE = 44_100
SIZES = (256, 64, 441, 1500)
# Few runs of the nets: what they cost is no matter here.
FIRST, LONGER = "64/4/4/4/asymmetric", "64/8/8/8/hann"


class Player:
    """An audio thread that plays when it is told to."""

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="audio", daemon=True)
        self._thread.start()
        self.native_id = self._thread.native_id

    def do(self, task: Callable[[], None]) -> None:
        """Have the audio thread do `task`, and wait."""
        self._tasks.put(task)
        failure = self._done.get()
        if failure is not None:
            raise failure

    def _work(self) -> None:
        while True:
            try:
                self._tasks.get()()
                self._done.put(None)
            except BaseException as error:
                self._done.put(error)


class Paths:
    """The paths, each of which is a row of blocks through a stream."""

    def __init__(self, how: str, folder: Path):
        self._python = PythonWatch()
        if how == PYTHON:
            self._python.install()
        from rtsep.nets.registry import find_model
        from rtsep.weights.load_nets import load_nets

        self._how, self._folder = how, folder
        self._config = find_model("spleeter:2stems")
        self._nets = load_nets(self._config)
        self._player = Player()
        self._sound = _noise()
        self.report: dict[str, Any] = {"kept": {}, "late_masks": {}}

    def go_all(self) -> None:
        """Go them all."""
        from rtsep.live.process_settings import live_process

        with live_process(), contextlib.ExitStack() as stack:
            if self._how == KERNEL:
                traced = system_calls.traced(self._folder / "trace", self._player.native_id)
                stack.enter_context(traced)
            self._controls_and_changes(stack)
            self._late(stack)
            self._recording(stack)
        self.report["found"] = self._python.found
        self.report["python_memory"] = system_calls.python_memory()

    # --- the paths --------------------------------------------------------------------------------

    def _controls_and_changes(self, stack: contextlib.ExitStack) -> None:
        from rtsep.cli.terminal.keys import handle_key
        from rtsep.control.mixing import MixCommands
        from rtsep.live.adaptive import AdaptiveEngine
        from rtsep.live.mixer import MixControls
        from rtsep.live.plans.notation import read_plan
        from tests.live.watch.violations import VIOLATIONS

        engine = AdaptiveEngine(self._engine, read_plan(FIRST), lambda line: None, watching=False)
        live = self._started(engine, stack)
        self._go("start", live, 30, sizes=(256,))
        self._go("ordinary blocks", live, 24, sizes=SIZES)
        controls = MixControls(engine, dict.fromkeys(engine.stems, 1.0))
        commands = MixCommands(controls, dict)
        for key in "ms+fb2sb":
            handle_key(key, commands, NoDisplay())
            controls.tick(0.0)
            self._go(f"key {key}", live, 12)
        self._sound[:3000:50, 0] = float("nan")
        self._go("bad samples", live, 12)
        engine.change_plan(read_plan(LONGER), "because")
        self._go("plan change", live, 20)
        for rate, before, behind in ((48_000, 2, 2), (44_100, 1, 1), (96_000, 1, 2)):
            live.connect(rate, before, behind)
            name = f"another device, {rate} Hz, {before} in, {behind} out"
            self._go(name, live, 30, sizes=(256, 441), rate=rate, channels=(before, behind))
        live.connect(RATE, 2, 2)
        for name, broken in VIOLATIONS.items():
            follow = name == "growth"
            self._go(f"{BROKEN}{name}", live, 12, follow=follow, process=broken(live.callback))
        live.close()

    def _late(self, stack: contextlib.ExitStack) -> None:
        from rtsep.live.plans.notation import read_plan

        for on_late in ("hold", "dry", "mute"):
            engine = self._engine(read_plan(FIRST), one_net=True, on_late=on_late)
            live = self._started(engine, stack)
            self._go(f"before late masks, {on_late}", live, 12)
            engine.stop()  # as where a worker is too slow: nothing comes of what is submitted
            self._go(f"late masks, {on_late}", live, 30, patient=False)
            live.close()
        live = self._started(self._engine(read_plan("64/1/1/0/asymmetric"), one_net=True), stack)
        self._go("no compute delay", live, 20)
        live.close()

    def _recording(self, stack: contextlib.ExitStack) -> None:
        from rtsep.live.device_adapter import MIX, MIX_AND_STEMS
        from rtsep.live.live_stream import LiveStream
        from rtsep.live.plans.notation import read_plan
        from rtsep.live.recorder import Recorder

        engine = self._engine(read_plan(FIRST), one_net=True, separate_stems=True)
        recorder = Recorder(self._folder / "takes", engine.stems)
        stack.callback(recorder.close)
        live = self._started(
            engine, stack, rate=48_000, channels_out=6, heard=MIX_AND_STEMS, recorder=recorder
        )
        self._go("recording", live, 30, rate=48_000, channels=(2, 6))
        recorder.close()
        live = LiveStream(engine, heard=MIX)
        live.connect(RATE, 2, 2)
        self._go("no longer recording", live, 30)

    # --- their blocks -----------------------------------------------------------------------------

    def _engine(self, plan: StreamPlan, *, one_net: bool = False, **options: Any) -> Any:
        from rtsep.live.engine import Engine

        nets, gains = self._nets, dict.fromkeys(self._config.stems, 1.0)
        if one_net:
            nets, options["independent"] = nets[:1], self._config.stems[:1]
        return Engine(self._config, nets, plan, gains, **options)

    def _started(
        self, engine: LiveEngine, stack: contextlib.ExitStack, *,
        rate: int = RATE, channels_out: int = 2, **options: Any,
    ) -> LiveStream:  # fmt: skip
        from rtsep.live.live_stream import LiveStream

        live = LiveStream(engine, **options)
        live.start()
        stack.callback(live.close)
        live.connect(rate, 2, channels_out)
        return live

    def _go(
        self, path: str, live: LiveStream, blocks: int, *, sizes: Sequence[int] = (1024,),
        rate: int = RATE, channels: tuple[int, int] = (2, 2), patient: bool = True,
        process: Callable[..., object] | None = None, follow: bool = True,
    ) -> None:  # fmt: skip
        """Play `blocks` blocks; patient: with every mask there.

        follow: also allocations. Counted are those of the last third that are kept, by line, where there
            are as many as blocks.
        """
        from rtsep.devices.audio_stream import AudioStream
        from rtsep.live.audio_guard import AudioGuard

        counters = live.engine.counters
        guard = AudioGuard(process or live.callback, rate)
        stream = AudioStream(guard, counters.count_xruns)
        late = counters.late_masks
        pairs = list(_blocks(self._sound, blocks, sizes, channels))
        third = blocks // 3
        if self._how == PYTHON:
            self._python.begin(path)
        self._play(path, stream, live, pairs[:third], patient)
        if self._how == PYTHON and follow:
            self._python.follow_allocations()
        self._play(path, stream, live, pairs[third : 2 * third], patient)
        kept = self._python.allocations()
        self._play(path, stream, live, pairs[2 * third :], patient)
        risen = self._python.allocations() - kept
        self.report["kept"][path] = {line: n for line, n in risen.items() if n >= third}
        self.report["late_masks"][path] = counters.late_masks - late
        stream.check()

    def _play(self, path: str, stream: Any, live: LiveStream, pairs: Any, patient: bool) -> None:
        watched = self._python.watched if self._how == PYTHON else system_calls.watched

        def play() -> None:
            system_calls.mark(path)
            for block, out in pairs:
                if patient:
                    live.engine.wait_for_workers()
                watched(stream._run, block, out)

        self._player.do(play)


class NoDisplay:
    """Where nothing is shown."""

    def toggle_freeze(self) -> None:
        """Nothing."""


def _noise() -> Any:
    import numpy as np

    noise = np.random.default_rng(1).standard_normal((RATE, 2))
    return (0.1 * noise).astype(np.float32)


def _blocks(
    sound: Any, count: int, sizes: Sequence[int], channels: tuple[int, int]
) -> Iterator[tuple[Any, Any]]:
    """Blocks of the sound, and arrays for what is given: touched, as a device's are."""
    import numpy as np

    for number in range(count):
        size = sizes[number % len(sizes)]
        at = number * 1024 % (len(sound) - size)
        block = np.ascontiguousarray(sound[at : at + size, : channels[0]])
        yield block, np.full((size, channels[1]), 1.0, np.float32)


def main(how: str, folder: Path) -> None:
    """Go all paths; see above."""
    paths = Paths(how, folder)
    paths.go_all()
    print(json.dumps(paths.report))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
