"""Bounded, time-limited execution of provider calls, from asyncio.

Decided here: how many measurements run at once, and that each ends in time, whatever its provider does. Not
decided here: when to measure (`schedule`), what follows (`judge`). Called by the controller, never from a
reconcile worker.

Each call has a daemon thread of its own: the threads of an executor are joined when the process exits, so one
hung provider could hold up a shutdown. A thread that outlives its deadline gives up its slot to others and is
counted until it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial

from analysis import measurement
from analysis.answer import Answer
from analysis.errors import ProviderError
from analysis.model import Measurement, Metric, Phase
from analysis.providers import Provider

DEFAULT_WORKERS = 32
DEFAULT_DEADLINE_SECONDS = 60.0
_GRACE = 1.1  # of the deadline: the provider's own words for a timeout are better than ours


class Pool:
    """Measures metrics; at most `workers` at once."""

    def __init__(self, workers: int, providers: Mapping[str, Provider]) -> None:
        self._providers = providers
        self._slots = asyncio.Semaphore(workers)
        self._most_threads = 2 * workers
        self._threads = 0
        self._waiting: set[asyncio.Future[Answer]] = set()
        self._closed = False

    async def measure(
        self,
        metric: Metric,
        *,
        now: Callable[[], datetime],
        deadline: float = DEFAULT_DEADLINE_SECONDS,
        secrets: Iterable[str] = (),
        run_started_at: datetime | None = None,
        last: Measurement | None = None,
    ) -> Measurement:
        """One measurement. Trouble with the provider is a measurement in phase Error, not an exception.

        The deadline, in seconds, begins when a slot is free. `secrets` are kept out of value and message. A
        comparison needs to know when its run began and what the last measurement of the metric was.
        """
        async with self._slots:
            if self._closed:
                raise asyncio.CancelledError
            started_at = now()
            elapsed = started_at - run_started_at if run_started_at else timedelta()
            call = partial(measurement.attempt, metric, self._providers, deadline, elapsed=elapsed, last=last)
            answer = await self._bounded(call, metric.name, deadline)
        return measurement.finished(answer, started_at, now(), last=last, secrets=secrets)

    def metadata(self, metric: Metric, *, secrets: Iterable[str] = ()) -> Mapping[str, str]:
        """What to show beside the results of a metric: the query with its arguments filled in."""
        try:
            provider, spec = measurement.chosen(metric, self._providers)
        except ProviderError:
            return {}
        shown = provider.metadata(spec)
        return {key: measurement.without(secrets, value) for key, value in shown.items()}

    def close(self) -> None:
        """Stop measuring: whoever waits for a measurement is cancelled. Waits for no thread."""
        self._closed = True
        for future in tuple(self._waiting):
            future.cancel()

    async def _bounded(self, call: Callable[[], Answer], name: str, deadline: float) -> Answer:
        if self._threads >= self._most_threads:
            return Answer(Phase.ERROR, message=f"{self._threads} earlier measurements are still hanging")
        try:
            async with asyncio.timeout(deadline * _GRACE):
                return await self._in_thread(call, name)
        except RuntimeError as error:  # the system gives us no more threads
            return Answer(Phase.ERROR, message=f"the measurement could not be started: {error}")
        except TimeoutError:
            return Answer(Phase.ERROR, message=f"the provider gave no answer within {deadline:g} s")

    async def _in_thread(self, call: Callable[[], Answer], name: str) -> Answer:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()

        def settle(answer: Answer) -> None:
            self._threads -= 1
            if not future.done():
                future.set_result(answer)

        def run() -> None:
            answer = call()
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, answer)

        threading.Thread(target=run, name=f"measure-{name}", daemon=True).start()
        self._threads += 1
        self._waiting.add(future)
        try:
            return await future
        finally:
            self._waiting.discard(future)
