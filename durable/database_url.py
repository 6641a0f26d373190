"""What may be said about a database URL without connecting, and without ever showing its password. Pure."""

from __future__ import annotations

import re

# Greedy up to the last @: whatever a malformed password of ours spills over is hidden as well.
_OUR_USERINFO = re.compile(r"(\bpostgres(?:ql)?://[^:@/?#\s]*):\S*@")
_USERINFO = re.compile(r"(://[^:@/?#\s]*):[^@/\s]*@")
_PARAMETER = re.compile(r"""\b((?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]+)""", re.IGNORECASE)
_UNENCODED = re.compile(r"%(?![0-9A-Fa-f]{2})|\s")


def redacted(text: str) -> str:
    """The text with every password in it, as part of a URL or as `password=…`, replaced by `***`."""
    for userinfo in (_OUR_USERINFO, _USERINFO):
        text = userinfo.sub(r"\1:***@", text)
    return _PARAMETER.sub(r"\1***", text)


def has_password(url: str) -> bool:
    """True when the URL or connection string carries a password."""
    return redacted(url) != url


def checked(value: object) -> str:
    """The URL, stripped, when it looks like one libpq can parse.

    libpq puts the piece it stumbles over into its error, and with a password that is not percent-encoded this
    piece is a part of the password; so such a URL must not reach it. Raises ValueError with text that shows
    nothing of it.
    """
    if not isinstance(value, str):
        raise ValueError("write postgresql://USER@HOST:PORT/DATABASE")
    url = value.strip()
    if "://" in url:
        _check_url(url)
    elif "=" not in url:
        raise ValueError("write postgresql://USER@HOST:PORT/DATABASE, or key=value pairs as libpq takes them")
    return url


def _check_url(url: str) -> None:
    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError("a database URL begins with postgresql://")
    # A / in the password makes its first half look like host and port.
    authority = url.partition("://")[2].partition("/")[0]
    if url.count("@") > 1 or ("@" in url and "@" not in authority) or _UNENCODED.search(url):
        raise ValueError("user name and password must be percent-encoded: @ is %40, / is %2F, : is %3A, % is %25")
