"""The graph backend on a real jackd and a real PipeWire, with a delay in place of an engine."""

from __future__ import annotations

import contextlib
import time

import pytest

from rtsep_bench.server_process import wait_until
from rtsep_bench.servers import jack_server, pipewire_server
from tests.devices.graph_programs import DELAY_SAMPLES, latencies, node_ports, passing, probing

BLOCK = 256
JACK = pytest.param("jack", marks=pytest.mark.needs("jack"))
PIPEWIRE = pytest.param("pipewire", marks=pytest.mark.needs("pipewire"))
SONG_IN = "song:playback_FL,song:playback_FR"


@contextlib.contextmanager
def _server(kind, folder):
    if kind == "jack":
        with jack_server(folder, BLOCK) as server:
            yield server
    else:
        with pipewire_server(folder, 48_000, BLOCK) as server:
            yield server


@pytest.fixture(params=[JACK, PIPEWIRE])
def server_and_ends(request, tmp_path):
    """A server, and the options of a stream from its first sink, or input, to its second one."""
    ends = {"source": "song.monitor", "sink": "stem"} if request.param == "pipewire" else {}
    with _server(request.param, tmp_path) as server:
        yield server, ends


@pytest.fixture
def pipewire(tmp_path):
    with _server("pipewire", tmp_path) as server:
        yield server


@pytest.fixture
def jack(tmp_path):
    with _server("jack", tmp_path) as server:
        yield server


def _stereo_links(*ways):
    """The links of ways from one node's ports to another's, each with its names of left and right."""
    return {
        ((source, out.format(*side)), (target, into.format(*side)))
        for source, out, target, into in ways
        for side in (("1", "FL"), ("2", "FR"))
    }


SONG_TO_RTSEP = ("song", "monitor_{1}", "rtsep", "in_{0}")


def test_an_impulse_comes_out_of_mix_and_stem_after_the_delay_to_the_sample(server_and_ends):
    server, ends = server_and_ends
    played = "rtsep:in_1,rtsep:in_2"
    with passing(server, stems=["vocals"], **ends) as passer:
        for heard in ("rtsep:out_1", "rtsep:out_2"):
            with probing(server, played, heard) as delay:
                assert delay() == DELAY_SAMPLES
        # The stem is the mix turned over.
        with probing(server, played, "rtsep:vocals_2") as delay:
            assert delay() == -DELAY_SAMPLES
        assert passer.ask("state")["failure"] == "None"


@pytest.mark.needs("pipewire")
def test_from_sink_to_sink_it_takes_a_cycle_more_which_is_counted(pipewire):
    """A null sink that leads the graph gives what is played to it in the cycle after."""
    for source, sink in (("song", "stem"), ("stem", "song")):
        played = f"{source}:playback_FL,{source}:playback_FR"
        with (
            passing(pipewire, source=f"{source}.monitor", sink=sink) as passer,
            probing(pipewire, played, f"{sink}:monitor_FL") as delay,
        ):
            ends_samples = round(48_000 * sum(passer.ask("state")["latency_s"]))
            assert delay() - DELAY_SAMPLES == ends_samples == BLOCK


@pytest.mark.unhurried
@pytest.mark.needs("jack")
def test_other_clients_of_jack_see_the_latency(jack):
    with passing(jack, stems=["vocals"]) as passer:
        capture, playback = (round(44_100 * s) for s in passer.ask("state")["latency_s"])
        assert capture == latencies(jack, "system:capture_1")["capture"] > 0
        assert playback == latencies(jack, "system:playback_2")["playback"] > 0
        for delay_samples in (DELAY_SAMPLES, 3000):
            passer.ask("tell", delay_samples)

            def told(expected=delay_samples):
                before = latencies(jack, "system:capture_1")["playback"]
                after = latencies(jack, "system:playback_2")["capture"]
                return (before, after) == (expected + playback, expected + capture)

            wait_until(told, f"latencies of {delay_samples} samples")
        assert latencies(jack, "rtsep:vocals_1")["capture"] == 3000 + capture


def _all_told(server, delay_samples):
    latencies, _ = node_ports(server)
    return (
        latencies["rtsep", "in_1"]["Input"] == delay_samples
        and latencies["rtsep", "vocals_1"]["Output"] == delay_samples
        and latencies["stem", "playback_FR"]["Output"] == delay_samples
        and latencies["stem", "monitor_FR"]["Output"] == delay_samples
    )


@pytest.mark.unhurried
@pytest.mark.needs("pipewire")
def test_ports_of_pipewire_have_the_latency(pipewire):
    with passing(pipewire, stems=["vocals"], source="song.monitor", sink="stem") as passer:
        for delay_samples in (DELAY_SAMPLES, 3000):
            passer.ask("tell", delay_samples)
            wait_until(
                lambda told=delay_samples: _all_told(pipewire, told),
                f"latencies of {delay_samples} samples",
            )


@pytest.mark.unhurried
@pytest.mark.needs("pipewire")
def test_nodes_are_found_by_name_though_others_look_the_same(pipewire):
    """Two sinks with one description: JACK's clients cannot tell them apart by their ports' names."""
    sink = (
        "{{ factory.name=support.null-audio-sink node.name={} node.description=stem "
        "media.class=Audio/Sink object.linger=true audio.position=[FL,FR] }}"
    )
    for name in ("twin", "other"):
        pipewire.command("pw-cli", "create-node", "adapter", sink.format(name))
    stems = {"vocals": "other"}
    with passing(
        pipewire, source="song.monitor", sink="twin", stems=["vocals"], stem_nodes=stems
    ) as passer:
        _, links = node_ports(pipewire)
        assert links == _stereo_links(
            SONG_TO_RTSEP, ("rtsep", "out_{0}", "twin", "playback_{1}"),
            ("rtsep", "vocals_{0}", "other", "playback_{1}"),
        )  # fmt: skip
        assert passer.ask("state")["output"] == "stem"


@pytest.mark.needs("pipewire")
def test_another_sink_is_gone_over_to_without_a_stop_and_a_lost_one_is_noticed(pipewire):
    pipewire.command(
        "pactl", "load-module", "module-null-sink", "sink_name=phones", "channel_map=stereo",
        "sink_properties=node.description=phones-described",
    )  # fmt: skip
    with passing(pipewire, source="song.monitor", sink="stem") as passer:
        assert passer.ask("reroute", "phones") is True
        _, links = node_ports(pipewire)
        assert links == _stereo_links(SONG_TO_RTSEP, ("rtsep", "out_{0}", "phones", "playback_{1}"))
        assert passer.ask("state")["output"] == "phones-described"
        with probing(pipewire, SONG_IN, "phones-described:monitor_FL") as delay:
            assert delay() - DELAY_SAMPLES in (0, BLOCK)
        assert passer.ask("state")["active"]
        pipewire.command("pactl", "unload-module", "module-null-sink")
        wait_until(lambda: not passer.ask("state")["active"], "the loss to be noticed")
        assert "'phones'" in passer.ask("find_again")
        assert passer.ask("reroute", "stem") is True
        wait_until(lambda: passer.ask("state")["active"], "the other sink")


@pytest.mark.unhurried
@pytest.mark.needs("pipewire")
def test_portaudio_may_have_loaded_the_library_of_jackd_before(pipewire):
    ends = {"source": "song.monitor", "sink": "stem"}
    with passing(pipewire, portaudio_first=True, **ends) as passer:
        assert "PipeWire" in passer.ask("state")["remarks"][0]


@pytest.mark.unhurried
@pytest.mark.needs("jack")
def test_a_disconnected_port_is_no_loss(jack):
    with passing(jack) as passer:
        jack.command("jack_disconnect", "rtsep:out_1", "system:playback_1")
        time.sleep(0.2)
        assert passer.ask("state")["active"]


@pytest.mark.unhurried
def test_a_server_that_comes_back_is_played_on(server_and_ends):
    server, ends = server_and_ends
    with passing(server, **ends) as passer:
        assert passer.ask("state")["active"]
        server.kill()
        wait_until(lambda: not passer.ask("state")["active"], "the loss to be noticed")
        assert passer.ask("close") is True
        assert "no JACK server answers" in passer.ask("find_again")
        server.restart()
        wait_until(lambda: passer.ask("find_again") is None, "the server")
        passer.ask("open")
        state = passer.ask("state")
        assert state["active"]
        assert state["failure"] == "None"


@pytest.mark.unhurried
@pytest.mark.needs("jack")
def test_a_second_client_has_a_name_of_its_own(jack):
    with passing(jack) as first, passing(jack) as second:
        assert "ports of rtsep:" in first.ask("state")["remarks"][0]
        assert "ports of rtsep-01:" in second.ask("state")["remarks"][0]


@pytest.mark.unhurried
@pytest.mark.needs("jack")
def test_ports_are_chosen_by_parts_of_their_names(jack):
    with passing(jack, input="capture_2", output="system:playback_2,system:playback_1") as passer:
        state = passer.ask("state")
        assert state["input"] == "system:capture_2"
        assert state["output"] == "system:playback_2, system:playback_1"
        listed = jack.command("jack_lsp", "-c").split("\n")
        assert listed[listed.index("rtsep:out_1") + 1].strip() == "system:playback_2"
        assert listed[listed.index("rtsep:in_1") + 1].strip() == "system:capture_2"
        assert "rtsep:in_2" not in listed


@pytest.mark.needs("pipewire")
def test_the_quantum_is_asked_for(tmp_path):
    with (
        pipewire_server(tmp_path, 48_000, 1024, least_quantum=64) as server,
        passing(server, source="song.monitor", sink="stem", block=128) as passer,
    ):
        wait_until(
            lambda: "128 samples a cycle" in passer.ask("state")["remarks"][0], "short cycles"
        )
        with probing(server, "rtsep:in_1", "rtsep:out_1") as delay:
            assert delay() == DELAY_SAMPLES
