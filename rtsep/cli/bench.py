"""`rtsep-bench`: measure rtsep on this machine, beside other runtimes where they are installed.

A subcommand is one module of rtsep_bench, named in COMMANDS, with

    add_arguments(parser)           its options, besides --json and --plot
    measure(arguments, say)         does the work, returns a Report
    tables(report)                  rich tables for stdout
    plot(report, figure)            fills a matplotlib figure
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

from rtsep.cli.collisions import Output, check_collisions
from rtsep.cli.common import OneLineParser, run
from rtsep.cli.surroundings import prepare
from rtsep.errors import RtsepError

PROGRAM = "rtsep-bench"

DESCRIPTION = "Measure rtsep on this machine, beside other runtimes where they are installed."

COMMANDS = {
    "kernels": "every layer and the whole net beside the FMA peak; GEMM beside NumPy's BLAS",
    "peers": "the same network in ONNX Runtime, OpenVINO and torch, if they are installed",
    "slide": "a run of a sliding window beside the whole net: rows heard, rows kept",
    "offline": "separation of a song: speed, memory, agreement with the official pipeline",
    "latency": "the live plans, paced like a device: late masks and times beside their deadlines",
    "endtoend": "from what is played to what is heard, on sound servers without hardware",
    "soak": "a song through rtsep-monitor on a sound server for long, checked hop by hop",
    "faults": "what goes wrong around rtsep-monitor, made to: how long there is no sound",
    "control": "rtsep-monitor --control under many clients; when a change is heard",
    "quality": "the separation quality of each plan, on songs with true stems",
    "speech": "speech over music, before and after --voices-only and --dialogue",
    "claims": "the documentation's figures again, beside the recorded ones",
}

EPILOG = """\
Measurements are interleaved in rounds; see benchmarks/README.md for how to read them. Close
other programs first. Exit status: 0, 1 if something failed (contenders that disagree
included), 2 for an impossible option, 130 interrupted."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with these arguments (those of the command line); return its exit status."""
    prepare(PROGRAM)
    words = list(sys.argv[1:] if argv is None else argv)
    return run(PROGRAM, lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    module = _module(words)
    arguments = _parser(words, module).parse_args(words)
    assert module is not None  # argparse has refused anything but a known command
    return _bench(module, arguments)


def _module(words: Sequence[str]) -> ModuleType | None:
    """The module of the command, the only one that is imported: compiled kernels take a while."""
    if words and words[0] in COMMANDS:
        return import_module(f"rtsep_bench.{words[0]}")
    return None


def _parser(words: Sequence[str], module: ModuleType | None) -> OneLineParser:
    parser = OneLineParser(prog=PROGRAM, description=DESCRIPTION, epilog=EPILOG, presets=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=f"Measure {text}.")
        if module is not None and name == words[0]:
            module.add_arguments(command)
            command.add_argument(
                "--json",
                type=Path,
                metavar="FILE",
                help="write all figures and a description of the machine",
            )
            command.add_argument(
                "--plot", type=Path, metavar="FILE", help="draw a .png, .pdf or .svg (extra plot)"
            )
    return parser


def _bench(module: ModuleType, arguments: argparse.Namespace) -> int:
    from rtsep_bench.report import check_outputs, print_report, write_json, write_plot

    _check_files(arguments)
    check_outputs(arguments.json, arguments.plot)
    report = module.measure(arguments, _say)
    print_report(report, module.tables(report))
    if arguments.json is not None:
        write_json(report, arguments.json)
    if arguments.plot is not None:
        write_plot(report, module.plot, arguments.plot)
    if report.failures:
        raise RtsepError("; ".join(report.failures))
    return 0


def _check_files(arguments: argparse.Namespace) -> None:
    """Raise UsageError where a result would replace an input or another result."""
    options = dict(vars(arguments))
    outputs = [
        Output(path, f"--{name}", lambda other: "choose another name")
        for name in ("json", "plot")
        if (path := options.pop(name)) is not None
    ]
    check_collisions([path for path in options.values() if isinstance(path, Path)], outputs)


def _say(text: str) -> None:
    print(f"{PROGRAM}: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
