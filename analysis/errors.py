"""The errors of an analysis. None carries a secret; each says what to do about it.

AnalysisError
├── ConditionError    a success or failure condition cannot be parsed or evaluated
├── ProviderError     the metrics provider gave no usable answer
├── SpecError         a field of a metric is missing, of the wrong type or contradicts another
└── TemplateError     an argument that a metric refers to has no value
"""

from __future__ import annotations

MAX_PROVIDER_TEXT = 512


class AnalysisError(Exception):
    """Anything that keeps an analysis from reaching a verdict."""


class ConditionError(AnalysisError):
    """An expression is wrong, either as written or for the value it met."""

    def __init__(self, expression: str, reason: str, offset: int = 0) -> None:
        self.expression = expression
        self.reason = reason
        self.offset = offset
        super().__init__(f"{reason} ({self.position})")

    @property
    def position(self) -> str:
        """Where in the expression, the way an editor counts: from 1."""
        before = self.expression[: self.offset]
        line, column = before.count("\n") + 1, self.offset - (before.rfind("\n") + 1) + 1
        return f"line {line}, column {column}" if "\n" in self.expression.strip() else f"column {column}"


class ProviderError(AnalysisError):
    """The provider gave no usable answer; the text is short and free of secrets."""

    def __init__(self, text: str) -> None:
        super().__init__(text if len(text) <= MAX_PROVIDER_TEXT else text[: MAX_PROVIDER_TEXT - 1] + "…")


class SpecError(AnalysisError):
    """A metric as written cannot be measured or judged."""

    def __init__(self, path: str, problem: str, remedy: str) -> None:
        self.path = path
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{path}: {problem}; {remedy}")


class TemplateError(AnalysisError):
    """An argument has no value where a metric needs one."""

    def __init__(self, *, metric: str, field: str, reference: str, remedy: str) -> None:
        self.metric = metric
        self.field = field
        self.reference = reference
        self.remedy = remedy
        where = f'metric "{metric}", field {field}: ' if metric else ""
        super().__init__(f"{where}{reference} has no value; {remedy}")
