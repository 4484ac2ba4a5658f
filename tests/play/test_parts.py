"""The parts that know no sound: ranges, pieces, loops, the store, the cache, playlists."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsep.constants import SAMPLE_RATE
from rtsep.errors import AudioFileError, RtsepError, UsageError
from rtsep.play.count_in import CountIn
from rtsep.play.done_ranges import DoneRanges
from rtsep.play.pieces import choose_frames, next_gap, piece_at
from rtsep.play.playlist import find_songs
from rtsep.play.song_settings import SongSettings, StemSetting, load_settings, save_settings
from rtsep.play.speed import Speed
from rtsep.play.stem_store import INDEX, StemStore
from rtsep.play.transport import Loop, Transport
from tests.play.songs import SETTINGS, STEMS, STEP, cache_in, noise

RANGES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=12)
SIZES = (64, 128, 256, 512)


@given(RANGES, st.integers(0, 40), st.integers(0, 40))
def test_ranges_are_what_a_set_of_samples_is(ranges, begin, end):
    done, samples = DoneRanges(), set()
    for first, last in ranges:
        done.add(first, last)
        samples |= set(range(first, last))
    assert {n for r in done.ranges for n in range(*r)} == samples
    assert all(a[1] < b[0] for a, b in zip(done.ranges, done.ranges[1:]))
    assert done.contains(begin, end) == (set(range(begin, end)) <= samples)
    missing = [n for n in range(begin, end) if n not in samples]
    gap = done.first_gap(begin, end)
    assert (gap is None) == (not missing)
    if gap:
        assert gap[0] == missing[0] and set(range(*gap)) <= set(missing)
        assert gap[1] == end or gap[1] in samples


@pytest.mark.parametrize("seed", range(5))
def test_pieces_fill_a_song_wherever_one_jumps(seed):
    choose = random.Random(seed)
    length, done, head, made = choose.randrange(1, 90 * SAMPLE_RATE), DoneRanges(), 0, 0
    loop = None
    while (gap := next_gap(done, head, length, loop)) is not None:
        piece = piece_at(gap[0], choose_frames(SIZES, gap, choose.uniform(0, 60), 0.005), length)
        assert piece.window_begin <= piece.begin == gap[0] < piece.end <= length
        assert piece.end <= piece.window_begin + piece.samples_out
        done.add(piece.begin, min(piece.end, gap[1]))
        made += 1
        if choose.random() < 0.3:
            head = choose.randrange(length)
        if choose.random() < 0.3 and length > 3 * SAMPLE_RATE:
            begin = choose.randrange(length - 2 * SAMPLE_RATE)
            loop = Loop(begin, begin + SAMPLE_RATE)
    assert done.ranges == ((0, length),)
    assert made < 200


def test_what_is_about_to_be_heard_comes_first():
    done = DoneRanges([(0, 100_000)])
    loop = Loop(50_000, 300_000)
    assert next_gap(done, 20_000, 400_000, None) == (100_000, 400_000)
    assert next_gap(done, 200_000, 400_000, loop) == (200_000, 300_000)
    done.add(200_000, 300_000)
    assert next_gap(done, 200_000, 400_000, loop) == (100_000, 200_000)
    done.add(100_000, 200_000)
    assert next_gap(done, 200_000, 400_000, loop) == (300_000, 400_000)
    # The first is short; then as long as the time allows, and no longer than the gap.
    gap = (0, 10**7)
    assert choose_frames(SIZES, gap, 10.0, None) == 64
    assert choose_frames(SIZES, gap, 0.1, 0.001) == 64
    assert choose_frames(SIZES, gap, 0.6, 0.001) == 256
    assert choose_frames(SIZES, gap, 60.0, 0.001) == 512
    assert choose_frames(SIZES, (0, 60_000), 60.0, 0.001) == 128


@pytest.mark.parametrize("chunk", [1, 255, 512, 4096])
def test_a_loop_lasts_as_long_as_it_says(chunk):
    loop, length = Loop(1_000, 9_000), 20_000
    transport, positions, fading = Transport(0, loop), [], 0
    while len(positions) < 30_000:
        for span in transport.next_spans(chunk, length):
            positions += range(span.begin, span.begin + span.count)
            if span.into is not None:
                fading += span.count
                # What fades in goes on at the loop's beginning.
                assert span.into - span.begin == loop.begin - loop.end
                assert span.faded == span.begin - (loop.end - 512)
            transport.advance(span.count)
    assert positions[:9_000] == list(range(9_000))
    assert positions[9_000:17_000] == list(range(1_000, 9_000)) == positions[17_000:25_000]
    assert fading == sum(position >= loop.end - 512 for position in positions)
    here = transport.position
    assert transport.before(0) == here
    assert transport.before(here - 1_000 + 10) == 8_990
    with pytest.raises(UsageError):
        Loop(1_000, 1_000)


def test_a_store_joins_pieces_and_is_found_again(tmp_path):
    sound = np.stack([noise(1, 1), noise(1, 2)], axis=1)
    store = StemStore(tmp_path, STEMS)
    store.join(20_000, sound[20_000:30_000])
    # Its neighbours reach into it; being of one sound, nothing is seen of where they meet.
    store.join(0, sound[: 20_000 + 512])
    store.join(30_000 - 512, sound[30_000 - 512 :])
    store.join(5_000, 0 * sound[:100])  # done already
    store.length = len(sound)
    assert store.is_complete
    assert np.abs(store.read(0, len(sound)) - sound).max() <= STEP
    assert not store.read(-10, 10).any() and not store.read(len(sound), 5).any()
    store.close()
    assert StemStore(tmp_path, STEMS).is_complete
    assert not StemStore(tmp_path, (*STEMS, "drums")).done.ranges
    (tmp_path / INDEX).write_text('{"form": 1, "stems": null}')
    assert not StemStore(tmp_path, STEMS).done.ranges


def test_another_piece_fades_in(tmp_path):
    store = StemStore(tmp_path, STEMS)
    store.join(0, np.full((1000, 2, 2), 0.5, np.float32))
    store.join(2000, np.full((1000, 2, 2), 0.5, np.float32))
    store.join(488, np.full((2024, 2, 2), -0.5, np.float32))
    heard = store.read(0, 3000)[:, 0, 0]
    assert np.abs(np.diff(heard)).max() < 0.01
    assert heard[487] == pytest.approx(0.5, abs=STEP) and heard[1001] == pytest.approx(
        -0.5, abs=STEP
    )


def test_the_cache_keeps_the_newest_within_its_limit(tmp_path):
    cache = cache_in(tmp_path, limit_bytes=1_000_000)
    sound = np.stack([noise(2, 1)] * 2, axis=1)  # 0.7 MB

    def folder(content):
        store = cache.open(content, SETTINGS, STEMS)
        store.join(0, sound)
        store.length = len(sound)
        cache.close(store)
        return store.folder

    first = folder("first")
    assert first.exists()
    second = folder("second")
    assert second.exists() and not first.exists()
    held = cache.open("second", SETTINGS, STEMS)
    twin = cache_in(tmp_path).open("second", SETTINGS, STEMS)  # as another process would
    assert held.is_complete and not twin.done.ranges and twin.folder != held.folder
    folder("third")
    assert held.folder.exists()
    cache_in(tmp_path).close(twin)
    assert not twin.folder.exists()
    cache.close(held)
    assert not list(cache_in(tmp_path, 0).open("third", SETTINGS, STEMS).done.ranges)


def test_a_cache_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(RtsepError, match="cannot keep stems"):
        cache_in(tmp_path).open("song", SETTINGS, STEMS)


def test_settings_come_back_and_damaged_ones_are_none(tmp_path):
    settings = SongSettings({"vocals": StemSetting(-3, True)}, Speed(80, -2, 5), (5, 50_000))
    save_settings(tmp_path, "a" * 64, settings)
    assert load_settings(tmp_path, "a" * 64) == settings
    assert load_settings(tmp_path, "b" * 64) is None
    for content in ("", "[]", '{"loop": 1}', '{"stems": {}, "speed": {"tempo_percent": 10}}'):
        next(tmp_path.glob("*.json")).write_text(content)
        assert load_settings(tmp_path, "a" * 64) is None


def test_songs_are_found_in_folders_and_playlists(tmp_path):
    album = tmp_path / "album"
    album.mkdir()
    for name in ("b.flac", "a.mp3", "cover.jpg", "ö.ogg"):
        (album / name).write_bytes(b"x")
    (tmp_path / "list.m3u8").write_text("\ufeff#EXTM3U\n#EXTINF:1,B\nalbum/b.flac\n\nalbum/ö.ogg\n")
    (tmp_path / "old.m3u").write_bytes("album/ö.ogg\r\n".encode("latin-1"))
    (tmp_path / "list.pls").write_text(
        "[playlist]\nFile2=album/a.mp3\nFile10=album/ö.ogg\nFile1=album/b.flac\nVersion=2\n"
    )

    def names(*given):
        return [path.name for path in find_songs([str(tmp_path / name) for name in given])]

    assert names("album") == ["a.mp3", "b.flac", "ö.ogg"]
    assert names("list.m3u8", "album/a.mp3") == ["b.flac", "ö.ogg", "a.mp3"]
    assert names("old.m3u") == ["ö.ogg"]
    assert names("list.pls") == ["b.flac", "a.mp3", "ö.ogg"]


@pytest.mark.parametrize(
    "name, content, error, said",
    [
        ("gone.mp3", None, AudioFileError, "no file"),
        ("gone.m3u", None, AudioFileError, "cannot read the playlist"),
        ("empty.m3u", b"#EXTM3U\n", AudioFileError, "names no song"),
        ("radio.m3u", b"https://example.org/radio\n", UsageError, "the address https"),
        ("gap.m3u", b"gone.mp3\n", AudioFileError, "names gone.mp3, which is not there"),
        ("bad.pls", b"File1=a.mp3\n", RtsepError, r"no \[playlist\]"),
        ("", None, AudioFileError, "folder without files of sound"),
    ],
)
def test_what_cannot_be_played_is_told_in_a_line(tmp_path, name, content, error, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=said) as refused:
        find_songs([str(tmp_path / name)])
    assert "\n" not in str(refused.value)


def test_addresses_are_refused():
    with pytest.raises(UsageError, match="is an address"):
        find_songs(["s3://bucket/song.mp3"])


@pytest.mark.parametrize("beats, bpm", [(-1, 120), (17, 120), (4, 10), (4, 500), (2.5, 120)])
def test_impossible_count_ins_are_refused(beats, bpm):
    with pytest.raises(UsageError):
        CountIn(beats, bpm)
