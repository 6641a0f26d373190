"""Plugins of installed packages, found by their entry points."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points

from durable.errors import ConfigError
from durable.plugins.plugin import Plugin

GROUP = "durable.plugins"


def installed(names: Sequence[str] | None = None) -> list[Plugin]:
    """An object of every installed plugin, or of those with these names, in this order. None of them is started.

    Raises ConfigError for a name that no package has, or two have, and for a plugin that cannot be loaded.
    """
    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, []).append(entry)
    return [_load(_the_only(name, found)) for name in (sorted(found) if names is None else names)]


def _the_only(name: str, found: dict[str, list[EntryPoint]]) -> EntryPoint:
    entries = found.get(name, [])
    if not entries:
        there = ", ".join(sorted(found)) or "none"
        raise ConfigError(f"plugins: no installed package has the plugin {name!r} (installed: {there})")
    if len({entry.value for entry in entries}) > 1:
        packages = ", ".join(sorted(_package(entry) for entry in entries))
        raise ConfigError(f"two packages have a plugin {name!r}: {packages}; uninstall one")
    return entries[0]


def _load(entry: EntryPoint) -> Plugin:
    try:
        plugin = entry.load()()
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"the plugin {entry.name!r} ({entry.value}, of {_package(entry)}) cannot be loaded: "
            f"{type(error).__name__}: {_one_line(error)}"
        ) from error
    if not isinstance(plugin, Plugin):
        raise ConfigError(
            f"the entry point {entry.name!r} of {_package(entry)} is no plugin: {entry.value} must be a subclass of "
            "durable.plugins.Plugin, or a function that returns an object of one"
        )
    plugin.name = entry.name
    return plugin


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "an unknown package"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
