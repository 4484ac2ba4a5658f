"""The programs that people play music with are heard on the tests' servers, without rtsep between."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import soundfile

from rtsep_bench.server_process import wait_until
from rtsep_bench.servers import RATE, pipewire_server, pulse_server
from tests.live.players import PIPEWIRE, PULSE, player_parameters, playing
from tests.live.pulse_clients import listening, read_heard

pytestmark = [pytest.mark.slow, pytest.mark.unhurried]

# The sink `stem` is the default one, which a player is not to take if it is given another.
SERVERS = {PIPEWIRE: partial(pipewire_server, default_sink="stem"), PULSE: pulse_server}
TONE_HZ, TONE_S = 1_000, 60.0
# Looked at at once: so long that the tone stands out.
PIECE = RATE // 4
# Chromium on an overloaded machine.
START_S = 60.0


@pytest.fixture(scope="module")
def tone(tmp_path_factory):
    """A minute of a tone at half of full scale, as a WAV file in stereo."""
    angles = 2 * np.pi * TONE_HZ * np.arange(round(TONE_S * RATE)) / RATE
    file = tmp_path_factory.mktemp("tone") / "tone.wav"
    soundfile.write(file, np.repeat(0.5 * np.sin(angles)[:, None], 2, axis=1), RATE)
    return file


def _is_heard(path):
    """Whether the newest sound is the tone, on both channels."""
    piece = read_heard(path)[-PIECE:]
    if len(piece) < PIECE:
        return False
    spectrum = np.abs(np.fft.rfft(piece * np.hanning(PIECE)[:, None], axis=0))
    pitch_hz = np.argmax(spectrum, axis=0) * RATE / PIECE
    return bool(np.all(np.abs(piece).max(axis=0) > 0.2) and np.all(abs(pitch_hz - TONE_HZ) < 10))


@pytest.mark.parametrize("server, player", player_parameters(PIPEWIRE, PULSE))
def test_a_player_is_heard_at_the_sink_that_it_is_given(server, player, tone, tmp_path):
    with SERVERS[server](tmp_path) as started, listening(started, "song", tmp_path) as heard:
        assert not _is_heard(heard)
        with playing(started, player, tone, tmp_path / "player", "song"):
            wait_until(lambda: _is_heard(heard), f"the tone of {player.name}", START_S)
            assert player.application in started.command("pactl", "list", "sink-inputs")


@pytest.mark.parametrize("server, player", player_parameters(PIPEWIRE))
def test_a_player_plays_to_the_default_sink(server, player, tone, tmp_path):
    with (
        SERVERS[server](tmp_path) as started,
        listening(started, "stem", tmp_path) as heard,
        playing(started, player, tone, tmp_path / "player"),
    ):
        wait_until(lambda: _is_heard(heard), f"the tone of {player.name}", START_S)
