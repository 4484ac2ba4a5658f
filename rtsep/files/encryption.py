"""Is a file encrypted, so that it holds sound for its owner's player only?

FFmpeg decodes such files to noise or says that their data are invalid. What marks them stands in
the container: a scheme for every packet (MP4's Common Encryption, Matroska), the name of the codec
(FairPlay), the brand (Audible), an object in the header (Windows Media), bits of every packet of a
transport stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.packet import Packet

MESSAGE = "is encrypted: play it where it was bought, or get a copy without protection"

HEAD_BYTES = 65_536

_AUDIBLE_BRANDS = (b"ftypaax ", b"ftypaaxc")
# Names of sample entries in MP4 whose contents are encrypted, each behind a length of 32 bits.
_SAMPLE_ENTRIES = ("enca", "drms")
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_ENCRYPTION_OBJECTS = (
    bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"),  # content encryption
    bytes.fromhex("14e68a292226174cb935dae07ee9289c"),  # extended content encryption
    bytes.fromhex("338505438169e6499b74ad12cb86d58c"),  # advanced content encryption
)
_TS_PACKET_BYTES = 188


def head_is_encrypted(file: BinaryIO) -> bool:
    """Tell by the first bytes of `file`, whose position is kept."""
    position = file.tell()
    file.seek(0)
    head = file.read(HEAD_BYTES)
    file.seek(position)
    if head[4:12] in _AUDIBLE_BRANDS:
        return True
    if head.startswith(_ASF_HEADER):
        return any(guid in head for guid in _ASF_ENCRYPTION_OBJECTS)
    return _is_scrambled(head)


def stream_is_encrypted(stream: AudioStream) -> bool:
    """Tell by the name of the sample entry of an `av.AudioStream` in an MP4 file."""
    codec = stream.codec_context
    return codec is not None and codec.codec_tag in _SAMPLE_ENTRIES


def packet_is_encrypted(packet: Packet) -> bool:
    """Tell by what the container says of an `av.Packet`."""
    return packet.has_sidedata("encryption_info")


def _is_scrambled(head: bytes) -> bool:
    """Whether most packets of a transport stream that carry data say that it is scrambled."""
    packets = [head[at : at + 4] for at in range(0, len(head) - 4, _TS_PACKET_BYTES)]
    if len(packets) < 4 or any(packet[0] != 0x47 for packet in packets):
        return False
    return sum(packet[3] >> 6 != 0 for packet in packets) > len(packets) / 2
