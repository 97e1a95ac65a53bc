"""Whatever is written and whatever was measured: a value or a ConditionError, soon, and nothing else."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from analysis import condition
from analysis.errors import ConditionError
from analysis.language import values
from analysis.language.closures import PREDICATES
from analysis.language.functions import FUNCTIONS

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([2**63, 10**400]),
)
RESULTS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=6), st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)

FRAGMENTS = st.sampled_from(
    [
        *FUNCTIONS,
        *PREDICATES,
        *"()[]{}<>!=+-*/%^.,:;?|&#\"'`\\$@",
        *[
            "..",
            "?.",
            "??",
            "**",
            "&&",
            "||",
            "==",
            "not",
            "in",
            "and",
            "or",
            "let",
            "x",
            "true",
            "nil",
            "result",
        ],
        *[
            "contains",
            "matches",
            "0",
            "1",
            "2.5",
            "1e309",
            "9223372036854775807",
            "0x7f",
            " ",
            "\n",
            "é",
            "/*",
            "//",
        ],
        *["__class__", "__import__", ".__globals__", "\x00", "\ud800"],
    ]
)


def expressions() -> st.SearchStrategy[str]:
    """Expressions that parse, of every construct."""
    atoms = st.sampled_from(
        ["result", "result[0]", "0", "1", "-1", "0.5", "nil", "true", '"a"', "[]", "{a: 1}"]
    )
    operators = st.sampled_from(
        ["+", "-", "*", "/", "%", "**", "==", "!=", "<", ">=", "and", "or", "in", "not in", "..", "contains"]
    )

    def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.builds("({} {} {})".format, inner, operators, inner),
            st.builds("(not {})".format, inner),
            st.builds("(-{})".format, inner),
            st.builds("({} ?? ({}))".format, inner, inner),
            st.builds("({} ? {} : {})".format, inner, inner, inner),
            st.builds("({})[{}]".format, inner, inner),
            st.builds("({})?.a".format, inner),
            st.builds("({})[{}:{}]".format, inner, inner, inner),
            st.builds("[{}, {}]".format, inner, inner),
            st.builds("(let x = {}; [x, {}])".format, inner, inner),
            st.builds("{}({}, # != {})".format, st.sampled_from(sorted(PREDICATES)), inner, inner),
            st.builds("reduce({}, [#acc, #, #index, {}])".format, inner, inner),
            st.builds("(if {} {{{}; {}}} else {{{}}})".format, inner, inner, inner, inner),
            st.builds(_call, st.sampled_from(sorted(FUNCTIONS)), st.lists(inner, min_size=1, max_size=3)),
        )

    return st.recursive(atoms, grown, max_leaves=12)


def _call(name: str, arguments: list[str]) -> str:
    function = FUNCTIONS[name]
    count = min(max(len(arguments), function.at_least), function.at_most or len(arguments))
    return f"{name}({', '.join((arguments * 3)[:count])})"


def outcome(expression: str, result: object) -> object:
    try:
        return condition.value(expression, result)
    except ConditionError as error:
        return error


@given(st.text(max_size=200), RESULTS)
def test_no_text_does_more_than_fail(expression: str, result: object) -> None:
    outcome(expression, result)


@given(st.lists(FRAGMENTS, max_size=40).map("".join), RESULTS)
def test_no_heap_of_fragments_does_more_than_fail(expression: str, result: object) -> None:
    outcome(expression, result)


@given(expressions(), RESULTS)
def test_a_well_formed_expression_gives_a_value_of_the_language(expression: str, result: object) -> None:
    found = outcome(expression, result)
    if not isinstance(found, ConditionError):
        values.kind(found)
        assert len(values.show(found)) < 10_000


@given(expressions(), RESULTS)
def test_an_evaluation_has_one_outcome(expression: str, result: object) -> None:
    first, second = outcome(expression, result), outcome(expression, result)
    assert values.show(first) == values.show(second) or str(first) == str(second)


@given(expressions(), expressions(), RESULTS)
def test_a_measurement_always_has_a_phase(success: str, failure: str, result: object) -> None:
    found = condition.evaluate_result(result, success, failure)
    assert found.phase.completed
    assert bool(found.message) == (found.phase == "Error")


@given(st.floats(), st.floats())
def test_comparison_agrees_with_ieee_754(left: float, right: float) -> None:
    for operator, expected in (("<", left < right), (">=", left >= right), ("==", left == right)):
        assert outcome(f"result[0] {operator} result[1]", [left, right]) is expected


@given(st.integers(-(2**62), 2**62 - 1), st.integers(-(2**62), 2**62 - 1))
def test_integers_add_exactly(left: int, right: int) -> None:
    assert outcome("result[0] + result[1]", [left, right]) == left + right


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_shown_number_reads_back_as_itself(value: float) -> None:
    assert math.isclose(float(values.show_number(value)), value, rel_tol=0, abs_tol=0)
