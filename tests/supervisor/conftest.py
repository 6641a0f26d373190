from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from .service import Service


class Start(Protocol):
    """Starts a service. `tell` are files for the fake workers, `drain_timeout`, `limits` and
    `config` as in the product.
    """

    def __call__(
        self,
        workers: int,
        *,
        tell: dict[str, str] | None = None,
        drain_timeout: float = 30.0,
        limits: dict[str, Any] | None = None,
        config: dict[str, Any] | None = None,
        environ: dict[str, str] | None = None,
    ) -> Service: ...


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    services: list[Service] = []

    def start(
        workers: int,
        *,
        tell: dict[str, str] | None = None,
        drain_timeout: float = 30.0,
        limits: dict[str, Any] | None = None,
        config: dict[str, Any] | None = None,
        environ: dict[str, str] | None = None,
    ) -> Service:
        folder = tmp_path / str(len(services))
        folder.mkdir()
        for name, text in (tell or {}).items():
            (folder / name).write_text(text)
        settings = {"drain_timeout": drain_timeout, "metrics_addr": "off", **(config or {})}
        services.append(Service(folder, workers, settings, limits or {}, environ or {}))
        return services[-1]

    yield start
    for service in services:
        service.end()
