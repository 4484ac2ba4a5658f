"""The part of libpulse that streams need: its declarations and constants, by cffi.

`pulsectl` declares only some functions of streams, and the sample rates that it gives stand in
memory that libpulse takes back. The names and values are those of libpulse's public headers.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from rtsep.errors import MissingLibraryError

FLOAT32LE = 5
# pa_context_state_t and pa_stream_state_t
CONTEXT_READY, CONTEXT_FAILED = 4, 5
STREAM_READY, STREAM_FAILED = 2, 3
CONTEXT_NOAUTOSPAWN = 1
# pa_stream_flags_t
INTERPOLATE_TIMING, AUTO_TIMING_UPDATE, NO_REMAP_CHANNELS = 0x0002, 0x0008, 0x0010
DONT_MOVE, ADJUST_LATENCY, EARLY_REQUESTS = 0x0200, 0x2000, 0x4000
SEEK_RELATIVE = 0
SINK_HARDWARE = 0x0004  # pa_sink_flags_t
# In pa_buffer_attr: as the server likes.
AS_SERVER_LIKES = 0xFFFFFFFF

_DECLARATIONS = """
typedef struct pa_mainloop pa_mainloop;
typedef struct pa_mainloop_api pa_mainloop_api;
typedef struct pa_context pa_context;
typedef struct pa_stream pa_stream;
typedef struct pa_operation pa_operation;
typedef struct pa_proplist pa_proplist;
typedef struct { int format; uint32_t rate; uint8_t channels; } pa_sample_spec;
typedef struct { uint8_t channels; int map[32]; } pa_channel_map;
typedef struct { uint8_t channels; uint32_t values[32]; } pa_cvolume;
// Of these three the beginning; they are read where libpulse keeps them.
typedef struct {
    const char *user_name, *host_name, *server_version, *server_name;
    pa_sample_spec sample_spec;
    const char *default_sink_name, *default_source_name;
} pa_server_info;
typedef struct {
    const char *name;
    uint32_t index;
    const char *description;
    pa_sample_spec sample_spec;
    pa_channel_map channel_map;
    uint32_t owner_module;
    pa_cvolume volume;
    int mute;
    uint32_t monitor_source;
    const char *monitor_source_name;
    uint64_t latency;
    const char *driver;
    int flags;
    pa_proplist *proplist;
    uint64_t configured_latency;
} pa_sink_info;
typedef struct {
    const char *name;
    uint32_t index;
    const char *description;
    pa_sample_spec sample_spec;
    pa_channel_map channel_map;
    uint32_t owner_module;
    pa_cvolume volume;
    int mute;
    uint32_t monitor_of_sink;
    const char *monitor_of_sink_name;
} pa_source_info;
typedef struct {
    uint32_t maxlength, tlength, prebuf, minreq, fragsize;
} pa_buffer_attr;
typedef struct {
    struct { long tv_sec, tv_usec; } timestamp;
    int synchronized_clocks;
    uint64_t sink_usec, source_usec, transport_usec;
    int playing;
    int write_index_corrupt;
    int64_t write_index;
    int read_index_corrupt;
    int64_t read_index;
    uint64_t configured_sink_usec, configured_source_usec;
    int64_t since_underrun;
} pa_timing_info;

typedef void (*pa_context_notify_cb_t)(pa_context *, void *);
typedef void (*pa_context_success_cb_t)(pa_context *, int, void *);
typedef void (*pa_server_info_cb_t)(pa_context *, const pa_server_info *, void *);
typedef void (*pa_sink_info_cb_t)(pa_context *, const pa_sink_info *, int, void *);
typedef void (*pa_source_info_cb_t)(pa_context *, const pa_source_info *, int, void *);
typedef void (*pa_stream_notify_cb_t)(pa_stream *, void *);
typedef void (*pa_stream_success_cb_t)(pa_stream *, int, void *);
typedef void (*pa_stream_request_cb_t)(pa_stream *, size_t, void *);

const char *pa_strerror(int);

pa_mainloop *pa_mainloop_new(void);
pa_mainloop_api *pa_mainloop_get_api(pa_mainloop *);
int pa_mainloop_iterate(pa_mainloop *, int, int *);
void pa_mainloop_wakeup(pa_mainloop *);
void pa_mainloop_free(pa_mainloop *);

pa_proplist *pa_proplist_new(void);
int pa_proplist_sets(pa_proplist *, const char *, const char *);
void pa_proplist_free(pa_proplist *);

pa_context *pa_context_new_with_proplist(pa_mainloop_api *, const char *, const pa_proplist *);
void pa_context_set_state_callback(pa_context *, pa_context_notify_cb_t, void *);
int pa_context_connect(pa_context *, const char *, int, const void *);
int pa_context_get_state(const pa_context *);
int pa_context_errno(const pa_context *);
void pa_context_disconnect(pa_context *);
void pa_context_unref(pa_context *);
pa_operation *pa_context_get_server_info(pa_context *, pa_server_info_cb_t, void *);
pa_operation *pa_context_get_sink_info_list(pa_context *, pa_sink_info_cb_t, void *);
pa_operation *pa_context_get_source_info_list(pa_context *, pa_source_info_cb_t, void *);
pa_operation *pa_context_move_sink_input_by_name(
    pa_context *, uint32_t, const char *, pa_context_success_cb_t, void *);
pa_operation *pa_context_suspend_sink_by_name(
    pa_context *, const char *, int, pa_context_success_cb_t, void *);
void pa_operation_unref(pa_operation *);

pa_stream *pa_stream_new_with_proplist(
    pa_context *, const char *, const pa_sample_spec *, const void *, pa_proplist *);
void pa_stream_set_state_callback(pa_stream *, pa_stream_notify_cb_t, void *);
void pa_stream_set_read_callback(pa_stream *, pa_stream_request_cb_t, void *);
void pa_stream_set_write_callback(pa_stream *, pa_stream_request_cb_t, void *);
void pa_stream_set_overflow_callback(pa_stream *, pa_stream_notify_cb_t, void *);
void pa_stream_set_underflow_callback(pa_stream *, pa_stream_notify_cb_t, void *);
void pa_stream_set_moved_callback(pa_stream *, pa_stream_notify_cb_t, void *);
int pa_stream_connect_playback(
    pa_stream *, const char *, const pa_buffer_attr *, int, const void *, pa_stream *);
int pa_stream_connect_record(pa_stream *, const char *, const pa_buffer_attr *, int);
int pa_stream_get_state(const pa_stream *);
uint32_t pa_stream_get_index(const pa_stream *);
const char *pa_stream_get_device_name(const pa_stream *);
const pa_buffer_attr *pa_stream_get_buffer_attr(pa_stream *);
pa_operation *pa_stream_set_buffer_attr(
    pa_stream *, const pa_buffer_attr *, pa_stream_success_cb_t, void *);
const pa_timing_info *pa_stream_get_timing_info(pa_stream *);
int pa_stream_get_latency(pa_stream *, uint64_t *, int *);
size_t pa_stream_writable_size(const pa_stream *);
size_t pa_stream_readable_size(const pa_stream *);
int pa_stream_peek(pa_stream *, const void **, size_t *);
int pa_stream_drop(pa_stream *);
int pa_stream_begin_write(pa_stream *, void **, size_t *);
int pa_stream_write(pa_stream *, const void *, size_t, void *, int64_t, int);
int pa_stream_disconnect(pa_stream *);
void pa_stream_unref(pa_stream *);
"""


class LibPulse(NamedTuple):
    """cffi's compiler of declarations, and the library's functions."""

    ffi: Any
    lib: Any

    def text(self, characters: Any) -> str:
        """A string of the library's; empty for none."""
        if characters == self.ffi.NULL:
            return ""
        return str(self.ffi.string(characters).decode(errors="replace"))

    def reason(self, error: int) -> str:
        """What libpulse says of an error's number."""
        return self.text(self.lib.pa_strerror(abs(error)))


@cache
def libpulse() -> LibPulse:
    """The library, loaded once. Raises MissingLibraryError."""
    from cffi import FFI

    ffi = FFI()
    ffi.cdef(_DECLARATIONS)
    try:
        lib = ffi.dlopen("libpulse.so.0")
    except OSError:
        raise MissingLibraryError(
            "libpulse is not installed: install the package libpulse0 (Debian, Ubuntu) or "
            "pulseaudio-libs (Fedora)"
        ) from None
    # cffi makes a function, and takes a lock, when it is first asked for: not in the midst of sound.
    for name in dir(lib):
        getattr(lib, name)
    return LibPulse(ffi, lib)
