"""Damaged weights of every kind: read rightly or refused in one line, soon and in little memory."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.fuzz.children import run_child
from tests.fuzz.hostile import HOSTILE
from tests.fuzz.mutations import share
from tests.fuzz.served_kinds import SERVED_KINDS
from tests.fuzz.weights_kinds import KINDS

DAMAGED = [function.__name__ for function in (*KINDS, *SERVED_KINDS)]


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_weights_are_read_rightly_or_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("RTSEP_RELEASE_URL", raising=False)
    tried = run_child("tests.fuzz.weights_child", kind, str(share(len(DAMAGED))), str(tmp_path))
    assert tried.total() == share(len(DAMAGED))


@pytest.mark.parametrize("kind", [function.__name__ for function in HOSTILE])
def test_weights_made_to_do_harm_do_none(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform == "win32" and kind == "hostile_folders":
        pytest.skip("there are no pipes and devices in folders")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("RTSEP_RELEASE_URL", raising=False)
    assert run_child("tests.fuzz.weights_child", kind, "0", str(tmp_path))["refused"] > 5
