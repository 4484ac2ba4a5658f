"""Who may control: the token, and from which pages."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from urllib.parse import urlsplit

# 96 bits: short enough for a code that a camera reads across a stage.
_TOKEN_BYTES = 12
# A wrong token is answered after this time.
WRONG_TOKEN_WAIT_S = 1.0


def make_token() -> str:
    """A new token."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def token_fits(token: str | None, given: str) -> bool:
    """Whether a client's token is the one asked for; None asks for none."""
    return token is None or hmac.compare_digest(token.encode(), given.encode(errors="replace"))


def is_own(host: str | None, origin: str | None) -> bool:
    """Whether a request is meant for this machine and does not come from somebody else's page.

    A browser says by `Origin` which page a connection comes from, and lets no page change that. A page
    of another host may have a name that leads to this machine (DNS rebinding), so the host must be this
    machine's name or an address, which no such page can have.

    Parameters
    ----------
    host, origin : str or None
        The headers `Host` and `Origin`. A program that is no browser sends no `Origin`.
    """
    if host is None or not _is_name_or_address(host):
        return False
    return origin is None or origin.lower() == f"http://{host.lower()}"


def _is_name_or_address(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    own = socket.gethostname().lower()
    if name in ("localhost", own, own.removesuffix(".local") + ".local"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
