"""The exporter as a process with the supervisor's end of its link in the hands of a test."""

from __future__ import annotations

import itertools
import json
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import NamedTuple

from tests.engine.database import wait_until
from workers.link import Drain, Fleet, Link

_numbers = itertools.count(1)
ROOT = Path(__file__).parents[2]

_PROGRAM = """
import json, socket, sys
from pathlib import Path
from durable import log_format
from durable.config import load
from workers import exporter_process
from workers.link import Link
log_format.set_up("human", "info")
fd, folder, settings = sys.argv[1:]
config = load(json.loads(settings), {})
sys.exit(exporter_process.run(config, Link(socket.socket(fileno=int(fd))), Path(folder)))
"""


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: Message

    @property
    def text(self) -> str:
        return self.body.decode()


class Exporter:
    def __init__(self, folder: Path, database_url: str, address: str) -> None:
        self.folder = folder / "metrics"
        self.folder.mkdir(exist_ok=True)
        self._log = folder / f"exporter-{next(_numbers)}.log"
        ours, theirs = socket.socketpair()
        settings = {"database_url": database_url, "metrics_addr": address, "cache_folder": str(folder)}
        with theirs, self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(theirs.fileno()), str(self.folder), json.dumps(settings)],
                pass_fds=[theirs.fileno()], stdout=log, stderr=log, cwd=ROOT,
            )  # fmt: skip
        self.link = Link(ours)

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def url(self) -> str:
        """Where it listens, once it does."""
        return wait_until(lambda: re.search(r"served at (http://\S+)/metrics", self.log), f"a port: {self.log}")[1]

    def tell(self, fleet: Fleet) -> None:
        self.link.send(fleet)

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, headers=named, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Answer(answer.status, answer.read(), answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read(), error.headers)

    def drain(self) -> int:
        self.link.send(Drain())
        return self.process.wait(30)

    def abandon(self) -> int:
        """The supervisor is gone."""
        self.link.close()
        return self.process.wait(30)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.link.close()


@contextmanager
def running_exporter(folder: Path, database_url: str, address: str = "127.0.0.1:0") -> Iterator[Exporter]:
    exporter = Exporter(folder, database_url, address)
    try:
        yield exporter
    finally:
        exporter.end()
