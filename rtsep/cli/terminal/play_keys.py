"""The keys of rtsep-play, and what each of them does: see PLAY_KEYS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtsep.cli.terminal.keys import FADE_S, TRIM_STEP_DB, Keys
from rtsep.errors import RtsepError

if TYPE_CHECKING:
    from rtsep.play.session import PlaySession

SKIP_S = 5.0
TEMPO_STEP_PERCENT = 5.0
TUNING_STEP_CENTS = 5.0
COUNT_IN_BEATS = 4

PLAY_KEYS: Keys = (
    ("1-9", "stem", "select the stem that the next four keys act on"),
    ("m", "mute", "mute it, or no longer"),
    ("s", "solo", "hear it alone, with the others soloed, or no longer"),
    ("f", "fade", "fade it out, or in again, within 2 s"),
    ("+/-", "trim", "raise or lower it by 1 dB"),
    ("b", "bypass", "hear every stem as it is, or the mix again"),
    ("space", "pause", "stand still, or play on"),
    ("j/l", "skip", "go back or on by 5 s"),
    ("0", "begin", "go to the beginning, of the loop if there is one"),
    ("a", "loop", "begin a loop here; again: end it here; again: play on beyond it"),
    ("t/T", "tempo", "slower or faster by 5 %"),
    ("k/K", "key", "a semitone down or up"),
    ("u/U", "tune", "5 cents down or up"),
    ("c", "count", "count four beats before playing on, or no longer"),
    ("p/n", "song", "the song before, or the next one"),
    ("w", "where", "say song, position and settings in a line"),
    ("q", "quit", "end"),
)


def handle_play_key(key: str, session: PlaySession) -> str | None:
    """Do what `key` stands for; return a line to show where it cannot be done.

    Keys without a meaning are ignored; `q` and `w` are the caller's.
    """
    try:
        _do(key, session)
    except RtsepError as error:
        return str(error)
    return None


def _do(key: str, session: PlaySession) -> None:
    state, do = session.state(), session.command
    stem = state["selected"]
    match key:
        case "m" | "M":
            do("mute", stem=stem)
        case "s" | "S":
            do("solo", stem=stem)
        case "f" | "F":
            do("fade", stem=stem, seconds=FADE_S)
        case "+" | "=":  # the same key without shift on many keyboards
            do("trim", stem=stem, delta_db=TRIM_STEP_DB)
        case "-":
            do("trim", stem=stem, delta_db=-TRIM_STEP_DB)
        case "b" | "B":
            do("bypass")
        case " ":
            do("toggle")
        case "j":
            do("skip", seconds=-SKIP_S)
        case "l":
            do("skip", seconds=SKIP_S)
        case "0":
            do("seek", position_s=state["loop_s"][0] if state["loop_s"] else 0.0)
        case "a" | "A":
            do("mark_loop")
        case "t" | "T":
            step = TEMPO_STEP_PERCENT if key == "T" else -TEMPO_STEP_PERCENT
            do("set_tempo", percent=state["tempo_percent"] + step)
        case "k" | "K":
            step = 1 if key == "K" else -1
            do("set_key", semitones=state["key_semitones"] + step)
        case "u" | "U":
            step = TUNING_STEP_CENTS if key == "U" else -TUNING_STEP_CENTS
            do("set_tuning", cents=state["tuning_cents"] + step)
        case "c" | "C":
            do("set_count_in", beats=0 if state["count_in_beats"] else COUNT_IN_BEATS)
        case "n" | "N":
            do("next_song")
        case "p" | "P":
            do("previous_song")
        case digit if digit in set("123456789"):
            do("select", number=int(digit))
