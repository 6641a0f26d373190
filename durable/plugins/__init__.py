"""Host functions of your own: what the author of a plugin imports (docs/plugins.md).

    class Mail(Plugin):
        types = Path(__file__).with_name("mail.wasm")

        @effect
        async def send(self, call: Call, message: Any) -> str: ...

Importing this brings neither wasmtime nor psycopg: whoever only loads a plugin, to check a program against it, must
not pay for running it.
"""

from __future__ import annotations

from durable.plugins.call import Call
from durable.plugins.declaring import effect, local, pure, transactional
from durable.plugins.errors import ResultError, TaskFailure, Unavailable
from durable.plugins.installed import installed
from durable.plugins.plugin import Plugin
from durable.wasm.resources import Resource
from durable.wasm.values import Case, Err, Ok

__all__ = [
    "Call",
    "Case",
    "Err",
    "Ok",
    "Plugin",
    "Resource",
    "ResultError",
    "TaskFailure",
    "Unavailable",
    "effect",
    "installed",
    "local",
    "pure",
    "transactional",
]
