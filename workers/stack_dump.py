"""Writes into the log what a worker is doing: its tasks, what each of them waits for, and the stacks of all threads."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath
from types import FrameType
from typing import Any

logger = logging.getLogger("durable.worker")


@dataclass(frozen=True, slots=True)
class TaskInMemory:
    """One running task: how far it is (`state`, in words) and the asyncio task that runs it."""

    task_id: int
    program: str
    event_index: int
    state: str
    runner: asyncio.Task[None]


def log_tasks_and_stacks(tasks: Iterable[TaskInMemory]) -> None:
    """One line for each task, each asyncio task beside them, and each thread; innermost call first."""
    mine = list(tasks)
    runners = {task.runner for task in mine}
    others = sorted(asyncio.all_tasks() - runners, key=lambda task: task.get_name())
    _log("%d tasks in memory, %d coroutines beside them, %d threads", len(mine), len(others), threading.active_count())
    for task in mine:
        about: dict[str, object] = {
            "task_id": task.task_id,
            "program": task.program or None,
            "event_index": task.event_index,
        }
        _log("task %d: %s; %s", task.task_id, task.state, _calls(_frames_of(task.runner)), extra=about)
    for other in others:
        _log("coroutine %s: %s", other.get_name(), _calls(_frames_of(other)))
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        _log("thread %s: %s", names.get(ident, ident), _calls(_stack(frame)))


def _log(text: str, *values: object, extra: dict[str, object] | None = None) -> None:
    # Somebody asked for it: it is to be seen at the usual levels.
    logger.warning(text, *values, extra=extra)


def _frames_of(task: asyncio.Task[Any]) -> list[tuple[FrameType, int]]:
    """Of everything that it awaits, innermost first. asyncio's own get_stack() knows only the outermost."""
    frames = list[tuple[FrameType, int]]()
    awaited: Any = task.get_coro()
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None:
            frames.append((frame, frame.f_lineno))
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    return frames[::-1]


def _stack(frame: FrameType | None) -> list[tuple[FrameType, int]]:
    frames = list[tuple[FrameType, int]]()
    while frame is not None:
        frames.append((frame, frame.f_lineno))
        frame = frame.f_back
    return frames


def _calls(frames: Iterable[tuple[FrameType, int]]) -> str:
    said = [f"{_place(frame)}:{line} {frame.f_code.co_name}" for frame, line in frames]
    return " < ".join(said) or "has ended"


def _place(frame: FrameType) -> str:
    return "/".join(PurePath(frame.f_code.co_filename).parts[-2:])
