"""Notes what a watched thread does in Python that an audio thread must not.

    imports, compilation, files, sockets   audit events, `__import__`, Numba's dispatcher
    locks                                  made of classes of this module, if installed first
    functions of other packages            the profiler, which also sees C functions such as `sleep`
    the garbage collector                  its callbacks
    memory that is kept                    tracemalloc, of what was allocated within the thread's blocks

`install` comes before rtsep is imported, since locks are replaced where they are made.
"""

from __future__ import annotations

import builtins
import gc
import sys
import threading
import traceback
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Packages whose Python functions the audio thread may call. Code that is in no file: NumPy's, and that
# of named tuples.
PACKAGES = ("rtsep", "rtsep_kernels", "numpy", "sounddevice", "jack", "soxr")
IN_NO_FILE = ("<__array_function__ internals>", "<string>")
# C functions that it must not call, by module; locks are seen by their own classes.
FORBIDDEN_MODULES = ("posix", "io", "_io", "_imp", "gc", "marshal", "select", "_socket", "_signal")
FORBIDDEN_FUNCTIONS = {"print", "open", "input", "exec", "eval", "compile", "sleep", "acquire"}
# Audit events that are no more than a look at an object.
HARMLESS_EVENTS = ("object.", "sys.setprofile", "sys._getframe")
# What it does all the same, by file and function, and why.
ALLOWED = {
    ("exchange.py", "wait_for"): "a plan without compute delay waits for its masks",
    ("audio_guard.py", "__call__"): "a thread that polls without rest is made to sleep",
    ("scheduling.py", "is_real_time"): "and its priority is looked at before",
    ("__init__.py", "resample_chunk"): "soxr, in C++, asks for NumPy, which is there",
}
# Then a path is not looked at any more: a compilation calls a million functions.
MOST_NOTED = 20
DEPTH = 20  # frames of Python, from what a sound system calls down to an allocation


class PythonWatch:
    """Watches the threads that are within `watched`.

    Attributes
    ----------
    path : str
        Which one the watched thread goes.
    found : dict of str to Counter of str
        By path what was seen, with the place, and how often.
    """

    def __init__(self) -> None:
        self.path = ""
        self.found: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._watched: set[int] = set()
        self._noting = self._listens = False
        self._places = tuple(_place(name) for name in PACKAGES if find_spec(name) is not None)
        self._own = str(Path(__file__).parent)
        self._noted = 0

    def install(self) -> None:
        """Replace locks and `__import__`, and listen to Python. Once in a process."""
        self._replace_locks()
        self._replace_import()
        sys.addaudithook(self._on_event)
        gc.callbacks.append(self._on_collection)

    def begin(self, path: str) -> None:
        """Watch calls on a path from now on, once all is imported."""
        if not self._listens:
            self._listens = True
            self._listen_to_numba()
        tracemalloc.stop()
        self.path, self._noted = path, 0

    def follow_allocations(self) -> None:
        """Watch allocations from now on, and no calls: Numba allocates for a profiler."""
        tracemalloc.start(DEPTH)

    def _listen_to_numba(self) -> None:
        from numba.core.dispatcher import Dispatcher

        ask = Dispatcher._compile_for_args

        def compile_for_args(dispatcher: Any, *arguments: Any, **named: Any) -> Any:
            self.note(f"compiles {dispatcher.__name__}")
            return ask(dispatcher, *arguments, **named)

        Dispatcher._compile_for_args = compile_for_args

    def watched(self, call: Callable[..., object], *arguments: Any) -> None:
        """`call(*arguments)`, watched."""
        if tracemalloc.is_tracing():
            call(*arguments)
            return
        thread = threading.get_ident()
        self._watched.add(thread)
        sys.setprofile(self._on_call)
        try:
            call(*arguments)
        finally:
            sys.setprofile(None)
            self._watched.discard(thread)

    def allocations(self) -> Counter[str]:
        """How many there are, by line, that were made within `watched` and are still kept."""
        kept: Counter[str] = Counter()
        if tracemalloc.is_tracing():
            for trace in tracemalloc.take_snapshot().traces:
                line = trace.traceback[-1]
                own = line.filename in (__file__, tracemalloc.__file__)
                if not own and any(frame.filename == __file__ for frame in trace.traceback):
                    kept[f"{Path(line.filename).name}:{line.lineno}"] += 1
        return kept

    def note(self, what: str) -> None:
        """Note `what` the calling thread does, if it is watched."""
        if self._noting or threading.get_ident() not in self._watched:
            return
        self._noting = True  # what follows is ours
        sys.setprofile(None)
        self._noted += 1
        places = [
            frame
            for frame in traceback.extract_stack()
            if frame.filename.startswith((*self._places, self._own)) and frame.filename != __file__
        ]
        place = Path(places[-1].filename).name
        if (place, places[-1].name) not in ALLOWED:
            self.found[self.path][f"{what} ({place}:{places[-1].lineno})"] += 1
        self._noting = False
        if self._noted < MOST_NOTED:
            sys.setprofile(self._on_call)

    # --- what is heard ------------------------------------------------------------------------------

    def _on_call(self, frame: Any, event: str, argument: Any) -> None:
        if event == "call":
            file = frame.f_code.co_filename
            if file not in IN_NO_FILE and not file.startswith((*self._places, self._own)):
                self.note(f"calls {frame.f_code.co_name} of {file}")
        elif event == "c_call":
            module, name = getattr(argument, "__module__", None), argument.__name__
            if module in FORBIDDEN_MODULES or name in FORBIDDEN_FUNCTIONS:
                self.note(f"calls {name}")

    def _on_event(self, event: str, _arguments: Any) -> None:
        if self._watched and not event.startswith(HARMLESS_EVENTS):
            self.note(f"event {event}")

    def _on_collection(self, phase: str, information: dict[str, int]) -> None:
        # The youngest are some hundred objects, gone through in some ten microseconds, in whichever
        # thread the count of all threads' allocations comes to it. tracemalloc sees what is kept.
        if phase == "start" and information["generation"] > 0:
            self.note(f"collects garbage of generation {information['generation']}")

    def _replace_import(self) -> None:
        ask = builtins.__import__

        def import_(name: str, *arguments: Any, **named: Any) -> Any:
            self.note(f"imports {name}")
            return ask(name, *arguments, **named)

        builtins.__import__ = import_

    def _replace_locks(self) -> None:
        note = self.note

        class Lock:
            """A lock that notes who takes it."""

            make = staticmethod(threading.Lock)

            def __init__(self) -> None:
                self._lock = self.make()

            def acquire(self, *arguments: Any, **named: Any) -> bool:
                note("takes a lock")
                return self._lock.acquire(*arguments, **named)

            def __enter__(self) -> bool:
                return self.acquire()

            def __exit__(self, *_exception: object) -> None:
                self._lock.release()

            def __getattr__(self, name: str) -> Any:
                return getattr(self._lock, name)

        class ReentrantLock(Lock):
            make = staticmethod(threading.RLock)

        threading.Lock = threading._allocate_lock = Lock  # type: ignore[attr-defined]
        threading.RLock = ReentrantLock  # type: ignore[misc, assignment]


def _place(package: str) -> str:
    """The folder, or the file, of a package."""
    spec = find_spec(package)
    assert spec is not None and spec.origin is not None
    file = Path(spec.origin)
    return str(file.parent if file.name == "__init__.py" else file)
