"""The plugins of one worker: checked and bound, started before its first task, closed after its last."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import wasmtime

from durable.errors import ConfigError, DurableError, TryAgain
from durable.plugins.binding import host_function
from durable.plugins.invoking import Invoker
from durable.plugins.plugin import Plugin
from durable.plugins.types import add_types, match
from durable.wasm.linker import HostFunction
from durable.wasm.world import World

_log = logging.getLogger("durable.plugins")
#: Seconds that a plugin may take to start, and to close.
START_TIMEOUT = 60.0
CLOSE_TIMEOUT = 10.0


class LoadedPlugins:
    """Adds the interfaces of plugins to a world, and has the host functions for them.

    Raises ConfigError, with the plugin's name, when one does not fit its types, the host or another plugin.
    """

    def __init__(self, plugins: Sequence[Plugin], world: World, engine: wasmtime.Engine) -> None:
        self.functions: dict[str, dict[str, HostFunction]] = {}
        #: What is loaded: the name of each plugin with its interfaces.
        self.interfaces: dict[str, list[str]] = {}
        self._started: list[Plugin] = []
        self._invokers: list[Invoker] = []
        self._plugins = plugins
        for plugin in plugins:
            self._load(plugin, world, engine)

    def _load(self, plugin: Plugin, world: World, engine: wasmtime.Engine) -> None:
        if not isinstance(plugin, Plugin):
            raise ConfigError(f"{plugin!r} is not a plugin: pass objects of subclasses of durable.plugins.Plugin")
        plugin.name = plugin.name or type(plugin).__name__
        if plugin.name in self.interfaces:
            raise ConfigError(f"two plugins are called {plugin.name!r}; give one another `name`")
        if not isinstance(plugin.threads, int) or plugin.threads < 1:
            raise ConfigError(f"the plugin {plugin.name!r}: threads is {plugin.threads!r}; at least 1 is needed")
        interfaces = add_types(world, engine, plugin)
        self.interfaces[plugin.name] = [interface.name for interface in interfaces]
        invoker = Invoker(plugin.name, plugin.threads)
        self._invokers.append(invoker)
        for implementation in match(plugin, interfaces):
            functions = self.functions.setdefault(implementation.interface, {})
            functions[implementation.name] = host_function(plugin, implementation, invoker)

    async def start(self) -> None:
        """Start all, in order. Raises TryAgain, or the DurableError that a plugin raised, when one does not start."""
        for plugin in self._plugins:
            try:
                async with asyncio.timeout(START_TIMEOUT):
                    await plugin.start()
            except DurableError:
                raise
            except (Exception, SystemExit) as error:
                raise TryAgain(
                    f"the plugin {plugin.name!r} cannot start: {type(error).__name__}: {' '.join(str(error).split())}"
                ) from error
            self._started.append(plugin)

    async def close(self) -> None:
        """Close those that were started, the last first."""
        while self._started:
            plugin = self._started.pop()
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await plugin.close()
            except (Exception, SystemExit):
                _log.exception("closing the plugin %r failed", plugin.name)
        for invoker in self._invokers:
            invoker.close()
