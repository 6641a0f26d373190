"""The PostgreSQL that durable brings along: started when nobody gave a database URL, private to one user."""

from durable.embedded.errors import EmbeddedPostgresError
from durable.embedded.holder import Holder
from durable.embedded.server import EmbeddedServer, default_data_folder

__all__ = ["EmbeddedPostgresError", "EmbeddedServer", "Holder", "default_data_folder"]
