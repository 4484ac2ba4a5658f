"""The README's picture of the display can be drawn again, and shows what the engine did."""

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]


def shown(svg: str) -> str:
    """The text in a picture, spaces single."""
    return " ".join(" ".join(ElementTree.fromstring(svg).itertext()).split())


def test_the_display_is_drawn(tmp_path):
    picture = tmp_path / "display.svg"
    subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "draw_display.py"), str(picture)]
        + ["--seconds", "2", "--model", "spleeter:2stems"],
        check=True,
    )
    svg = picture.read_text(encoding="utf-8")
    assert "url(http" not in svg
    text = shown(svg)
    for part in ("1 vocals", "2 accompaniment", "muted", "callback", "late masks", "q quit"):
        assert part in text
    # Two seconds of sound went through: the meters are up and the nets have run.
    assert re.search(r"mix█+", text.replace(" ", "")), text
    assert re.search(r"accompaniment .*%, max", text), text


def test_the_picture_in_the_readme_is_there():
    picture = ROOT / "docs" / "pictures" / "display.svg"
    text = shown(picture.read_text(encoding="utf-8"))
    assert "1 vocals" in text and "late masks" in text
    assert picture.relative_to(ROOT).as_posix() in (ROOT / "README.md").read_text(encoding="utf-8")
