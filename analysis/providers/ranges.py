"""`rangeQuery` of Prometheus and Loki: from when to when, how fine. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from analysis import instants
from analysis.errors import ConditionError, ProviderError
from analysis.providers import fields


@dataclass(frozen=True, slots=True)
class Range:
    """A range of time: two expressions and the resolution. `where` is the field that it comes from."""

    start: str
    end: str
    step: timedelta
    where: str

    def between(self, now: datetime) -> tuple[datetime, datetime]:
        """Start and end, as of now."""
        return self._instant("start", self.start, now), self._instant("end", self.end, now)

    def _instant(self, field: str, expression: str, now: datetime) -> datetime:
        try:
            return instants.evaluate(expression, now)
        except ConditionError as error:
            raise ProviderError(f"{self.where}.{field} {expression}: {error}") from None


def parse(spec: Mapping[str, object], provider: str) -> Range | None:
    """The range of a metric, if it asks for one."""
    where = f"{provider}.rangeQuery"
    written = fields.mapping(spec, "rangeQuery", provider)
    if not written:
        return None
    fields.required(written, "step", where, "write a resolution such as 30s")
    return Range(
        start=fields.required(written, "start", where, 'write an instant such as now() - duration("5m")'),
        end=fields.text(written, "end", where) or "now()",
        step=fields.duration(written, "step", where, ""),
        where=where,
    )
