"""HTTP for running tasks: only what cannot be forgotten is sent, and only by who still has the task."""

from __future__ import annotations

from collections.abc import Callable

from durable import metrics
from durable.execution.tail import Tail
from durable.failpoints import passing
from durable.journal.faults import JournalUnavailable
from durable.net.client import Client
from durable.net.errors import (
    ConnectFailed,
    EgressRefused,
    HttpError,
    InvalidRequest,
    NotPermitted,
    RequestTooLarge,
    ResponseTooLarge,
    TimedOut,
)
from durable.net.message import Request, Response


class GuestHttp:
    """Sends for the tasks of one registered worker, as long as `lease_is_trusted` says that they are still its own.

    `lease_is_trusted` is asked in other threads, too.
    """

    def __init__(self, client: Client, lease_is_trusted: Callable[[], bool]) -> None:
        self._client = client
        self._lease_is_trusted = lease_is_trusted

    async def send(self, request: Request, tail: Tail) -> Response:
        """The response, once everything in the task's tail is durable: the request may follow from any of it.

        Raises HttpError; JournalUnavailable and Fenced when nothing was sent and the task is not to go on here.
        """
        await tail.durable()
        passing("request.before")
        try:
            response = await self._client.send(request, lambda: tail.broken is None and self._lease_is_trusted())
        except NotPermitted:
            raise JournalUnavailable(
                "its lease could not be renewed for too long to send an HTTP request under it"
            ) from None
        except HttpError as error:
            metrics.http_requests[_outcome(error)].inc()
            raise
        passing("response.here")
        metrics.http_requests[f"{response.status // 100}xx"].inc()
        return response


def _outcome(error: HttpError) -> str:
    return next((outcome for kind, outcome in _OUTCOMES if isinstance(error, kind)), "failed")


_OUTCOMES: tuple[tuple[type[HttpError], str], ...] = (
    (TimedOut, "timeout"),
    (ConnectFailed, "connect"),
    (EgressRefused, "refused"),
    (RequestTooLarge, "too_large"),
    (ResponseTooLarge, "too_large"),
    (InvalidRequest, "invalid"),
)
