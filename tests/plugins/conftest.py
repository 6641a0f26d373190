from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.conftest import database, start_service  # noqa: F401
from tests.plugins.mailbox import Mailbox, open_mailbox

PLUGIN = Path(__file__).parents[2] / "examples" / "plugin-mail"


@pytest.fixture(scope="session")
def installed_mail(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH with the example plugin, installed by pip as any package is."""
    source = tmp_path_factory.mktemp("source") / "plugin-mail"
    shutil.copytree(PLUGIN, source, ignore=shutil.ignore_patterns("target", "build", "*.egg-info"))
    target = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True)
    return target


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with open_mailbox() as mailbox:
        yield mailbox


@pytest.fixture
def mail(installed_mail: Path, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> Mailbox:
    """The mailbox; processes that are started from now on have the plugin, and send to it."""
    monkeypatch.setenv("PYTHONPATH", str(installed_mail))
    monkeypatch.setenv("MAIL_SERVER", mailbox.address)
    return mailbox
