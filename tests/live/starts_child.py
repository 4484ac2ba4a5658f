"""Sessions one after another in one program: started, heard of, ended; and what it holds afterwards.

    python -m tests.live.starts_child STARTS OPTION ...

The options are rtsep-monitor's, of its devices. Prints as JSON what the program holds after SETTLING
starts and after all: memory in MB, threads, open files.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import time

from rtsep.cli.backends import make_backend
from rtsep.cli.monitor_arguments import build_parser
from rtsep.live.device_session import DeviceSession
from rtsep.live.engine_maker import EngineMaker
from rtsep.live.live_stream import LiveStream
from rtsep.live.session import SessionSettings
from rtsep_bench.memory import held_by

# What is loaded once.
SETTLING = 12
HOPS, PATIENCE_S = 3, 60.0


def main(starts: int, options: list[str]) -> None:
    """Start and end a session again and again."""
    args = build_parser().parse_args(options)
    make_engine = EngineMaker(SessionSettings(latency="64/1/1/1/asymmetric", masking="ratio"))
    held = []
    for number in range(1, starts + 1):
        backend, heard = make_backend(args, ())
        live = LiveStream(make_engine(), heard=heard)
        live.start()
        session = DeviceSession(live, backend, backend.find())
        session.start()
        ends_s = time.monotonic() + PATIENCE_S
        while live.engine.counters.hops < HOPS:
            session.tick(time.monotonic())
            if time.monotonic() > ends_s:
                sys.exit(f"no sound after start {number}")
            time.sleep(0.01)
        session.close()
        live.close()
        if number in (SETTLING, starts):
            del session, live, backend
            gc.collect()
            _give_back()
            held.append(held_by())
    print(json.dumps(held))


def _give_back() -> None:
    """Have malloc give back what it keeps for later: in 1000 starts its pieces come to 40 MB more."""
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):  # of the GNU C library
        libc.malloc_trim(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
