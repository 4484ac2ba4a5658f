"""A system bus of one's own with the genuine RealtimeKit on it, and polkitd, which it asks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from rtsep.errors import RtsepError
from rtsep_bench.server_process import (
    AudioServer,
    Program,
    private_folder,
    running,
    without_servers,
)
from tests.system_programs import POLKIT, RTKIT, daemon

# What the packages of RealtimeKit and polkit allow on the system's bus, they allow here.
_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_destination="*"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
  </policy>
  <includedir>/usr/share/dbus-1/system.d</includedir>
</busconfig>
"""


@contextlib.contextmanager
def rtkit_server(log_folder: Path) -> Iterator[AudioServer]:
    """Needs root, as RealtimeKit does. Its clients are told of the bus by the environment."""
    with private_folder() as folder:
        # Other users are clients, too.
        folder.chmod(0o755)
        bus = folder / "bus"
        (folder / "bus.conf").write_text(_BUS.format(socket=bus))
        environ = {**without_servers(), "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={bus}"}
        commands = [
            ["dbus-daemon", f"--config-file={folder / 'bus.conf'}", "--nofork"],
            [str(daemon(POLKIT)), "--no-debug"],
            # It must not write into files, and says what it has to say to the system's log.
            [str(daemon(RTKIT)), "--no-chroot"],
        ]
        logs = [log_folder / f"{name}.log" for name in ("dbus", "polkit", "rtkit")]
        readies = [bus.exists, lambda: True, lambda: True]
        programs = [Program(*program) for program in zip(commands, logs, readies)]
        with running(programs, environ, _answers) as server:
            yield server


def _answers(server: AudioServer) -> bool:
    name = "org.freedesktop.RealtimeKit1"
    with contextlib.suppress(RtsepError):
        server.command(
            "dbus-send", "--system", "--print-reply", f"--dest={name}",
            "/org/freedesktop/RealtimeKit1", "org.freedesktop.DBus.Properties.Get",
            f"string:{name}", "string:MaxRealtimePriority",
        )  # fmt: skip
        return True
    return False
