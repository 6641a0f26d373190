"""DBOS: workflows of recorded steps, from a queue. Every process that runs them launches DBOS."""

import os
import sys
import time

from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions

QUEUE = "bench"


def say(*words: object) -> None:
    """A whole line at once: two threads or processes may write at the same time."""
    print(" ".join(map(str, words)) + "\n", end="", flush=True)


@DBOS.step()
def step(number: int) -> int:
    return number


@DBOS.workflow()
def noop(number: int) -> None:
    pass


@DBOS.workflow()
def steps(number: int) -> None:
    for one in range(10):
        step(one)


@DBOS.workflow()
def probe(sent: float) -> None:
    say("latency", time.time() - sent)


@DBOS.workflow()
def long(number: int) -> None:
    say("began", os.getpid(), time.time())
    DBOS.sleep(600)


def launch() -> None:
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": os.environ["PEER_URL"],
        "executor_id": f"executor-{os.getpid()}",
        "log_level": "WARNING",
    }
    DBOS(config=config)
    DBOS.launch()
    # A process takes all that its limit allows at its first look, and looks once a second: half for each of the two.
    DBOS.register_queue(QUEUE, worker_concurrency=int(os.environ["PEER_SHARE"]))


def enqueue(client: DBOSClient, workflow: str, argument: float) -> None:
    options: EnqueueOptions = {"queue_name": QUEUE, "workflow_name": workflow}
    client.enqueue(options, argument)


def main(command: str, *arguments: str) -> None:
    if command in ("schema", "work"):
        launch()
        while command == "work":
            time.sleep(3600)
        DBOS.destroy()
        return
    client = DBOSClient(system_database_url=os.environ["PEER_URL"])
    if command == "fill":
        started = time.perf_counter()
        for _ in range(int(arguments[1])):
            enqueue(client, arguments[0], 1)
        print("filled", time.perf_counter() - started)
        return
    for _ in range(int(arguments[0])):
        enqueue(client, "probe", time.time())
        time.sleep(float(os.environ["PEER_PAUSE"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
