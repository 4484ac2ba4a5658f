"""The containers that FFmpeg may open for us: those that hold their sound themselves.

FFmpeg knows a file by its content, whatever its name, and among what it knows are playlists,
scripts and descriptions that make it open other files or send requests (hls, dash, concat, sdp,
imf, image2, lavfi, ...). None of them is named here, nor is any protocol: only the one file that
was opened by us is ever read. Raw formats without a mark of their own are left out too: anything
can be taken for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from av.container import InputContainer

_CONTAINERS = """
aa aac aax ac3 ac4 adx aea aiff amr amrnb amrwb apac ape asf asf_o ast au avi bfstm bonk brstm caf
dsf dss dts dtshd dv eac3 flac flv gsm gxf hca iamf iff ircam ivf kvag laf latm loas
matroska,webm mlp mmf mov,mp4,m4a,3gp,3g2,mj2 mp3 mpc mpc8 mpeg mpegts msf mxf nistsphere
nsv nut nuv ogg oma osq paf pmp pva pvf qcp qoa rka rm rso sbc sds shn sln smjpeg sol sox spdif
swf tak truehd tta vag voc vqf w64 wady wav wavarc wsd wtv wv xa xmv xwma
"""
FORMAT_WHITELIST = ",".join(_CONTAINERS.split())

# "none" is the name of no protocol: FFmpeg refuses every name and address it might want to open.
PROTOCOL_WHITELIST = "none"

SAFE_OPTIONS = {
    "format_whitelist": FORMAT_WHITELIST,
    "protocol_whitelist": PROTOCOL_WHITELIST,
}

# Of WAV files: packets of 16,384 stereo samples in place of 1,024 cost a sixteenth of the calls.
FILE_OPTIONS = {"max_size": "65536"}

# Words by which frames begin that some WAV files hold under the name of PCM: DTS in 16 and 14 bits, both
# ways round, and what a digital cable (SPDIF) carries.
_MARKS_IN_PCM = tuple(
    bytes.fromhex(mark)
    for mark in ("7ffe8001", "fe7f0180", "1fffe800", "ff1f00e8", "72f81f4e", "f8724e1f")
)
# As far as FFmpeg looks for them, and for all else that it knows, which takes 25 ms.
_SEARCHED_BYTES = 1 << 20

# The sound of a stream is to go on as it comes: packets are small, and FFmpeg is to look at half a
# second at the beginning (in microseconds), in place of five.
STREAM_OPTIONS = {"max_size": "4096", "analyzeduration": "500000"}

# Formats whose stream states its own length. The others estimate it from bit rate or time stamps.
THAT_COUNT = frozenset(("mov", "flac", "tta", "wv", "wav", "w64", "aiff", "caf", "au"))

# Containers in which sound may pause without anything being lost. A pause in a transport stream or
# in a stream of packets is a loss.
THAT_MAY_HAVE_GAPS = frozenset(("avi", "gxf", "iamf", "matroska", "mov", "mxf", "nut"))

# Containers whose time stamps are whole milliseconds or worse; or guesses within an Ogg page, since
# Vorbis blocks are of two lengths.
WITH_COARSE_STAMPS = frozenset(
    ("asf", "avi", "flv", "matroska", "ogg", "nsv", "nuv", "rm", "swf", "wtv")
)

# The stream of frames without a container whose time stamps count the packets that are left, so that
# destroyed ones leave no hole in them, and whose wreckage FFmpeg passes on.
ELEMENTARY = "mp3"


def probing_options(file: BinaryIO) -> dict[str, str]:
    """Options by which FFmpeg believes a WAV file that it holds PCM, if nothing in it says otherwise."""
    file.seek(0)
    content = file.read(_SEARCHED_BYTES)
    file.seek(0)
    is_wav = content[:4] in (b"RIFF", b"RF64") and content[8:12] == b"WAVE"
    if is_wav and not any(mark in content for mark in _MARKS_IN_PCM):
        return {"max_probe_packets": "1"}
    return {}


def names_of(container: InputContainer) -> frozenset[str]:
    """FFmpeg's names of an open container's format: ``mov,mp4,m4a,...`` is one format of many names."""
    return frozenset(container.format.name.split(","))
