"""Tells a person at the terminal what is being built or started: a bar on a tty, plain lines elsewhere.

Everything goes to stderr, so that `rollouts sandbox env` stays safe to evaluate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from time import monotonic
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

LINE_EVERY_SECONDS = 15.0

Advance = Callable[[int], None]
"""Called with how much has been done so far."""


class Reporter(Protocol):
    """Where builds and starts report what they do."""

    def say(self, text: str) -> None: ...

    def task(self, title: str, *, total: int) -> AbstractContextManager[Advance]: ...


class Silent:
    """Reports nothing: for library use and tests."""

    def say(self, text: str) -> None:
        pass

    @contextmanager
    def task(self, title: str, *, total: int) -> Iterator[Advance]:
        yield lambda done: None


class Lines:
    """One line a step, and one now and then while it lasts: for logs of a build server."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = monotonic) -> None:
        self._console = console
        self._clock = clock

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def task(self, title: str, *, total: int) -> Iterator[Advance]:
        self.say(title)
        last = self._clock()

        def advance(done: int) -> None:
            nonlocal last
            if self._clock() - last >= LINE_EVERY_SECONDS:
                last = self._clock()
                self.say(f"{title}: {percent(done, total)} %")

        yield advance


class Bar:
    """A progress bar for a person at a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)

    @contextmanager
    def task(self, title: str, *, total: int) -> Iterator[Advance]:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console) as progress:
            bar = progress.add_task(title, total=max(total, 1))
            yield lambda done: progress.update(bar, completed=min(done, total))
            progress.update(bar, completed=max(total, 1))


def percent(done: int, total: int) -> int:
    """How much of a task is done; a task of nothing is done."""
    return 100 if total <= 0 else min(100, 100 * done // total)


def to_stderr() -> Reporter:
    """The reporter that fits where stderr goes."""
    console = Console(stderr=True)
    return Bar(console) if console.is_terminal else Lines(console)
