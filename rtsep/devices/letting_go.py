"""What a sound system is asked to release, on a thread of its own: it may never answer."""

from __future__ import annotations

import threading
from collections.abc import Callable

# Longest that is waited for it: devices' buffers, generously.
CLOSE_S = 3.0


class LettingGo:
    """One release. For one thread."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def has_come_of(self, release: Callable[[], object]) -> bool:
        """Whether `release`, called the first time, has come back: then within CLOSE_S, later by now."""
        if self._thread is None:
            self._thread = threading.Thread(target=release, name="rtsep closing", daemon=True)
            self._thread.start()
            self._thread.join(CLOSE_S)
        return not self._thread.is_alive()
