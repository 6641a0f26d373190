from tests.engine.conftest import database, start_service

__all__ = ["database", "start_service"]
