"""Where a request goes: an http or https URL, taken apart once and never read a second way."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_to_bytes, urljoin

from durable.egress import Address
from durable.net.errors import InvalidUrl
from durable.net.hosts import parse_host

_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_URL = 65_536

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?"
)
_AUTHORITY = re.compile(r"(?:(?P<userinfo>.*)@)?(?P<host>\[[^\]]*\]|[^:@\[\]]*)(?::(?P<port>[0-9]*))?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Besides letters and digits; what a browser leaves as it is (WHATWG URL standard, percent-encode sets).
_SAFE_IN_PATH = "!$%&'()*+,-./:;=@[]^_|~"
_SAFE_IN_QUERY = _SAFE_IN_PATH.replace("'", "") + "?`{}\\"


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed URL. `host` is canonical; `address` is set when it is one; `path` includes the query.

    `authorization` is made of the user and password in the URL, and is nowhere else: not in `url`, not in the repr.
    """

    scheme: str
    host: str
    address: Address | None
    port: int
    path: str
    authorization: bytes | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> Target:
        """Take an absolute URL apart. Raises InvalidUrl with a reason that shows nothing of the URL."""
        if len(url) > _MAX_URL:
            raise InvalidUrl(f"the URL is longer than {_MAX_URL} characters")
        if _CONTROL.search(url):
            raise InvalidUrl("the URL has control characters in it")
        found = _URL.match(url.strip(" "))
        if found is None:
            raise InvalidUrl("the URL is not absolute: it begins with http:// or https://")
        scheme = found["scheme"].lower()
        if scheme not in _DEFAULT_PORTS:
            raise InvalidUrl(f"the scheme {scheme[:20]!r} is neither http nor https")
        userinfo, host, port = _split_authority(found["authority"])
        name, address = parse_host(host)
        path = _path(found["path"], found["query"])
        return cls(scheme, name, address, _port(port, scheme), path, _authorization(userinfo))

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: two URLs with the same origin reach the same server."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them, the port only where it is not the default."""
        host = f"[{self.host}]" if self.address is not None and self.address.version == 6 else self.host.rstrip(".")
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL without user, password and fragment."""
        return f"{self.scheme}://{self.authority}{self.path}"

    def join(self, location: str) -> Target:
        """The target of a redirect from here. Raises InvalidUrl."""
        if _CONTROL.search(location):
            raise InvalidUrl("the URL has control characters in it")
        try:
            return Target.parse(urljoin(self.url, location))
        except ValueError:  # urljoin, of brackets that do not match
            raise InvalidUrl("the URL has no valid host") from None

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def _split_authority(authority: str) -> tuple[str | None, str, str | None]:
    found = _AUTHORITY.fullmatch(authority)
    # Browsers read a backslash as a slash, others as a part of the user name: it would be two hosts.
    if found is None or not found["host"] or "\\" in authority:
        raise InvalidUrl("the URL has no valid host")
    return found["userinfo"], found["host"], found["port"]


def _port(text: str | None, scheme: str) -> int:
    if not text:
        return _DEFAULT_PORTS[scheme]
    if len(text) > 10 or not 1 <= int(text) <= 65535:
        raise InvalidUrl("the port is not a number from 1 to 65535")
    return int(text)


def _authorization(userinfo: str | None) -> bytes | None:
    if not userinfo:
        return None
    user, _, password = userinfo.partition(":")
    return b"Basic " + b64encode(unquote_to_bytes(user) + b":" + unquote_to_bytes(password))


def _path(path: str, query: str | None) -> str:
    encoded = quote(_without_dots(path or "/"), safe=_SAFE_IN_PATH)
    return encoded if query is None else f"{encoded}?{quote(query, safe=_SAFE_IN_QUERY)}"


def _without_dots(path: str) -> str:
    """The path with its `.` and `..` resolved (RFC 3986, 5.2.4), also where the dots are percent-encoded."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for number, segment in enumerate(segments, 1):
        plain = segment.lower().replace("%2e", ".")
        if plain == "..":
            kept[-1:] = []
        elif plain != ".":
            kept.append(segment)
        if plain in (".", "..") and number == len(segments):
            kept.append("")
    return "/" + "/".join(kept)
