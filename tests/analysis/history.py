"""Hours of made-up requests, with known bad stretches, in a real Prometheus."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from rollouts import sandbox
from rollouts.sandbox import Component

SCRAPE = timedelta(seconds=15)
REQUESTS = {"old": 40.0, "new": 10.0}  # per second and pod template hash


@dataclass(frozen=True, slots=True)
class Stretch:
    """An error ratio of one hash for a while."""

    begin: datetime
    length: timedelta
    hash: str
    errors: float


def errors(stretches: tuple[Stretch, ...], base: float) -> Callable[[str, datetime], float]:
    def at(name: str, instant: datetime) -> float:
        return next(
            (s.errors for s in stretches if s.hash == name and s.begin <= instant < s.begin + s.length), base
        )

    return at


def openmetrics(
    begin: datetime, end: datetime, ratio: Callable[[str, datetime], float], seed: int
) -> Iterator[str]:
    """Counters as they would have been scraped; each restarts once on the way."""
    rng = np.random.default_rng(seed)
    restart = begin + (end - begin) * 0.3
    yield "# TYPE http_requests counter\n"
    for name, rate in REQUESTS.items():
        counts = {"200": 0, "500": 0}
        lines: dict[str, list[str]] = {"200": [], "500": []}
        for index in range(int((end - begin) / SCRAPE)):
            instant = begin + index * SCRAPE
            if 0 <= (instant - restart).total_seconds() < SCRAPE.total_seconds():
                counts = {"200": 0, "500": 0}
            requests = int(rng.poisson(rate * SCRAPE.total_seconds()))
            failed = int(rng.binomial(requests, ratio(name, instant)))
            counts["200"] += requests - failed
            counts["500"] += failed
            for code, count in counts.items():
                labels = f'service="shop",pod_template_hash="{name}",code="{code}"'
                lines[code].append(f"http_requests_total{{{labels}}} {count} {instant.timestamp():.3f}\n")
        for scraped in lines.values():
            yield from scraped
    yield "# EOF\n"


def backfill(box: sandbox.Sandbox, lines: Iterator[str]) -> None:
    """Put it into the sandbox's Prometheus, which is stopped meanwhile."""
    file = box.directory / "history.om"
    with file.open("w") as written:
        written.writelines(lines)
    box.stop(Component.PROMETHEUS)
    data = Path(box.directory) / "prometheus" / "data"
    command = [str(box.binaries.promtool), "tsdb", "create-blocks-from", "openmetrics", str(file), str(data)]
    subprocess.run(command, check=True, capture_output=True)
    box.start(Component.PROMETHEUS)
