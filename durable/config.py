"""What can be set, where a setting comes from, and which settings fit together. Reads only what it is handed."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from durable import address
from durable import database_url as urls
from durable.address import Address
from durable.egress import EgressRule, naming_rules, rules, show_rules
from durable.errors import ConfigError
from durable.quantity import duration, show_duration, show_size, size

SYSTEM_FILE = Path("/etc/durable/durable.toml")
ENV_PREFIX = "DURABLE_"

OFF = "off"

KiB, MiB, GiB = 1024, 1024**2, 1024**3
DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Kind:
    """How a sort of value is read and shown. `read` raises ValueError with text that says how to write it."""

    name: str
    read: Callable[[object], Any]
    show: Callable[[Any], str] = str


@dataclass(frozen=True, slots=True)
class Key:
    """All that is known about one key: loading, `durable config`, flags and documentation share it."""

    name: str
    kind: Kind
    default: Any
    doc: str
    least: float | None = None
    most: float | None = None

    @property
    def env(self) -> str:
        return ENV_PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    def read(self, value: object) -> Any:
        """The value in its own type and within its bounds. Raises ValueError."""
        read = self.kind.read(value)
        if self.least is not None and read < self.least:
            raise ValueError(f"must be at least {self.kind.show(self.least)}")
        if self.most is not None and read > self.most:
            raise ValueError(f"must be at most {self.kind.show(self.most)}")
        return read


def _count(value: object) -> int:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("write a whole number")
    return value


def _path(value: object) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError("write a path")
    return _expanded(value)


def _expanded(path: str | Path) -> Path:
    """With a home folder in the place of ~. Raises ValueError when there is none."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ValueError("there is no home folder for its ~") from None


def _switch(value: object) -> bool:
    if value in ("true", "false"):
        return value == "true"
    if not isinstance(value, bool):
        raise ValueError("write true or false")
    return value


def _proxy(value: object) -> str:
    parts = urlsplit(value.strip()) if isinstance(value, str) else None
    try:
        valid = parts is not None and parts.scheme == "http" and parts.hostname and parts.port is not None
    except ValueError:  # of the port
        valid = False
    if parts is None or not valid or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("write http://HOST:PORT, with USER:PASSWORD@ before the host if the proxy wants them")
    return parts.geturl()


def _address_or_off(value: object) -> str:
    if isinstance(value, str):
        with suppress(ValueError):
            return OFF if value.strip() == OFF else str(Address.parse(value))
    raise ValueError(f"{address.HELP}, or off")


def _header_name(value: object) -> str:
    if not isinstance(value, str) or not _TOKEN.fullmatch(value) or value.lower() in _OTHER_HEADERS:
        raise ValueError("write the name of a header that has no other meaning, such as Idempotency-Key")
    return value


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OTHER_HEADERS = frozenset({
    "accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "cookie", "expect",
    "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "user-agent",
})  # fmt: skip


def _names(value: object) -> tuple[str, ...]:
    entries = value.split(",") if isinstance(value, str) else value
    if not isinstance(entries, list | tuple) or not all(isinstance(entry, str) for entry in entries):
        raise ValueError("write a list of names, in a variable or a flag with commas between them, or none")
    names = tuple(dict.fromkeys(entry.strip() for entry in entries if entry.strip()))
    return () if names == ("none",) else names


def _one_of(*choices: str) -> Kind:
    def read(value: object) -> str:
        if value not in choices:
            raise ValueError("write one of " + ", ".join(choices))
        return str(value)

    return Kind("|".join(choices), read)


URL = Kind("url", urls.checked, urls.redacted)
SECONDS = Kind("duration", duration, show_duration)
BYTES = Kind("size", size, show_size)
COUNT = Kind("count", _count)
PATH = Kind("path", _path)
SWITCH = Kind("true|false", _switch, lambda value: "true" if value else "false")
RULES = Kind("rules", rules, show_rules)
NAMING_RULES = Kind("rules", naming_rules, show_rules)
PROXY = Kind("url", _proxy, lambda value: urls.redacted(str(value)))
ADDRESS = Kind("host:port", _address_or_off)
HEADER = Kind("header", _header_name)
NAMES = Kind("names", _names, lambda value: "all" if value is None else ", ".join(value) or "none")
LOG_FORMAT = _one_of("auto", "human", "json")
LOG_LEVEL = _one_of("debug", "info", "warning", "error")


def default_cache_folder(environ: Mapping[str, str]) -> Path:
    """`durable` in the user's cache folder: XDG_CACHE_HOME, or ~/.cache when it is not set. Raises ConfigError."""
    try:
        return _expanded(environ.get("XDG_CACHE_HOME") or "~/.cache") / "durable"
    except ValueError:
        raise ConfigError(
            "cache_folder: this user has no home folder to have it in; "
            f"set {ENV_PREFIX}CACHE_FOLDER, or cache_folder in the configuration file"
        ) from None


def _key(
    kind: Kind,
    default: Any,
    doc: str,
    *,
    least: float | None = None,
    most: float | None = None,
    repr: bool = True,
) -> Any:
    return field(default=default, repr=repr, metadata=_about(kind, doc, least, most))


def _about(kind: Kind, doc: str, least: float | None = None, most: float | None = None) -> Mapping[str, Any]:
    return {"kind": kind, "doc": doc, "least": least, "most": most}


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting, checked. Durations are seconds, sizes are bytes.

    A `Config` made by hand is not checked against the relations between keys: `load` does that.
    """

    database_url: str | None = _key(
        URL, None, "Where PostgreSQL is. None: an embedded server in the user's data folder.", repr=False
    )
    heartbeat_interval: float = _key(
        SECONDS,
        10.0,
        "How often a worker renews its leases; at most a third of heartbeat_timeout.",
        least=0.01,
    )
    heartbeat_timeout: float = _key(
        SECONDS,
        30.0,
        "A worker silent for this long has lost its leases, and its tasks go to others.",
        least=0.5,
    )
    suspend_timeout: float = _key(
        SECONDS, 10.0, "A task that must wait longer than this is suspended and its memory given back."
    )
    max_tasks: int = _key(COUNT, 1000, "Tasks that one worker runs at the same time, at most 5000.", least=1)
    max_http_timeout: float = _key(
        SECONDS,
        60.0,
        "The longest a guest's HTTP request may take, and how long when it does not say.",
        least=0.001,
    )
    max_http_body: int = _key(
        BYTES,
        4 * MiB,
        "The largest body of a guest's HTTP request, and of a response as it came and decoded.",
        least=1,
        most=255 * MiB,
    )
    max_http_requests: int = _key(
        COUNT, 64, "HTTP requests that one worker has under way; more wait for their turn.", least=1, most=1000
    )
    http_idempotency_header: str | None = _key(
        HEADER, None, "A header with a key that is the same when a request is sent again. None: not sent."
    )
    egress_allow: tuple[EgressRule, ...] = _key(
        NAMING_RULES, (), "Where HTTP requests may go besides public addresses: names, addresses, networks, with ports."
    )
    egress_deny: tuple[EgressRule, ...] = _key(
        RULES, (), "Where HTTP requests may not go. `*` is everything that egress_allow does not name."
    )
    egress_private: bool = _key(
        SWITCH, False, "Whether HTTP requests may go to private networks (RFC 1918, unique-local, carrier-grade NAT)."
    )
    egress_proxy: str | None = _key(
        PROXY, None, "The proxy that HTTP requests go through. None: none, whatever the environment says.", repr=False
    )
    max_workflow_events: int = _key(
        COUNT, 2147483647, "Events in one task's journal; one more fails the task.", least=1, most=2147483647
    )
    max_journal_bytes: int = _key(
        BYTES,
        GiB,
        "Labels and values in one task's journal, as text; an event beyond it fails the task.",
        least=1,
    )
    max_log_bytes_per_transaction: int = _key(
        BYTES,
        128 * KiB,
        "What one recorded call may print; the rest is cut and a marker says how much.",
        least=1,
    )
    max_task_log_bytes: int = _key(
        BYTES,
        64 * MiB,
        "What one task may print in one run, replayed text included; more fails the task.",
        least=1,
    )
    max_returned_buffer_len: int = _key(
        BYTES, 8 * MiB, "The largest buffer that a guest may ask the host for; a larger one fails the task.", least=1
    )
    max_event_bytes: int = _key(
        BYTES,
        4 * MiB,
        "The largest value of one event, as JSON text; a larger one fails the task.",
        least=1,
        most=255 * MiB,
    )
    max_notification_bytes: int = _key(
        BYTES,
        MiB,
        "The largest data of one notification with its event, as JSON text; its sender gets an error.",
        least=1,
        most=255 * MiB,
    )
    max_task_data_bytes: int = _key(
        BYTES,
        16 * MiB,
        "The largest data of one task, as JSON text; a launch with more is refused.",
        least=1,
        most=255 * MiB,
    )
    cleanup_age: float = _key(SECONDS, 7 * DAY, "How long an ended task is kept, with its journal and its log.")
    cleanup_batch_limit: int = _key(COUNT, 10000, "Tasks that one statement of the clean-up deletes at most.", least=1)
    wasm_entry_ttl: float = _key(SECONDS, DAY, "How long a program that no task uses is kept after its last use.")
    max_concurrent_compilations: int = _key(COUNT, 1, "Programs that one worker compiles at the same time.", least=1)
    compile_timeout: float = _key(
        SECONDS, 120.0, "How long the compilation of one program may take; a longer one fails its tasks.", least=1.0
    )
    compile_memory_limit: int = _key(
        BYTES,
        2 * GiB,
        "The memory that the compilation of one program may take; more fails its tasks.",
        least=256 * MiB,
    )
    flush_interval: float = _key(
        SECONDS, 0.02, "The longest that a recorded event without outside effect stays uncommitted.", most=1.0
    )
    poll_interval: float = _key(SECONDS, 1.0, "How often the database is asked again when no hint arrived.", least=0.01)
    drain_timeout: float = _key(
        SECONDS,
        30.0,
        "How long a worker may take to hand its tasks back before it is killed; open transactions have half of it.",
    )
    hang_timeout: float = _key(
        SECONDS,
        60.0,
        "A worker whose event loop has stood still for this long is aborted and replaced.",
        least=5.0,
    )
    guest_memory_limit: int = _key(BYTES, 256 * MiB, "The memory of one running task.", least=64 * KiB, most=4 * GiB)
    guest_cpu_slice: float = _key(
        SECONDS,
        0.01,
        "How long a guest computes before other tasks of its worker get a turn.",
        least=0.001,
        most=1.0,
    )
    guest_cpu_limit: float = _key(
        SECONDS,
        60.0,
        "The computing time between two recorded calls, waiting not counted; more fails the task.",
    )
    guest_database_url: str | None = _key(
        URL,
        None,
        "The login for the SQL of workflows, which reaches only what it was granted. None: database_url.",
        repr=False,
    )
    guest_sql_connections: int = _key(COUNT, 8, "Database connections of one worker for SQL of workflows.", least=1)
    guest_sql_timeout: float = _key(
        SECONDS, 60.0, "How long one statement of a workflow may run, or its commit; more fails the task."
    )
    plugins: tuple[str, ...] | None = _key(
        NAMES, None, "The installed plugins whose functions workflows may call. None: all that are installed."
    )
    cache_folder: Path = field(
        default_factory=lambda: default_cache_folder(os.environ),
        metadata=_about(PATH, "Where compiled programs are kept, for all workers of a host."),
    )
    metrics_addr: str = _key(
        ADDRESS, "127.0.0.1:9321", "Where Prometheus metrics and health are served, HOST:PORT; off: nowhere."
    )
    log_format: str = _key(LOG_FORMAT, "auto", "auto is human on a terminal and json elsewhere.")
    log_level: str = _key(LOG_LEVEL, "info", "The least severe records that are logged.")
    log_file: Path | None = field(
        default=None,
        metadata=_about(PATH, "The file that supervise appends its log to, opened anew at SIGUSR1. None: stderr."),
    )

    #: Where each value that is not a default was found, as text for people.
    sources: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def idle_in_transaction_timeout(self) -> float:
        """Seconds after which PostgreSQL ends a session that is stopped inside a transaction.

        Below the lease, so that a stopped process cannot hide its tasks behind row locks when others may have
        them.
        """
        return min(self.heartbeat_timeout / 6, 10.0)

    def source_of(self, key: str) -> str:
        """Where the value of this key comes from: a flag, a variable, a file, or `default`."""
        return self.sources.get(key, "default")

    def with_database_url(self, url: str, source: str) -> Config:
        """This configuration with another database."""
        return replace(self, database_url=url, sources={**self.sources, "database_url": source})


KEYS: Mapping[str, Key] = {
    one.name: Key(name=one.name, default=one.default, **one.metadata) for one in fields(Config) if one.metadata
}

_Found = dict[str, tuple[object, str]]  # key → value as written, and where


def load(flags: Mapping[str, object], environ: Mapping[str, str], file: Path | None = None) -> Config:
    """The configuration: a flag wins over a variable, a variable over a credential of the service manager, that over
    the file, the file over the default.

    `flags` maps keys to values, None meaning not given. `file` is the file named by a flag; without it the
    one that DURABLE_CONFIG names is read, or `SYSTEM_FILE` when there is one.

    Raises ConfigError for a file that cannot be read, an unknown key, a bad value, or values that do not fit
    together.
    """
    found = _from_file(file, environ) | _from_credentials(environ) | _from_environ(environ)
    found |= {key: (value, KEYS[key].flag) for key, value in flags.items() if value is not None}
    if "cache_folder" not in found:
        found["cache_folder"] = (default_cache_folder(environ), "default")
    values = {key: _read(KEYS[key], value, source) for key, (value, source) in found.items()}
    config = Config(**values, sources={key: source for key, (_, source) in found.items()})
    check_relations(config)
    return config


def check_relations(config: Config) -> None:
    """Raise ConfigError when two values of the configuration do not fit together."""
    for holds, message in _RELATIONS:
        if not holds(config):
            shown = {key.name: key.kind.show(getattr(config, key.name)) for key in KEYS.values() if key.kind is not URL}
            raise ConfigError(message.format_map(shown))


_ROUNDING = 1.000001  # 0.2 * 3 is not 0.6

_RELATIONS: tuple[tuple[Callable[[Config], bool], str], ...] = (
    (
        # Two renewals may be lost before anybody else takes the tasks.
        lambda c: c.heartbeat_interval * 3 <= c.heartbeat_timeout * _ROUNDING,
        "heartbeat_interval ({heartbeat_interval}) must be at most a third of heartbeat_timeout ({heartbeat_timeout})",
    ),
    (
        lambda c: c.idle_in_transaction_timeout < c.heartbeat_timeout,
        "heartbeat_timeout ({heartbeat_timeout}) must be longer than the idle-in-transaction timeout",
    ),
    (
        # Until then its leases hold, and it may only be slow.
        lambda c: c.hang_timeout >= c.heartbeat_timeout,
        "hang_timeout ({hang_timeout}) must be at least heartbeat_timeout ({heartbeat_timeout})",
    ),
    (
        lambda c: c.flush_interval * 3 <= c.heartbeat_timeout * _ROUNDING,
        "flush_interval ({flush_interval}) must be at most a third of heartbeat_timeout ({heartbeat_timeout})",
    ),
    (
        lambda c: c.max_tasks <= 5000,
        "max_tasks ({max_tasks}) must be at most 5000: each task needs memory maps, and the kernel allows "
        "a process 65530 (vm.max_map_count); run more workers instead",
    ),
    (
        lambda c: c.max_log_bytes_per_transaction <= c.max_task_log_bytes,
        "max_log_bytes_per_transaction ({max_log_bytes_per_transaction}) must not exceed max_task_log_bytes "
        "({max_task_log_bytes})",
    ),
    (
        lambda c: c.guest_cpu_slice <= c.guest_cpu_limit,
        "guest_cpu_slice ({guest_cpu_slice}) must not exceed guest_cpu_limit ({guest_cpu_limit})",
    ),
)


def _read(key: Key, value: object, source: str) -> Any:
    try:
        return key.read(value)
    except ValueError as error:
        where = key.name if source == "default" else f"{key.name} (from {source})"
        said = "" if key.kind in (URL, PROXY) else f" {value!r}:"
        raise ConfigError(f"{where}:{said} {error}") from None


def _from_file(file: Path | None, environ: Mapping[str, str]) -> _Found:
    named = file or (Path(environ["DURABLE_CONFIG"]) if environ.get("DURABLE_CONFIG") else None)
    try:
        path = _expanded(named or SYSTEM_FILE)
    except ValueError as error:
        raise ConfigError(f"cannot read the configuration file {named}: {error}") from None
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named is None:
            return {}
        raise ConfigError(f"there is no configuration file {path}") from None
    except OSError as error:
        raise ConfigError(f"cannot read the configuration file {path}: {error.strerror}") from None
    except ValueError as error:  # bad TOML, or not UTF-8
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    for name in written:
        if name not in KEYS:
            raise ConfigError(f'unknown key "{name}" in {path}; did you mean "{_nearest(name)}"?')
    return {name: (value, str(path)) for name, value in written.items()}


#: The keys whose values may hold a password, and which a service manager can therefore hand over as credentials.
CREDENTIALS = ("database_url", "guest_database_url", "egress_proxy")


def _from_credentials(environ: Mapping[str, str]) -> _Found:
    """Files of the folder that systemd names: readable by the service alone, and in nobody's environment."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    found: _Found = {}
    for name in CREDENTIALS if folder else ():
        path = Path(str(folder)) / name
        try:
            found[name] = (path.read_text(encoding="utf-8").strip(), f"credential {name}")
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise ConfigError(f"cannot read the credential {path}: {why}") from None
    return found


def _from_environ(environ: Mapping[str, str]) -> _Found:
    """An empty variable counts as not set, as compose files and unit files produce it."""
    found: _Found = {}
    if environ.get("DATABASE_URL"):
        found["database_url"] = (environ["DATABASE_URL"], "DATABASE_URL")
    for variable, value in environ.items():
        if not variable.startswith(ENV_PREFIX) or not value or _is_of_others(variable):
            continue
        name = variable.removeprefix(ENV_PREFIX).lower()
        if name not in KEYS:
            nearest = KEYS[_nearest(name)].env
            raise ConfigError(f'unknown variable "{variable}" in the environment; did you mean "{nearest}"?')
        found[name] = (value, variable)
    return found


def _is_of_others(variable: str) -> bool:
    """True for our own switches, and for what Kubernetes sets for a service that is called durable.

    DURABLE_GUEST_CACHE is read by guest-rust/build, DURABLE_SEED by the tests.
    """
    name = variable.removeprefix(ENV_PREFIX)
    if name in ("CONFIG", "GUEST_CACHE", "SEED") or name.startswith(("FAILPOINT", "TEST_")):
        return True
    return name == "PORT" or name.startswith(("PORT_", "SERVICE_HOST", "SERVICE_PORT"))


def _nearest(name: str) -> str:
    return get_close_matches(name.lower().replace("-", "_"), KEYS, n=1, cutoff=0.0)[0]
