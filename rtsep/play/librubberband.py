"""The Rubber Band library: its declarations, by cffi, as far as stretcher.py needs them.

It is a library of the system, under the GPL (NOTICE.md), and is loaded only when tempo or key are
changed. Names and values are those of its public header rubberband-c.h, API version 2.7 or later.
"""

from __future__ import annotations

import ctypes.util
from functools import cache
from typing import Any, NamedTuple

from rtsep.errors import MissingLibraryError

# RubberBandOption
REAL_TIME, FINER_ENGINE, SHORT_WINDOW = 0x00000001, 0x20000000, 0x00100000
CHANNELS_TOGETHER, PITCH_CONSISTENT = 0x10000000, 0x04000000

_DECLARATIONS = """
typedef struct RubberBandState_ *RubberBandState;
RubberBandState rubberband_new(
    unsigned int rate, unsigned int channels, int options, double time_ratio, double pitch_scale);
void rubberband_delete(RubberBandState);
void rubberband_reset(RubberBandState);
int rubberband_get_engine_version(const RubberBandState);
void rubberband_set_time_ratio(RubberBandState, double);
void rubberband_set_pitch_scale(RubberBandState, double);
void rubberband_set_max_process_size(RubberBandState, unsigned int);
unsigned int rubberband_get_preferred_start_pad(const RubberBandState);
unsigned int rubberband_get_start_delay(const RubberBandState);
unsigned int rubberband_get_samples_required(const RubberBandState);
void rubberband_process(
    RubberBandState, const float *const *input, unsigned int samples, int final);
int rubberband_available(const RubberBandState);
unsigned int rubberband_retrieve(const RubberBandState, float *const *output, unsigned int samples);
"""


class LibRubberBand(NamedTuple):
    """cffi's compiler of declarations, and the library's functions."""

    ffi: Any
    lib: Any


@cache
def librubberband() -> LibRubberBand:
    """The library, loaded once. Raises MissingLibraryError."""
    from cffi import FFI

    ffi = FFI()
    ffi.cdef(_DECLARATIONS)
    name = ctypes.util.find_library("rubberband") or "librubberband.so.2"
    try:
        lib = ffi.dlopen(name)
        lib.rubberband_get_preferred_start_pad  # noqa: B018  AttributeError before version 3.0
        return LibRubberBand(ffi, lib)
    except (OSError, AttributeError):
        raise MissingLibraryError(
            "tempo and key need the Rubber Band library, version 3 or later: Debian/Ubuntu `apt install"
            " librubberband2`, Fedora `dnf install rubberband-libs`, macOS `brew install rubberband`;"
            " or play at 100 % in the song's key"
        ) from None
