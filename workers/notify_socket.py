"""The protocol of sd_notify(3): datagrams to the socket that a service manager names in the environment."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import MutableMapping

logger = logging.getLogger("durable.supervisor")

#: Seconds that a service manager may keep us waiting: workers die meanwhile.
_SEND_WITHIN = 0.1


class NotifySocket:
    """Where to send to, or nowhere. `watchdog` is the time in seconds within which WATCHDOG=1 has to come, None when
    nobody waits for it.
    """

    def __init__(self, address: str | None, watchdog: float | None = None) -> None:
        self._address = address
        self.watchdog = watchdog if address else None

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> NotifySocket:
        """Take what it says out of it: children must not speak for the service."""
        address = environ.pop("NOTIFY_SOCKET", "")
        microseconds = environ.pop("WATCHDOG_USEC", "")
        for_whom = environ.pop("WATCHDOG_PID", "") or str(os.getpid())
        wanted = microseconds.isdecimal() and int(microseconds) > 0 and for_whom == str(os.getpid())
        return cls(address or None, int(microseconds) / 1e6 if wanted else None)

    @property
    def is_open(self) -> bool:
        return self._address is not None

    def send(self, *assignments: str) -> None:
        """Send, as one message. A manager that does not listen is no reason to fail."""
        if self._address is None:
            return
        # @ stands for the zero byte of an abstract address.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            # Opened for each message, so that no child inherits it.
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(_SEND_WITHIN)
                sender.sendto("\n".join(assignments).encode(), address)
        except OSError as error:
            logger.warning("cannot notify the service manager: %s", error)
