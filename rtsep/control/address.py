"""The address at which the control listens, and those by which others reach it."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from dataclasses import dataclass

from rtsep.control.protocol import DEFAULT_PORT, LOOPBACK
from rtsep.errors import UsageError


@dataclass(frozen=True)
class Address:
    """An address of this machine, or all of them (0.0.0.0, ::), and a port; 0 for any free one."""

    host: str = LOOPBACK
    port: int = DEFAULT_PORT

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this machine can reach it."""
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def reached_at(self) -> str:
        """The host by which others reach it: this machine's own where it stands for all."""
        address = ipaddress.ip_address(self.host)
        return _own_address(address.version) if address.is_unspecified else self.host

    def url(self, port: int, token: str | None) -> str:
        """Where the page is. port: that at which it listens. The token stands where none sends it."""
        return f"http://{self.place(port)}/" + (f"#{token}" if token else "")

    def place(self, port: int) -> str:
        """ADDR:PORT by which others reach it. port: that at which it listens."""
        host = self.reached_at
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def why_not_listening(address: Address, error: OSError) -> str:
    """What to tell the person where a server cannot have its address."""
    where = f"{address.host}:{address.port}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use by another program: choose another port"
    return f"cannot listen at {where}: {os.strerror(error.errno) if error.errno else error}"


def read_address(
    text: str, default_port: int = DEFAULT_PORT, whose: str = "the control's"
) -> Address:
    """An address as a person writes it: ``8765``, ``0.0.0.0``, ``192.168.0.7:8765``, ``[::1]:8765``.

    whose: for messages.

    Raises
    ------
    UsageError
        Where it is none.
    """
    host, port = text, str(default_port)
    if text.isdecimal():
        host, port = LOOPBACK, text
    elif text.startswith("[") or text.count(":") == 1:
        host, _, port = text.rpartition(":")
        if text.endswith("]"):
            host, port = text, str(default_port)
    host = host.removeprefix("[").removesuffix("]") or LOOPBACK
    if host == "localhost":
        host = LOOPBACK
    try:
        ipaddress.ip_address(host)
        number = int(port) if port.isdecimal() else -1
        if not text or not 0 <= number < 65_536:
            raise ValueError
    except ValueError:
        raise UsageError(
            f"{whose} address must be an IP address of this machine, a port or ADDR:PORT, such as"
            f" 0.0.0.0:{default_port}: got {text!r}"
        ) from None
    return Address(host, number)


def _own_address(version: int) -> str:
    """The address by which this machine reaches others, or else loopback. Nothing is sent."""
    family, other, loopback = {
        4: (socket.AF_INET, "192.0.2.1", LOOPBACK),
        6: (socket.AF_INET6, "2001:db8::1", "::1"),
    }[version]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((other, 9))
        except OSError:  # no network
            return loopback
        return str(probe.getsockname()[0])
