"""The docstrings of the public names are complete, in numpydoc's form."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest

import rtsep

validate = pytest.importorskip("numpydoc.validate", reason="pip install 'rtsep[lint]'").validate

# Of numpydoc's checks: a docstring; a summary of one line, with a capital and a full stop, parted from
# what follows; known sections in their order; every parameter and what is returned or yielded named,
# in the signature's order, with type and description. Examples and See Also are no duty.
CHECKS = {
    "GL03", "GL06", "GL07", "GL08", "SS01", "SS02", "SS03", "SS04", "SS06",
    "PR01", "PR02", "PR03", "PR04", "PR07", "PR08", "PR09", "PR10",
    "RT01", "RT02", "RT03", "RT04", "RT05", "YD01",
}  # fmt: skip


# Nobody calls these constructors but rtsep.
MADE_BY_RTSEP = {"rtsep.StreamSeparator"}

# What public names take and give, and the entrances of the rooms.
ENTRANCES = (
    "rtsep.files.formats.OutputFormat", "rtsep.files.pipe_writer.PipeTarget",
    "rtsep.files.pipe_writer.PipeWriter", "rtsep.files.raw_pcm.RawFormat",
    "rtsep.files.recording_file.RecordingFile", "rtsep.live.adaptive.AdaptiveEngine",
    "rtsep.live.engine.Engine", "rtsep.live.engine_maker.EngineMaker",
    "rtsep.live.live_stream.LiveStream", "rtsep.live.mixer.MixControls",
    "rtsep.live.plans.plan.StreamPlan", "rtsep.live.recorder.Recorder",
    "rtsep.live.recorder.Recorder.push", "rtsep.live.stem_gains.StemGains",
    "rtsep.offline.job.SeparationJob",
)  # fmt: skip


def _public() -> Iterator[str]:
    """Every public name with a docstring of its own, and the public members of the classes."""
    for name in rtsep.__all__:
        value = getattr(rtsep, name)
        if not callable(value):
            continue
        yield f"rtsep.{name}"
        if inspect.isclass(value):
            for member, what in inspect.getmembers(value):
                own = any(member in vars(base) for base in value.__mro__ if _is_ours(base))
                public = own and not member.startswith("_")
                if public and (callable(what) or isinstance(what, property)):
                    yield f"rtsep.{name}.{member}"


def _is_ours(base: type) -> bool:
    return base.__module__.startswith("rtsep.")


@pytest.mark.parametrize("name", [*_public(), *ENTRANCES])
def test_a_public_docstring_is_complete(name: str) -> None:
    found = [f"{code}: {text}" for code, text in validate(name)["errors"] if code in CHECKS]
    if name in MADE_BY_RTSEP:
        found = [line for line in found if not line.startswith("PR01")]
    assert not found, f"{name}: {'; '.join(found)}"
