"""Mail from within workflows: the interface `acme:mail/send`, by SMTP.

The server is MAIL_SERVER, HOST or HOST:PORT, in the environment of the workers.
"""

from __future__ import annotations

import os
import smtplib
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from durable.plugins import Call, Case, Plugin, Resource, ResultError, Unavailable, effect, local, pure

SENDER = "shop@acme.example"
PER_DAY = 500
#: Seconds. Without it a server that hangs would hang the task, and the worker when it drains.
TIMEOUT = 20.0


class Draft(Resource):
    """`resource draft`: what a workflow has written so far. On a replay the workflow writes it again."""

    def __init__(self, to: str) -> None:
        self.to = to
        self.lines: list[str] = []

    def close(self) -> None:
        """The workflow has dropped it, or is gone. A draft has nothing to give back; a file or a lock would."""


class Mail(Plugin):
    types = Path(__file__).with_name("mail.wasm")
    threads = 4

    def __init__(self) -> None:
        self.server = os.environ.get("MAIL_SERVER", "localhost")
        self.sent = 0

    # -- functions ---------------------------------------------------------------------------------------------------
    @effect(blocking=True)
    def send(self, call: Call, message: Any) -> str:
        """Outside of the process: so it is an effect. smtplib blocks: so it has a thread."""
        return self._send(call, message.to, message.subject, message.body)

    @local
    def quota(self, call: Call) -> int:
        """It differs from run to run, and changes nothing: recorded, but nothing waits for that."""
        return max(PER_DAY - self.sent, 0)

    @pure
    def domain_of(self, call: Call, address: str) -> str | None:
        """It follows from its argument alone: not recorded at all."""
        name, at, domain = address.rpartition("@")
        return domain if name and at and domain else None

    # -- drafts ------------------------------------------------------------------------------------------------------
    @pure("draft")
    def new_draft(self, call: Call, to: str) -> Draft:
        return Draft(to)

    @pure("draft.add-line")
    def add_line(self, call: Call, draft: Draft, line: str) -> None:
        draft.lines.append(line)

    @effect("draft.send", blocking=True)
    def send_draft(self, call: Call, draft: Draft, subject: str) -> str:
        return self._send(call, draft.to, subject, "\n".join(draft.lines))

    # -- inside ------------------------------------------------------------------------------------------------------
    def _send(self, call: Call, to: str, subject: str, body: str) -> str:
        if self.domain_of(call, to) is None:
            raise ResultError(Case("invalid-address", to))
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = SENDER, to, subject
        # The same when the task is run again after a crash: whoever gets it twice can tell.
        message["Message-ID"] = f"<{call.idempotency_key}@acme.example>"
        message.set_content(body)
        try:
            with self._connect() as server:
                server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            raise ResultError(Case("refused", str(error.recipients))) from None
        except (smtplib.SMTPException, OSError) as error:
            raise Unavailable(f"the mail server {self.server}: {error}", retry_after=30) from None
        self.sent += 1
        call.log(f"[mail to {to}: {subject}]\n")
        return call.idempotency_key

    def _connect(self) -> smtplib.SMTP:
        return smtplib.SMTP(self.server, timeout=TIMEOUT)
