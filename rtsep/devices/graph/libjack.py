"""The JACK library: jackd's or PipeWire's. The only place that imports the package JACK-Client.

PipeWire has a libjack of its own, in a folder that no linker looks into: `pw-jack` exists to point
there. Here it is loaded by its full path if PipeWire is the server.
"""

from __future__ import annotations

import ctypes.util
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from rtsep.devices.route import PIPEWIRE
from rtsep.errors import MissingLibraryError, RtsepError

JACKD = "jackd"
NO_SERVER = (
    "no JACK server answers, and no PipeWire: start one (`jackd -d alsa`, or PipeWire with its session "
    "manager), or use --backend portaudio"
)
INSTALL = (
    "the JACK library is not installed: Debian/Ubuntu `apt install libjack-jackd2-0`, or beside "
    "PipeWire `apt install pipewire-jack`; Fedora `dnf install pipewire-jack-audio-connection-kit`"
)
# Where distributions put it, below any of the folders of libraries.
_LIBRARY_FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64")
_PIPEWIRE_LIBJACK = ("pipewire-*/jack/libjack.so.0", "*-linux-gnu*/pipewire-*/jack/libjack.so.0")
_JACKD_SOCKETS = Path("/dev/shm")

# What JACK-Client 0.5 does not wrap.
_DECLARATIONS = """
typedef struct _jack_client jack_client_t;
typedef struct _jack_port jack_port_t;
typedef struct { uint32_t min; uint32_t max; } jack_latency_range_t;
typedef void (*latency_callback)(int mode, void *arg);
typedef int (*process_callback)(uint32_t samples, void *arg);
int jack_set_process_callback(jack_client_t *client, process_callback callback, void *arg);
int jack_set_latency_callback(jack_client_t *client, latency_callback callback, void *arg);
void jack_port_get_latency_range(jack_port_t *port, int mode, jack_latency_range_t *range);
void jack_port_set_latency_range(jack_port_t *port, int mode, jack_latency_range_t *range);
int jack_recompute_total_latencies(jack_client_t *client);
void jack_set_error_function(void (*function)(const char *));
void jack_set_info_function(void (*function)(const char *));
"""


class LibJack(NamedTuple):
    """The library, loaded.

    module: JACK-Client. server: PIPEWIRE or JACKD. ffi, functions: what JACK-Client does not wrap.
    """

    module: Any
    server: str
    ffi: Any
    functions: Any

    def client_pointer(self, client: Any) -> Any:
        """A client of JACK-Client's for `functions`."""
        return self._pointer("jack_client_t *", client)

    def port_pointer(self, port: Any) -> Any:
        """A port of JACK-Client's for `functions`."""
        return self._pointer("jack_port_t *", port)

    def _pointer(self, kind: str, owner: Any) -> Any:
        address = int(self.module._ffi.cast("uintptr_t", owner._ptr))
        return self.ffi.cast(kind, address)


def find_server() -> str:
    """Which server there is: JACKD if one answers by the name asked for, else PIPEWIRE.

    Raises RtsepError if there is neither.
    """
    if sys.platform != "linux" or _jackd_answers():
        return JACKD
    if pipewire_socket().exists():
        return PIPEWIRE
    raise RtsepError(NO_SERVER)


@cache
def load(server: str) -> LibJack:
    """The library of this server. A process has one: the first that was asked for.

    Raises
    ------
    MissingLibraryError
        If it is not installed.
    RtsepError
        If the other server's is loaded already.
    """
    path = _path_of(server)
    if path is None:
        raise MissingLibraryError(INSTALL)
    if "jack" in sys.modules:
        raise RtsepError(
            f"this process may have loaded another library than {server}'s for JACK: start it anew"
        )
    try:
        # JACK-Client asks once, while it is imported, and takes what it is answered.
        with _found(path):
            import jack as module
        import cffi

        ffi = cffi.FFI()
        ffi.cdef(_DECLARATIONS)
        functions = ffi.dlopen(path)
    except OSError as error:
        raise MissingLibraryError(f"{INSTALL} ({error})") from None
    # Its complaints would stand in the midst of the display; what matters comes back as an error. A
    # function of C, as threads call it that must not wait for Python: getpid takes and does nothing.
    silence = ffi.cast(
        "void (*)(const char *)", ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p).value
    )
    functions.jack_set_error_function(silence)
    functions.jack_set_info_function(silence)
    return LibJack(module, server, ffi, functions)


def pipewire_libjack() -> Path | None:
    """PipeWire's libjack; None if it is not installed where `pw-jack` would find it."""
    for folder in _LIBRARY_FOLDERS:
        for pattern in _PIPEWIRE_LIBJACK:
            for path in sorted(Path(folder).glob(pattern)):
                return path
    return None


def pipewire_socket() -> Path:
    """Where PipeWire listens, for this user and environment."""
    folder = os.environ.get("PIPEWIRE_RUNTIME_DIR") or os.environ.get("XDG_RUNTIME_DIR")
    return Path(folder or f"/run/user/{os.getuid()}") / os.environ.get(
        "PIPEWIRE_REMOTE", "pipewire-0"
    )


@contextmanager
def _found(path: str) -> Iterator[None]:
    """Within the block `find_library` finds this one, whatever it is asked for."""
    ask = ctypes.util.find_library
    ctypes.util.find_library = lambda name: path
    try:
        yield
    finally:
        ctypes.util.find_library = ask


def _path_of(server: str) -> str | None:
    own = pipewire_libjack() if server == PIPEWIRE else None
    if own is not None:
        return str(own)
    # Where PipeWire has taken jackd's place, its libjack is the system's.
    return ctypes.util.find_library("libjack64" if sys.platform == "win32" else "jack")


def _jackd_answers() -> bool:
    """Whether jackd 2 listens under the name that its clients use."""
    name = os.environ.get("JACK_DEFAULT_SERVER", "default")
    path = _JACKD_SOCKETS / f"jack_{name}_{os.getuid()}_0"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
        except OSError:
            return False
    return True
