"""What is said of this machine where the system says nothing."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest

from rtsep import environment as machine


@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_a_processor_that_nobody_names_goes_by_its_architecture(
    system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError

    monkeypatch.setattr(machine.sys, "platform", system)
    monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.setattr(subprocess, "run", refuse)
    assert machine.cpu_name() in (platform.processor(), platform.machine())
