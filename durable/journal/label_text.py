"""What is recorded of a label that a workflow gives: of the URL of an HTTP request, all but its user. Pure."""

from __future__ import annotations

import re

# As the Rust crates name a request. The user ends at the last @ of the authority, which ends at one of / ? # \.
_REQUEST_WITH_USER = re.compile(r"(durable::http::send\(\S+ [^\s:/?#]+://)[^\s/?#\\]*@")


def without_user(label: str) -> str:
    """The label without user and password of its URL, if it is that of a request: labels are shown to many."""
    found = _REQUEST_WITH_USER.match(label) if "@" in label else None
    return label if found is None else found[1] + label[found.end() :]
