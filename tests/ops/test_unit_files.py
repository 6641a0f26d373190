"""The systemd units: one source for what lies in ops/ and what `durable service install` writes, and as it must be."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from durable.cli.unit_file import Unit, quoted
from durable.config import KEYS

OPS = Path(__file__).parents[2] / "ops"
NAMES = ["durable", "durable@"]
EXPOSURE = 2.0  # of 10, which is an open door

needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not on the PATH (Debian: apt install systemd)"
)


def directives(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for line in text.splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found[name].append(value)
    return found


def _system(name: str = "durable") -> dict[str, list[str]]:
    return directives(Unit(name, ["/opt/durable/bin/durable"]).text())


def _user() -> dict[str, list[str]]:
    return directives(Unit("durable", ["/opt/durable/bin/durable"], for_user=True).text())


@pytest.mark.parametrize("name", NAMES)
def test_the_files_in_ops_are_what_install_writes_for_an_installation_in_opt(name: str) -> None:
    assert (OPS / f"{name}.service").read_text() == Unit(name, ["/opt/durable/bin/durable"]).text()


@pytest.mark.parametrize("unit", [_system(), _system("durable@"), _user()], ids=["system", "instances", "user"])
def test_it_is_restarted_but_not_after_a_configuration_error(unit: dict[str, list[str]]) -> None:
    assert (unit["Type"], unit["NotifyAccess"]) == (["notify"], ["main"])
    assert (unit["Restart"], unit["RestartPreventExitStatus"]) == (["on-failure"], ["78"])
    assert unit["StartLimitIntervalSec"] == ["0"], "an hour without a database must not end it for good"
    assert (unit["KillMode"], unit["OOMPolicy"]) == (["mixed"], ["continue"])
    assert unit["ExecReload"] == ["/bin/kill -s HUP $MAINPID"]
    assert unit["WatchdogSec"] == ["30"]


def test_it_may_take_longer_to_stop_than_a_drain() -> None:
    for unit in (_system(), _user()):
        assert float(unit["TimeoutStopSec"][0]) > KEYS["drain_timeout"].default


def test_the_jit_may_write_code_and_the_boot_id_can_be_read() -> None:
    unit = _system()
    assert "MemoryDenyWriteExecute" not in unit
    assert "ProcSubset" not in unit
    assert "MemoryDenyWriteExecute must stay off" in Unit("durable", ["/x"]).text()


def test_instances_share_no_folder_and_no_file() -> None:
    plain, instances = _system(), _system("durable@")
    for key in ("StateDirectory", "CacheDirectory", "RuntimeDirectory"):
        assert (plain[key], instances[key]) == (["durable"], ["durable-%i"])
    assert plain["LoadCredential"] == ["database_url:/etc/durable/database_url"]
    assert instances["LoadCredential"] == ["database_url:/etc/durable/%i.database_url"]
    assert instances["ExecStart"] == ["/opt/durable/bin/durable supervise --config /etc/durable/%i.toml"]


def test_no_place_is_left_open() -> None:
    for name in (*NAMES, "billing"):
        for for_user in (False, True):
            left = re.findall(r"@[a-z_]+@", Unit(name, ["/x"], for_user=for_user).text().replace(f"{name}.", ""))
            assert not left


def test_what_a_person_names_is_taken_literally() -> None:
    assert quoted("/opt/durable/bin/durable") == "/opt/durable/bin/durable"
    assert quoted('/a b/100%/$HOME/"x"') == '"/a b/100%%/$$HOME/\\"x\\""'
    unit = Unit("billing", ["/x"], config=Path("/srv/100%/billing.toml"), workers=3)
    assert "ExecStart=/x supervise --config /srv/100%%/billing.toml --workers 3\n" in unit.text()


@pytest.mark.parametrize("name", ["", "a b", "../durable", "durable.service", "a@b", "@"])
def test_a_name_that_systemd_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="write a name"):
        Unit(name, ["/x"])


def _written(folder: Path, name: str) -> Path:
    """Run by a program that exists wherever the tests run: systemd-analyze looks."""
    unit = folder / f"{name}.service"
    unit.write_text(Unit(name, ["/bin/true"]).text())
    return unit


@needs_systemd
@pytest.mark.parametrize("name", NAMES)
def test_systemd_understands_every_line(name: str, tmp_path: Path) -> None:
    verified = subprocess.run(
        ["systemd-analyze", "verify", _written(tmp_path, name)], capture_output=True, text=True, timeout=60
    )
    ours = [line for line in verified.stderr.splitlines() if name in line]  # it looks at others' units, too
    assert (ours, verified.returncode) == ([], 0), verified.stderr


@needs_systemd
@pytest.mark.parametrize("name", NAMES)
def test_systemd_finds_little_that_is_exposed(name: str, tmp_path: Path) -> None:
    security = ["systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={EXPOSURE * 10:.0f}"]
    judged = subprocess.run([*security, _written(tmp_path, name)], capture_output=True, text=True, timeout=60)
    assert "Overall exposure level" in judged.stdout
    assert judged.returncode == 0, judged.stdout[-300:]
