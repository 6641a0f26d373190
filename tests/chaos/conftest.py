from __future__ import annotations

from tests.engine.conftest import database

__all__ = ["database"]
