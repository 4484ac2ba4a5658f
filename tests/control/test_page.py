"""The page in a real browser: what it shows and does, by finger, by keyboard and for a screen reader."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator

import pytest

from rtsep.control.server import files
from rtsep.errors import UsageError
from tests.control.desk import STEMS, Desk, PlayingDesk, served

sync_api = pytest.importorskip("playwright.sync_api")

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.slow]

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
)  # fmt: skip
PHONE = {"width": 390, "height": 844}
# A browser on an overloaded machine.
PATIENCE_MS = 60_000
FOCUSED = (
    "(() => { const one = document.activeElement;"
    " return one.getAttribute('aria-label') || one.labels?.[0]?.textContent || one.textContent })()"
)


@pytest.fixture(scope="module")
def browser():
    with (
        tempfile.TemporaryDirectory() as profile,
        sync_api.sync_playwright() as playwright,
        contextlib.closing(
            playwright.chromium.launch_persistent_context(
                profile, executable_path=shutil.which("chromium"), args=list(FLAGS), viewport=PHONE
            )
        ) as context,
    ):
        context.set_default_timeout(PATIENCE_MS)
        yield context


@contextlib.contextmanager
def opened(browser, url: str, *, is_cut_off: bool = False) -> Iterator:
    """A page that shows a state; at the end it must have asked no other host and met no error.

    is_cut_off: its connection fails meanwhile, which the browser calls an error.
    """
    page = browser.new_page()
    problems, asked = [], []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    page.on("request", lambda request: asked.append(request.url))
    try:
        page.goto(url)
        page.wait_for_selector("rtsep-strip")
        yield page
        assert problems == [] or is_cut_off
        host = url.split("/")[2]
        assert asked and all(one.split("/")[2] == host for one in asked)
    finally:
        page.close()


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def pressed(page, name, is_pressed=True):
    """Wait until the page says that a button is pressed, or is not."""
    state = "true" if is_pressed else "false"
    page.wait_for_selector(f'button[aria-label="{name}"][aria-pressed="{state}"]')


def test_all_of_it_is_small():
    page = [file.read_bytes() for file in (files("rtsep.control") / "page").iterdir()]
    assert sum(map(len, page)) < 100_000
    assert not any(b"//" in line and b"://" in line and b"w3.org" not in line and b"ws://" not in line
                   for content in page for line in content.splitlines())  # fmt: skip


def test_several_phones_stay_in_step(browser):
    with served() as desk, opened(browser, desk.url) as one, opened(browser, desk.url) as other:
        mixer = desk.desk.mixer
        button(one, "Mute vocals").click()
        pressed(other, "Mute vocals")
        button(other, "Solo drums").click()
        pressed(one, "Solo drums")
        assert mixer.strips["vocals"].muted and mixer.strips["drums"].soloed
        button(other, "Solo drums").click()
        button(other, "Bypass").click()
        one.wait_for_selector('#bypass[aria-pressed="true"]')
        assert mixer.bypassed
        one.get_by_label("Gain of drums").fill("-12")
        other.wait_for_selector('[aria-valuetext="\u221212.0 dB"]')
        assert mixer.strips["drums"].trim_db == -12
        assert other.get_by_label("Plan").input_value() == "low"
        one.get_by_label("Plan").select_option("balanced")
        sync_api.expect(other.get_by_label("Plan")).to_have_value("balanced", timeout=PATIENCE_MS)
        assert desk.desk.plan == "balanced"
        # What the terminal's keys do is shown, too.
        mixer.mute("vocals")
        pressed(one, "Mute vocals", False)
        pressed(other, "Mute vocals", False)
        assert "93 ms" in one.inner_text("dl")
        assert "3 (0.30 %)" in one.inner_text(".bad")


@pytest.mark.parametrize("desk", [Desk, PlayingDesk])
def test_by_keyboard_and_for_screen_readers(browser, desk):
    from axe_playwright_python.sync_playwright import Axe

    with served(desk()) as one, opened(browser, one.url) as page:
        results = Axe().run(page)
        assert results.response["passes"]
        assert results.violations_count == 0, results.generate_report()
        controls = page.locator("button:visible, input:visible, select:visible").count()
        focused = []
        for _ in range(controls):
            page.keyboard.press("Tab")
            focused.append(page.evaluate(FOCUSED))
        assert len(set(focused)) == controls, focused
        assert {f"{word} {stem}" for stem in STEMS for word in ("Mute", "Solo", "Fade out")} <= {
            *focused
        }
        # And what has the focus is worked by keys.
        page.get_by_label("Gain of vocals").focus()
        page.keyboard.press("ArrowLeft")
        page.wait_for_selector('[aria-valuetext="\u22120.5 dB"]')
        button(page, "Mute drums").focus()
        page.keyboard.press("Space")
        pressed(page, "Mute drums")
        assert one.desk.mixer.strips["vocals"].trim_db == -0.5
        assert one.desk.mixer.strips["drums"].muted


def test_a_song_is_played_by_it(browser):
    with served(PlayingDesk()) as one, opened(browser, one.url) as page:
        song = one.desk.song
        # A name is a name, and no HTML.
        assert page.inner_text("rtsep-transport h2") == "<b>Song</b> (1 of 2)"
        page.get_by_role("button", name="Play", exact=True).click()
        page.wait_for_selector('.play[aria-pressed="true"]')
        button(page, "On 10 seconds").click()
        page.wait_for_selector('[aria-valuetext="0:41 of 3:20"]')
        button(page, "Loop from here (A)").click()
        button(page, "Loop to here (B)").wait_for()
        page.get_by_label("Tempo").fill("80")
        page.get_by_label("Key").fill("-2")
        button(page, "Next song").click()
        page.wait_for_selector("text=(2 of 2)")
        page.wait_for_selector('[aria-valuetext="\u22122 semitones"]')
        assert (song["tempo_percent"], song["key_semitones"], song["playing"]) == (80, -2, True)
        assert song["loop_mark_s"] == 41


def test_what_is_refused_is_shown(browser):
    with served() as one, opened(browser, one.url) as page:
        one.desk.do_bypass = _refuses
        button(page, "Bypass").click()
        page.wait_for_selector("#refusal:visible")
        assert page.inner_text("#refusal") == "not today"


def test_it_comes_back_by_itself(browser):
    with served(PlayingDesk()) as first, opened(browser, first.url, is_cut_off=True) as page:
        page.get_by_label("Tempo").focus()
        os.kill(first.control._doors[0].process.pid, signal.SIGKILL)
        page.wait_for_selector("#connection.lost")
        again = PlayingDesk()
        again.do_mute("drums", on=True)
        with served(again, port=first.port):
            pressed(page, "Mute drums")
            assert page.inner_text("#connection") == "Connected"
            # A person at the keyboard goes on where they were.
            assert page.evaluate(FOCUSED) == "Tempo"


def test_a_wrong_token_is_said(browser):
    with served(host="0.0.0.0") as one:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{one.port}/#wrong")
        page.wait_for_selector("text=Wrong token")
        page.goto("about:blank")
        page.goto(f"http://127.0.0.1:{one.port}/#{one.token}")
        page.wait_for_selector("rtsep-strip")
        page.close()


def _refuses(on=None):
    raise UsageError("not today")
