"""What runs in the forked exporter process: an HTTP server, a look at the database now and then, and the link."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from threading import Thread

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from durable.address import Address
from durable.config import Config
from workers.exporter_database import DatabaseWatch
from workers.exporter_http import Answer, Page, serve
from workers.exporter_metrics import ServiceMetrics
from workers.link import Drain, Fleet, Link


def run(config: Config, link: Link, metrics_folder: Path) -> int:
    """Serve the metrics that workers keep in `metrics_folder` at `config.metrics_addr`, until the supervisor says
    `Drain` or is gone, or until SIGTERM. Returns the exit status.
    """
    assert config.database_url is not None
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    database = DatabaseWatch(config.database_url)
    service = ServiceMetrics(metrics_folder, config.cache_folder, database)
    _start(database.run)
    _start(lambda: serve(Address.parse(config.metrics_addr), _pages(service, database)))
    return _heed_supervisor(link, service)


def _start(work: Callable[[], None]) -> None:
    Thread(target=work, daemon=True).start()


def _heed_supervisor(link: Link, service: ServiceMetrics) -> int:
    while not link.ended:
        select.select([link], [], [])
        for message in link.receive():
            match message:
                case Fleet():
                    service.fleet = message
                case Drain():
                    return 0
    return 0


def _pages(service: ServiceMetrics, database: DatabaseWatch) -> dict[str, Page]:
    return {
        "/metrics": lambda accept: _metrics(service, accept),
        "/healthz": lambda accept: Answer.plain(HTTPStatus.OK, "ok"),
        "/readyz": lambda accept: _readiness(service, database),
    }


def _metrics(service: ServiceMetrics, accept: str) -> Answer:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(service)
    encode, content_type = choose_encoder(accept)
    return Answer(HTTPStatus.OK, encode(registry), content_type)


def _readiness(service: ServiceMetrics, database: DatabaseWatch) -> Answer:
    fleet = service.fleet
    problems = [] if database.problem is None else [database.problem]
    if impaired := service.impaired_workers():
        problems.append(f"the database cannot write; the log of worker {', '.join(impaired)} says why")
    if not fleet.ready:
        problems.append(f"the service is not ready: {sum(fleet.up)} of {len(fleet.slots)} workers are")
    if problems:
        return Answer.plain(HTTPStatus.SERVICE_UNAVAILABLE, "\n".join(problems))
    return Answer.plain(HTTPStatus.OK, "ready")
