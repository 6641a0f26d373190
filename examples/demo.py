"""Shows what durable is for, in a quarter of a minute: a workflow goes on although its worker is killed.

Run it with `make demo`. It uses an embedded PostgreSQL in a temporary folder and leaves nothing behind. The exit code
is 1 when anything is not as promised.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn, Self, TypeVar

from durable import Client, DurableError, Task, TaskState
from durable.embedded import EmbeddedServer

EXAMPLES = Path(__file__).parent
HELLO, SLEEP_N_GO = EXAMPLES / "hello-world.wasm", EXAMPLES / "sleep-n-go.wasm"
STEPS, PAUSE = 6, 0.4  # of the second workflow; the pause in seconds
KILL_AFTER = 3  # lines
PATIENCE = 60.0  # seconds for any single thing, on a slow machine

T = TypeVar("T")


class BrokenPromise(Exception):
    """Something was not as promised; the message says what."""


def main() -> int:
    # SIGINT too: a shell starts a background job with it ignored, and what is started here would inherit that.
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _interrupt)
    try:
        _require_examples()
        with ExitStack() as cleanup:
            _demonstrate(cleanup)
    except BrokenPromise as error:
        print(f"\nNOT AS PROMISED: {error}", file=sys.stderr)
        return 1
    except DurableError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; everything is stopped and removed", file=sys.stderr)
        return 130
    print("\nEverything was as promised.")
    return 0


def _demonstrate(cleanup: ExitStack) -> None:
    folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="durable-")))
    environment = _environment(folder)
    server = EmbeddedServer(folder / "data" / "durable" / "postgres")
    cleanup.callback(server.stop, "immediate")  # has nothing to do unless something went wrong

    _title("1. The service: a supervisor, two workers, an embedded PostgreSQL")
    service = cleanup.enter_context(Service(environment, folder / "service.log"))
    client = cleanup.enter_context(Client(service.wait_until_ready(server)))

    _title("2. A workflow, from its launch to its end")
    _say_hello(environment)

    _title(f"3. A workflow of {STEPS} steps, whose worker is killed after {KILL_AFTER}")
    _kill_in_the_middle(environment, client)

    _title("4. The end")
    client.close()
    service.stop()
    _promise(not server.is_running, "the database stops with the service")
    print("    the service has drained and stopped, and its database with it")


# -- what is shown ----------------------------------------------------------------------------------------------------
def _say_hello(environment: Mapping[str, str]) -> None:
    lines = list(_run(environment, "launch", "--tail", "my first task", str(HELLO)))
    _promise(
        lines == ["launched new task with id 1", "Hello, my first task!"], "the workflow says hello, and only that"
    )


def _kill_in_the_middle(environment: Mapping[str, str], client: Client) -> None:
    data = json.dumps({"count": STEPS, "seconds": PAUSE})
    lines = _run(environment, "launch", "--tail", "a longer task", str(SLEEP_N_GO), "--data", data)
    task_id = int(next(lines).rpartition(" ")[2])
    printed = []
    for line in lines:
        printed.append(line)
        if len(printed) == KILL_AFTER:
            killed = _kill_worker_of(client, client.task(task_id))
            _say_who_goes_on(client, task_id, killed)
    _promise(printed == [f"{i} of {STEPS}" for i in range(1, STEPS + 1)], "every line is printed, once and in order")
    _check_the_records(client, task_id)
    print(f"    all {STEPS} lines, each once: two workers ran the task, and its journal is that of one run")


def _kill_worker_of(client: Client, task: Task) -> int:
    worker = next((worker for worker in client.workers() if worker.id == task.running_on), None)
    _promise(worker is not None, f"a worker runs the task, which is {task.state}")
    assert worker is not None
    print(f"    kill -9 {worker.pid}    # the process of worker {worker.id}, which runs the task")
    os.kill(worker.pid, signal.SIGKILL)
    return worker.id


def _say_who_goes_on(client: Client, task_id: int, killed: int) -> None:
    since = time.monotonic()

    def taken_over() -> Task | None:
        task = client.task(task_id)
        return task if task.running_on not in (None, killed) or task.state.is_ended else None

    task = _wait_for(taken_over, "another worker takes the task over")
    print(f"    worker {task.running_on} goes on with it, {time.monotonic() - since:.2f} s later")


def _check_the_records(client: Client, task_id: int) -> None:
    task, events = client.task(task_id), client.events(task_id)
    _promise(task.state is TaskState.COMPLETE, f"the task completes (it is {task.state})")
    _promise(task.lease >= 2, "the task was claimed a second time")
    _promise([event.index for event in events] == list(range(len(events))), "the journal has no gap and no double")


# -- processes --------------------------------------------------------------------------------------------------------
class Service:
    """`durable supervise` as a process of its own, away from this terminal's Ctrl-C: it is stopped by `stop`."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        command = _command("supervise", "--workers", "2")
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()
        if isinstance(error, BrokenPromise):
            print(f"\nThe service said:\n{self._said()}", file=sys.stderr)

    def wait_until_ready(self, server: EmbeddedServer) -> str:
        """The URL of the database, once both workers are there."""

        def ready() -> bool:
            _promise(self._process.poll() is None, "the service starts")
            return self._said().count(" is ready ") == 2

        since = time.monotonic()
        _wait_for(ready, "both workers are ready")
        print(f"    ready after {time.monotonic() - since:.1f} s; a new database was made in that time")
        return server.url

    def stop(self) -> None:
        """As an operator does it: SIGTERM, then wait."""
        print(f"    kill -TERM {self._process.pid}    # the supervisor", flush=True)
        self._process.terminate()
        status = self._process.wait(PATIENCE)
        _promise(status == 0, f"the service ends with exit code 0, not {status}")

    def _kill(self) -> None:
        """Leave nothing behind, whatever happened. The workers die with their supervisor."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # which also ends an initdb that it may be waiting for
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _said(self) -> str:
        return self._log.read_text(errors="replace")


def _run(environment: Mapping[str, str], *arguments: str) -> Iterator[str]:
    """Run a command and show it as it would look in a terminal; its lines, as they come."""
    print(f"$ {shlex.join(['durable', *map(_as_typed, arguments)])}", flush=True)
    with _process(environment, arguments) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            yield line.rstrip("\n")
        status = process.wait(PATIENCE)
    _promise(status == 0, f"`durable {arguments[0]}` ends with exit code 0, not {status}")


@contextmanager
def _process(environment: Mapping[str, str], arguments: tuple[str, ...]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        _command(*arguments), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "durable", *arguments]


def _as_typed(argument: str) -> str:
    return f"examples/{Path(argument).name}" if argument.endswith(".wasm") else argument


def _environment(folder: Path) -> dict[str, str]:
    """No setting of this user or this host: the defaults, with all files in the temporary folder."""
    settings = folder / "durable.toml"
    # A service of this user may have the port of the metrics.
    settings.write_text('log_format = "human"\nmetrics_addr = "off"\n')
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DURABLE_", "PG")) and name != "DATABASE_URL"
    }
    return {
        **inherited,
        "DURABLE_CONFIG": str(settings),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }


# -- helpers of the telling -------------------------------------------------------------------------------------------
def _title(text: str) -> None:
    print(f"\n{text}", flush=True)


def _promise(is_kept: bool, what: str) -> None:
    if not is_kept:
        raise BrokenPromise(what)


def _wait_for(look: Callable[[], T | None], what: str) -> T:
    """The first true answer of `look`."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := look()):
        _promise(time.monotonic() < deadline, f"{what} within {PATIENCE:g} s")
        time.sleep(0.01)
    return answer


def _require_examples() -> None:
    for component in (HELLO, SLEEP_N_GO):
        _promise(component.exists(), f"{component} is there (`make guests` builds it)")


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
