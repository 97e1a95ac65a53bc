"""The pool: measurements end in time, whatever a provider does, and hold up nobody else."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import datetime

import pytest

from analysis.errors import ProviderError
from analysis.model import Measurement, Metric, Phase
from analysis.pool import Pool
from analysis.providers import Provider, ProviderResult
from tests.unit.analysis.answering import serve, vector
from tests.unit.analysis.make import at, metric


class Scripted:
    """A provider that does what the metric's spec says."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.running = 0
        self.most = 0
        self._lock = threading.Lock()

    def query(self, spec: Mapping[str, object], deadline: float) -> ProviderResult:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            return self._answer(str(spec["does"]), deadline)
        finally:
            with self._lock:
                self.running -= 1

    def _answer(self, does: str, deadline: float) -> ProviderResult:
        match does:
            case "hang":
                self.released.wait()
            case "fail":
                raise ProviderError("cannot connect")
            case "break":
                raise ZeroDivisionError("s3cr" + "3t")
            case "leak":
                raise ProviderError("token s3cr3t refused")
            case "long":
                return ProviderResult([0.0], "x" * 5000)
            case "deadline":
                return ProviderResult(deadline, str(deadline))
        return ProviderResult([0.99], "[0.99]", {"warnings": "partial s3cr3t"})

    def metadata(self, spec: Mapping[str, object]) -> Mapping[str, str]:
        return {"query": f"does {spec['does']} s3cr3t"}


class Clock:
    """Each look is a second later."""

    def __init__(self) -> None:
        self.seconds = -1

    def __call__(self) -> datetime:
        self.seconds += 1
        return at(self.seconds)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - the state belongs to other threads
            await asyncio.sleep(0.001)


@pytest.fixture
def provider() -> Iterator[Scripted]:
    found = Scripted()
    yield found
    found.released.set()


@pytest.fixture
async def pool(provider: Scripted) -> AsyncIterator[Pool]:
    found = Pool(2, {"scripted": provider})
    yield found
    found.close()


def doing(does: str, **fields: object) -> Metric:
    defaults: dict[str, object] = {"success_condition": "result[0] >= 0.95"}
    return Metric("m", provider={"scripted": {"does": does}}, **{**defaults, **fields})  # type: ignore[arg-type]


async def test_a_value_is_judged_and_timed(pool: Pool) -> None:
    assert await pool.measure(doing("answer"), now=Clock()) == Measurement(
        phase=Phase.SUCCESSFUL,
        value="[0.99]",
        started_at=at(0),
        finished_at=at(1),
        metadata={"warnings": "partial s3cr3t"},
    )


async def test_an_unmet_condition_is_a_failure(pool: Pool) -> None:
    found = await pool.measure(doing("answer", success_condition="result[0] > 1"), now=Clock())
    assert (found.phase, found.value, found.message) == (Phase.FAILED, "[0.99]", "")


async def test_a_condition_that_has_no_answer_is_an_error_with_the_value(pool: Pool) -> None:
    found = await pool.measure(doing("answer", success_condition="result > 1"), now=Clock())
    assert (found.phase, found.value) == (Phase.ERROR, "[0.99]")
    assert found.message.startswith(
        "successCondition result > 1 could not be evaluated: operator > cannot compare"
    )


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"scripted": {"does": "fail"}}, "cannot connect"),
        ({"scripted": {"does": "break"}}, "internal error of the provider: ZeroDivisionError"),
        ({"scripted": {}}, "internal error of the provider: KeyError"),
        ({}, "a metric needs exactly one provider, this one has 0; known: scripted"),
        ({"scripted": {}, "web": {}}, "a metric needs exactly one provider, this one has 2; known: scripted"),
        ({"web": {}}, "there is no provider web; known: scripted"),
        ({"scripted": "up"}, "provider.scripted must be an object"),
    ],
)
async def test_trouble_is_a_measurement_in_error(
    pool: Pool, chosen: Mapping[str, object], message: str
) -> None:
    found = await pool.measure(Metric("m", provider=chosen), now=Clock())
    assert (found.phase, found.message) == (Phase.ERROR, message)
    assert (found.started_at, found.finished_at) == (at(0), at(1))


async def test_a_bug_is_logged_without_the_text_of_the_exception(
    pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    await pool.measure(doing("break"), now=Clock())
    assert "measurement of metric m broke with ZeroDivisionError" in caplog.text
    assert "s3cr3t" not in caplog.text


async def test_secrets_stay_out_of_message_and_metadata(pool: Pool) -> None:
    found = await pool.measure(doing("leak"), now=Clock(), secrets=["s3cr3t", ""])
    assert found.message == "token ***** refused"
    found = await pool.measure(doing("answer"), now=Clock(), secrets=["s3cr3t"])
    assert found.metadata == {"warnings": "partial *****"}
    assert pool.metadata(doing("answer"), secrets=["s3cr3t"]) == {"query": "does answer *****"}


async def test_a_metric_without_provider_has_no_metadata(pool: Pool) -> None:
    assert pool.metadata(Metric("m", provider={})) == {}


async def test_a_long_value_is_cut(pool: Pool) -> None:
    found = await pool.measure(doing("long"), now=Clock())
    assert (len(found.value), found.value[-1]) == (1024, "…")


async def test_the_provider_hears_of_the_deadline(pool: Pool) -> None:
    found = await pool.measure(doing("deadline", success_condition=None), now=Clock(), deadline=7.5)
    assert float(found.value) == pytest.approx(7.5, abs=0.1)


async def test_a_hung_provider_is_given_up_at_the_deadline(pool: Pool) -> None:
    found = await pool.measure(doing("hang"), now=Clock(), deadline=0.05)
    assert (found.phase, found.message) == (Phase.ERROR, "the provider gave no answer within 0.05 s")


async def test_hung_measurements_give_their_slots_to_others(pool: Pool, provider: Scripted) -> None:
    hung = [pool.measure(doing("hang"), now=Clock(), deadline=0.05) for _ in range(2)]
    answers = await asyncio.gather(*hung, pool.measure(doing("answer"), now=Clock()))
    assert [m.phase for m in answers] == [Phase.ERROR, Phase.ERROR, Phase.SUCCESSFUL]
    assert provider.running == 2


async def test_no_more_run_at_once_than_there_are_workers(pool: Pool, provider: Scripted) -> None:
    await asyncio.gather(*(pool.measure(doing("answer"), now=Clock()) for _ in range(20)))
    assert provider.most <= 2


async def test_threads_that_never_end_are_bounded(pool: Pool, provider: Scripted) -> None:
    for _ in range(4):
        await pool.measure(doing("hang"), now=Clock(), deadline=0.01)
    found = await pool.measure(doing("answer"), now=Clock())
    assert found.message == "4 earlier measurements are still hanging"
    provider.released.set()
    await until(lambda: all(thread.name != "measure-m" for thread in threading.enumerate()))
    await asyncio.sleep(0)  # the loop hears of the threads' end
    found = await pool.measure(doing("answer"), now=Clock())
    assert found.phase is Phase.SUCCESSFUL


async def test_close_cancels_those_who_wait_and_those_who_queue(pool: Pool, provider: Scripted) -> None:
    tasks = [asyncio.create_task(pool.measure(doing("hang"), now=Clock())) for _ in range(3)]
    await until(lambda: provider.running == 2)
    pool.close()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 3


async def test_a_cancelled_measurement_frees_its_slot(pool: Pool, provider: Scripted) -> None:
    tasks = [asyncio.create_task(pool.measure(doing("hang"), now=Clock())) for _ in range(2)]
    await until(lambda: provider.running == 2)
    for task in tasks:
        task.cancel()
    found = await pool.measure(doing("answer"), now=Clock())
    assert found.phase is Phase.SUCCESSFUL


def test_a_hung_thread_does_not_keep_the_process() -> None:
    program = """
        import asyncio, threading
        from analysis.model import Metric
        from analysis.pool import Pool

        class Hangs:
            def query(self, spec, deadline):
                threading.Event().wait()
            def metadata(self, spec):
                return {}

        async def main():
            pool = Pool(1, {"hangs": Hangs()})
            found = await pool.measure(Metric("m", {"hangs": {}}), now=lambda: None, deadline=0.01)
            pool.close()
            print(found.message)

        asyncio.run(main())
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.stdout, ended.returncode) == ("the provider gave no answer within 0.01 s\n", 0), (
        ended.stderr
    )


async def test_prometheus_is_measured_through_the_pool() -> None:
    from analysis import providers

    with serve(vector("0.81")) as server:
        known: Mapping[str, Provider] = providers.registry(prometheus_address=server.url)
        found = await Pool(1, known).measure(metric(), now=Clock())
    assert (found.phase, found.value) == (Phase.FAILED, "[0.81]")
