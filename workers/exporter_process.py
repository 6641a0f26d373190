"""What runs in the exporter process. For now it only waits until it is told to end."""

from __future__ import annotations

import selectors
from pathlib import Path

from durable.config import Config
from workers.link import Drain, Link


def run(config: Config, link: Link, metrics_folder: Path) -> int:
    """Runs until the supervisor says `Drain` or is gone; returns the exit status."""
    with selectors.PollSelector() as selector:
        selector.register(link, selectors.EVENT_READ)
        while not link.ended:
            selector.select()
            if any(isinstance(message, Drain) for message in link.receive()):
                break
    return 0
