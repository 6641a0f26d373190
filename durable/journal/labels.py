"""The labels of the journal's contract. A transaction has the label that the workflow gave it."""

from __future__ import annotations

from typing import Final

NOTIFICATION: Final = "durable:core/notify.notification-blocking"
NOTIFICATION_TIMEOUT: Final = "durable:core/notify.notification-blocking-timeout"
NOTIFY: Final = "durable:core/notify.notify"
WALL_CLOCK: Final = "wasi:clocks/wall-clock.now"
MONOTONIC_CLOCK: Final = "wasi:clocks/monotonic-clock.now"
RANDOM_BYTES: Final = "wasi:random/random.get-random-bytes"
RANDOM_U64: Final = "wasi:random/random.get-random-u64"
INSECURE_RANDOM_BYTES: Final = "wasi:random/random.get-insecure-random-bytes"
INSECURE_RANDOM_U64: Final = "wasi:random/random.get-insecure-random-u64"
WRITE: Final = "wasi:io/streams.output-stream.write"
POLLABLE_READY: Final = "wasi:io/pollable.pollable.ready"
POLLABLE_BLOCK: Final = "wasi:io/poll.pollable.block"
POLL: Final = "wasi:io/poll.poll"
