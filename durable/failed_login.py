"""What is left of an attempt to log in that failed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from traceback import clear_frames


@contextmanager
def no_socket_kept() -> Iterator[None]:
    """Within it psycopg connects; the socket of a failed attempt is closed with the error.

    psycopg leaves it to the variables of its functions. The error keeps those, and some of them the error, so that it
    would be open until a garbage collection: a server too busy to let anybody in would have more and more at its door.
    """
    try:
        yield
    except BaseException as error:
        clear_frames(error.__traceback__)
        raise
