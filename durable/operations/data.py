"""Names and data that an application hands over, checked before a statement is sent.

A refusal by the database would come too late: it aborts the transaction that the caller is in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from durable.errors import InvalidTask
from durable.journal.json_text import MAX_DEPTH, check_json

#: Made once: `json.dumps` makes a new encoder for every call that is not by its defaults.
encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


@dataclass(frozen=True, slots=True)
class Json:
    """JSON text that is passed on as it is, where otherwise a Python object would be expected."""

    text: str


def task_name(name: str) -> str:
    """The name itself. Raises InvalidTask for one that cannot be stored."""
    return _name(name, "the task name")


def program_name(name: str) -> str:
    """The name itself. Raises InvalidTask for one that cannot be stored."""
    return _name(name, "the program name")


def _name(name: str, what: str) -> str:
    if not name:
        raise InvalidTask(f"{what} must not be an empty string")
    return storable(name, what)


def storable(text: str, what: str) -> str:
    """The text itself when PostgreSQL can store it as text. Raises InvalidTask."""
    if "\0" in text:
        raise InvalidTask(f"{what} must not contain the character U+0000")
    if not _is_unicode(text):
        raise InvalidTask(f"{what} is not valid Unicode text")
    return text


def task_data(data: object, limit: int) -> str:
    """JSON text of a task's data, at most `limit` bytes. Raises InvalidTask."""
    text = json_text(data, "task data")
    if (size := len(text) if text.isascii() else len(text.encode())) > limit:
        raise InvalidTask(
            f"the task data has {size} bytes; max_task_data_bytes allows {limit}\n"
            "store what is so large elsewhere, and tell the task where it is"
        )
    return text


def notification_data(data: object, event: str, limit: int) -> str:
    """JSON text of a notification's data; with its event at most `limit` bytes. Raises InvalidTask."""
    text = json_text(data, "notification data")
    if len(text.encode()) + len(event.encode()) > limit:
        raise InvalidTask(f"the notification is larger than max_notification_bytes ({limit})")
    return text


def json_text(data: object, what: str) -> str:
    """JSON text that jsonb takes, of an object or of a `Json`. Raises InvalidTask: what is wrong, and where."""
    try:
        text = data.text if isinstance(data, Json) else encode(data)
        if not _is_unicode(text):
            raise ValueError("half of a surrogate pair is no text")
        check_json(text)
    except RecursionError:
        raise _not_json(what, f"it is nested deeper than {MAX_DEPTH} levels") from None
    except (TypeError, ValueError) as error:
        raise _not_json(what, str(error)) from None
    return text


def _not_json(what: str, reason: str) -> InvalidTask:
    return InvalidTask(f"provided {what} was not valid json\n{reason}")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
