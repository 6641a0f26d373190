from __future__ import annotations

from tests.client.databases import empty_url

__all__ = ["empty_url"]
