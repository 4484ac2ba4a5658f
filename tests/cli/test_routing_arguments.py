"""What the options about the sound of other programs ask for, and which contradict each other."""

import pytest

from rtsep.cli.monitor import main
from rtsep.cli.monitor_arguments import build_parser
from rtsep.cli.routing_arguments import is_routed, routing_request
from rtsep.routing.request import MICROPHONE, RoutingRequest

STEMS = ("vocals", "accompaniment")


def request(*words):
    args = build_parser().parse_args(words)
    assert is_routed(args)
    return routing_request(args, STEMS)


@pytest.mark.parametrize(
    "words, asked",
    [
        (["--system"], RoutingRequest()),
        (["--system", "-o", "headphones"], RoutingRequest(output="headphones")),
        (["--app", "mpv", "--app", "firefox"], RoutingRequest(apps=("mpv", "firefox"))),
        (["--system", "--sources"], RoutingRequest(stems=STEMS)),
        (["--sources", "-i", "line", "-o", "ears"],
         RoutingRequest(capture=False, input="line", output="ears", stems=STEMS)),
        (["--as-microphone", "-i", "usb"],
         RoutingRequest(capture=False, input="usb", stems=(MICROPHONE,))),
    ],
)  # fmt: skip
def test_requests(words, asked):
    assert request(*words) == asked


def test_devices_are_not_routed():
    assert not is_routed(build_parser().parse_args(["-i", "line", "-o", "ears"]))


@pytest.mark.parametrize(
    "words, named",
    [
        ("--system --app mpv", "--app"),
        ("--as-microphone --system", "--system"),
        ("--as-microphone --sources", "--sources"),
        ("--as-microphone -o ears", "-o ears"),
        ("--system -i line", "-i line"),
        ("--system --hostapi ALSA", "--hostapi"),
        ("--app mpv --samplerate 44100", "--samplerate"),
        ("--system --input-file song.flac", "--input-file"),
        ("--sources --all-stems", "--all-stems"),
        ("--system --backend portaudio", "--backend portaudio"),
    ],
)
def test_contradictions_are_told_in_one_line(words, named, capsys):
    # Before anything is asked of a sound server: there is none here.
    assert main(words.split()) == 2
    error = capsys.readouterr().err
    assert named in error
    assert error.startswith("rtsep-monitor: ") and error.count("\n") == 1
