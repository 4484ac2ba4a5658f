"""Programs started where something is missing, full, closed or broken: real child processes.

Whatever cannot be had is said in one line, and what can be done without it is done.
"""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtsep_bench.server_process import private_folder
from rtsep_kernels import user_cache
from tests.files.sounds import music, write_file

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has none of this")
linux = pytest.mark.skipif(sys.platform != "linux", reason="this is how Linux does it")

# A user whom the system does not know, who may read everything, since Python may be anywhere, but
# writes only where everyone may.
STRANGER = (
    "setpriv", "--reuid=54321", "--regid=54321", "--clear-groups",
    *(f"--{kind}=-all,+dac_read_search" for kind in ("inh-caps", "ambient-caps", "bounding-set")),
)  # fmt: skip


def start(program: str, *arguments: object, before: tuple[str, ...] = (), **options):
    """Run a program of rtsep to its end. environment: changes; None takes a variable away."""
    environment = {**os.environ, **options.pop("environment", {})}
    environment = {name: value for name, value in environment.items() if value is not None}
    command = [*before, sys.executable, "-m", f"rtsep.cli.{program}", *map(str, arguments)]
    return subprocess.run(
        command, env=environment, capture_output=not options, text=True, timeout=300, **options
    )


def error_of(result: subprocess.CompletedProcess, status: int = 1) -> str:
    """The one line on stderr."""
    assert result.returncode == status, result.stderr
    (line,) = result.stderr.splitlines()
    assert ": error: " in line
    return line


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = write_file(tmp_path / "song.wav", music(1.0))
    tmp_path.chmod(0o755)
    return path


@pytest.fixture
def folder_for_all() -> Iterator[Path]:
    """Everyone may write there, which in a worker's folder of pytest-xdist is not so."""
    with private_folder() as folder:
        folder.chmod(0o777)
        yield folder


@pytest.fixture
def stranger() -> tuple[str, ...]:
    """What stands before a command that runs as somebody without a home and a name."""
    if shutil.which("setpriv") is None or os.geteuid() != 0:
        pytest.skip("only root, with setpriv, can become somebody else")
    if subprocess.run([*STRANGER, "true"], capture_output=True).returncode:
        pytest.skip("this root may not become somebody else")
    return STRANGER


# --- no home ---------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("home", [None, "", "relative"])
def test_without_a_home_the_systems_entry_counts(home, monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if home is None:
        monkeypatch.delenv("HOME", raising=False)
    else:
        monkeypatch.setenv("HOME", home)
    found = user_cache.user_cache()
    assert found is not None and found.is_relative_to(pwd.getpwuid(os.getuid()).pw_dir)


@linux
def test_a_relative_cache_folder_is_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    assert user_cache.user_cache() == tmp_path / ".cache" / "rtsep"
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert user_cache.user_cache() == Path("/elsewhere/rtsep")


@linux
@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("weights", ["list"]),
        ("weights", ["fetch", "spleeter:2stems"]),
        ("weights", ["import", "song.wav", "--name", "spleeter:2stems"]),
        ("weights", ["verify"]),
        ("separate", ["--quiet", "song.wav", "-o", "stems"]),
        ("monitor", ["--quiet", "--input-file", "song.wav", "--output-file", "out.wav"]),
    ],
)
def test_without_home_and_name_the_lack_of_weights_is_said(
    program: str, arguments: list[str], stranger, song: Path
) -> None:
    song.parent.chmod(0o777)
    nowhere = {"HOME": None, "XDG_CACHE_HOME": None, "RTSEP_WEIGHTS": None}
    kept = {"RTSEP_KERNEL_CACHE": str(song.parent)}
    result = start(
        program, *arguments, before=stranger, environment=nowhere | kept, cwd=song.parent,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    line = error_of(result)
    assert "this user has no home folder" in line and "set RTSEP_WEIGHTS" in line
    # No folder called ~, either.
    assert {path.name for path in song.parent.iterdir()} == {"song.wav"}


@linux
@pytest.mark.slow
def test_without_home_and_name_all_programs_work_once_they_have_weights(
    stranger, folder_for_all: Path, made_up_weights: Path
) -> None:
    _readable(made_up_weights)
    song = write_file(folder_for_all / "song.wav", music(1.0))
    nowhere = {"HOME": None, "XDG_CACHE_HOME": None, "RTSEP_KERNEL_CACHE": None}
    stems, out = song.parent / "stems", song.parent / "out.wav"
    for program, arguments in (
        ("separate", ("--quiet", song, "-o", stems)),
        ("monitor", ("--quiet", "--input-file", song, "--output-file", out)),
    ):
        result = start(program, *arguments, before=stranger, environment=nowhere)
        assert result.returncode == 0
        (line,) = result.stderr.splitlines()
        assert (
            f"rtsep-{program}: warning: compiled kernels cannot be kept: this user has no" in line
        )
    assert (stems / "song" / "vocals.wav").exists() and out.exists()


@linux
def test_weights_that_cannot_be_written_are_named(stranger, made_up_weights: Path) -> None:
    _readable(made_up_weights)
    assert start("weights", "verify", before=stranger).returncode == 0
    line = error_of(start("weights", "fetch", "spleeter:5stems", before=stranger))
    assert f"cannot write {made_up_weights}" in line and "set RTSEP_WEIGHTS" in line


def _readable(folder: Path) -> None:
    """Let everyone look into `folder`, also where pytest keeps it to itself."""
    for path in (folder, *folder.parents[:2]):
        path.chmod(0o755)


# --- caches ----------------------------------------------------------------------------------------


@linux
@pytest.mark.slow
def test_full_caches_do_not_stop_a_live_run(song: Path, made_up_weights: Path) -> None:
    full = song.parent / "full"
    full.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(full)]
    if os.geteuid() != 0 or subprocess.run(mounted, capture_output=True).returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        with pytest.raises(OSError, match="No space left"):
            (full / "ballast").write_bytes(bytes(1 << 20))
        result = start(
            "monitor", "--realtime", "--latency", "auto", "--input-file", song,
            "--output-file", song.with_name("out.wav"), environment={"RTSEP_KERNEL_CACHE": str(full)},
        )  # fmt: skip
        weights = made_up_weights / "spleeter-2stems.safetensors"
        words = ("import", weights, "--allow-unknown", "--name", "spleeter:2stems")
        failed = start("weights", *words, environment={"RTSEP_WEIGHTS": str(full)})
        left = sorted(path.name for path in full.iterdir() if path.is_file())
    finally:
        subprocess.run(["umount", str(full)], check=True)
    assert result.returncode == 0 and "Traceback" not in result.stderr
    for said in (
        "compiled kernels cannot be kept: ",
        "the timing is measured anew at every start: ",
    ):
        (line,) = [line for line in result.stderr.splitlines() if said in line]
        assert "No space left on device" in line and "RTSEP_KERNEL_CACHE" in line
    assert failed.returncode == 1 and "Traceback" not in failed.stderr
    assert "No space left on device" in failed.stderr.splitlines()[-1]
    assert left == ["ballast", "spleeter-2stems.lock"]


def test_a_weights_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    for arguments in (["fetch", "spleeter:2stems"], ["import", path, "--name", "spleeter:2stems"]):
        line = error_of(start("weights", *arguments, environment={"RTSEP_WEIGHTS": str(path)}))
        assert str(path) in line


def test_weights_cut_short_are_named(tmp_path: Path, made_up_weights: Path) -> None:
    for source in made_up_weights.glob("spleeter-2stems*"):
        shutil.copy(source, tmp_path)
    path = tmp_path / "spleeter-2stems.safetensors"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    result = start("weights", "verify", environment={"RTSEP_WEIGHTS": str(tmp_path)})
    assert "is damaged" in error_of(result) and "--force" in result.stderr


# --- streams, folder, encoding -----------------------------------------------------------------------


def redirected(redirection: str, *arguments: object) -> subprocess.CompletedProcess:
    """Run `rtsep-weights` with streams as the shell makes them."""
    words = [sys.executable, "-m", "rtsep.cli.weights", *map(str, arguments)]
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *words], capture_output=True, text=True
    )


@posix
def test_streams_that_are_closed_stop_nothing(made_up_weights: Path) -> None:
    for redirection in (">&-", "<&-", "2>&-", ">&- 2>&- <&-"):
        result = redirected(redirection, "verify", "spleeter:2stems")
        assert (result.returncode, result.stderr) == (0, ""), redirection
        assert redirected(redirection, "--nonsense").returncode == 2
        assert redirected(redirection, "verify", "spleeter:5stems").returncode == 1


@posix
def test_no_file_gets_the_number_of_a_closed_stream(song: Path) -> None:
    code = (
        "import os, sys; from rtsep.cli.surroundings import prepare; prepare('p')\n"
        "with open('mine', 'w') as file: os.write(1, b'chatter'); os.write(2, b'chatter')\n"
    )
    command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", code]
    subprocess.run(command, cwd=song.parent, check=True)
    assert (song.parent / "mine").read_bytes() == b""


@linux
def test_a_full_stdout_is_said_and_a_full_stderr_is_not(made_up_weights: Path) -> None:
    for arguments in (["list"], ["--help"], ["verify"]):
        line = error_of(redirected(">/dev/full", *arguments))
        assert "cannot write to standard output: No space left on device" in line
    result = redirected("2>/dev/full", "verify")
    assert result.returncode == 0 and "spleeter:2stems: good" in result.stdout
    assert redirected("2>/dev/full", "verify", "spleeter:5stems").returncode == 1


@posix
@pytest.mark.parametrize("program", ["separate", "monitor", "weights", "bench"])
def test_a_current_folder_that_has_gone_is_said(program: str) -> None:
    vanish = "import os, tempfile; f = tempfile.mkdtemp(); os.chdir(f); os.rmdir(f)\n"
    code = f"import sys\nfrom rtsep.cli.{program} import main\n{vanish}sys.exit(main(['--help']))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert f"rtsep-{program}: error: the current folder is not there any more" in error_of(result)


@posix
@pytest.mark.parametrize(
    "encoding",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii:strict"},
    ],
)
def test_names_that_an_encoding_lacks_are_escaped(tmp_path: Path, encoding) -> None:
    folder = os.fsencode(tmp_path) + b"/\xc3\xb6\xff"
    result = start(
        "weights", "list", environment={**encoding, "RTSEP_WEIGHTS": os.fsdecode(folder)}
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"weights in {tmp_path}")


# --- PortAudio ---------------------------------------------------------------------------------------

TWICE = "pcm.pulse { type null }\npcm.pulse 7\n"
portaudio = pytest.mark.skipif(
    ctypes.util.find_library("portaudio") is None or ctypes.util.find_library("asound") is None,
    reason="PortAudio on ALSA is not installed",
)


@linux
@portaudio
@pytest.mark.parametrize(
    ("variable", "name", "content"),
    [
        ("HOME", ".asoundrc", TWICE),
        ("HOME", ".asoundrc", "pcm.!default {\n"),
        ("HOME", ".asoundrc", "</nowhere/at/all.conf>\n"),
        ("ALSA_CONFIG_PATH", "asound.conf", TWICE),
        ("ALSA_CONFIG_PATH", "asound.conf", ""),
        ("ALSA_CONFIG_PATH", "asound.conf", None),
    ],
)
def test_a_broken_alsa_configuration_is_said(
    tmp_path: Path, variable: str, name: str, content: str | None
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    environment = {variable: str(tmp_path if variable == "HOME" else path)}
    for arguments in (["--list-devices"], ["--quiet"]):
        line = error_of(start("monitor", *arguments, environment=environment))
        assert "PortAudio does not start: the ALSA configuration seems to be broken" in line
        assert "`aplay -L` says where" in line


@linux
@portaudio
def test_alsa_says_nothing_of_its_own(tmp_path: Path) -> None:
    # A device whose kind nobody has: ALSA complains whenever it is looked at.
    path = tmp_path / "asound.conf"
    path.write_text("pcm.!default { type nosuchkind }\nctl.!default { type nosuchkind }\n")
    environment = {"ALSA_CONFIG_PATH": str(path), "PULSE_SERVER": "/nowhere"}
    assert "there is no input device" in error_of(start("monitor", environment=environment))
    listed = start("monitor", "--list-devices", environment=environment)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "there are no audio devices: connect one" in listed.stdout


def test_a_missing_portaudio_is_said() -> None:
    # The real import of sounddevice, on a system that has no such library.
    code = (
        "import ctypes.util, sys; ctypes.util.find_library = lambda name: None\n"
        "from rtsep.cli.monitor import main; sys.exit(main(['--list-devices']))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if result.returncode == 0:
        pytest.skip("PortAudio comes with sounddevice here")
    assert "apt install libportaudio2" in error_of(result)
