"""Why there is no response. The messages are for the author of a workflow and never carry headers or credentials."""

from __future__ import annotations


class HttpError(Exception):
    """A request that came to nothing; each subclass below is one kind of it."""


class InvalidRequest(HttpError):
    """The request cannot be built, so nothing was sent."""


class InvalidMethod(InvalidRequest):
    """The method is not a token, or one that no client may use."""


class InvalidUrl(InvalidRequest):
    """The URL is not an absolute http or https URL."""


class InvalidHeaderName(InvalidRequest):
    """A header name is not a token."""


class InvalidHeaderValue(InvalidRequest):
    """A header value has characters that would end it, or contradicts the request."""


class RequestTooLarge(InvalidRequest):
    """The body is larger than the host lets out."""


class TimedOut(HttpError):
    """The time was over before the response was complete."""


class ConnectFailed(HttpError):
    """There is no connection to the server: no address, nobody listens, no agreement on TLS."""


class RequestFailed(HttpError):
    """Any other failure while sending the request or reading the response."""


class EgressRefused(RequestFailed):
    """The operator's rules do not let this request out."""


class ResponseTooLarge(RequestFailed):
    """The response, as it came or decoded, is larger than the host takes in."""


class NotPermitted(Exception):
    """The sender may not send any more; nothing was sent. Not an answer for a guest."""
