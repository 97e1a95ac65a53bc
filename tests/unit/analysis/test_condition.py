"""What conditions mean: expressions with their values or errors, and the two conditions together."""

from __future__ import annotations

import math

import pytest

from analysis import condition
from analysis.errors import ConditionError
from analysis.language import closures, functions
from analysis.model import Phase

NAN, INF = math.nan, math.inf
APDEX = {"service_apdex": {"label": None, "values": {"values": [2.0, 2.0]}}, "ok": True, "in": 1}
VECTOR = [0.99, 0.5, 2.0]
TO_JSON = '{\n  "a": [\n    true,\n    null,\n    "\\u003cé\\u003e"\n  ],\n  "b": 1\n}'


VALUES: list[tuple[str, object, object]] = [
    # literals
    ("42", None, 42),
    ("0x2A", None, 42),
    ("0o52", None, 42),
    ("0b101010", None, 42),
    ("1_000_000", None, 1_000_000),
    ("0.5", None, 0.5),
    (".5", None, 0.5),
    ("1e3", None, 1000.0),
    ("2.5e-1", None, 0.25),
    ("9223372036854775807", None, 2**63 - 1),
    ("true", None, True),
    ("false", None, False),
    ("nil", None, None),
    ('"foo"', None, "foo"),
    ("'bar'", None, "bar"),
    (r'"a\tb\n\"\x41\u00e9"', None, 'a\tb\n"Aé'),
    (r"`raw \n`", None, "raw \\n"),
    ("[]", None, []),
    ("[1, 2, 3,]", None, [1, 2, 3]),
    ('{a: 1, "b": 2, 3: 4, ("c" + "d"): 5}', None, {"a": 1, "b": 2, "3": 4, "cd": 5}),
    ("{}", None, {}),
    ("1 /* one */ + 1 // two", None, 2),
    # arithmetic
    ("1 + 2 * 3", None, 7),
    ("(1 + 2) * 3", None, 9),
    ("7 - 2 - 1", None, 4),
    ("7 / 2", None, 3.5),
    ("6 / 2", None, 3.0),
    ("7 % 3", None, 1),
    ("-7 % 3", None, -1),
    ("7 % -3", None, 1),
    ("2 ** 3 ** 2", None, 512.0),
    ("2 ^ 10", None, 1024.0),
    ("-2 ** 2", None, -4.0),
    ("2 ** -1", None, 0.5),
    ("(-8) ** (1 / 3)", None, NAN),
    ("10.0 ** 400", None, INF),
    ("(-10) ** 401", None, -INF),
    ("0 ** -1", None, INF),
    ("1 / 0", None, INF),
    ("-1 / 0", None, -INF),
    ("0 / 0", None, NAN),
    ("+5", None, 5),
    ("--5", None, 5),
    ("0.1 + 0.2", None, 0.1 + 0.2),
    ("result[0] * 100", [0.5], 50.0),
    ('"a" + "b"', None, "ab"),
    # comparison
    ("1 == 1.0", None, True),
    ("1 != 2", None, True),
    ("2 > 1", None, True),
    ("2 >= 2", None, True),
    ("1 < 2 < 3", None, True),
    ("1 < 3 < 2", None, False),
    ("3 > 2 >= 2 > 1", None, True),
    ("1 < 2 == true", None, True),
    ('"a" < "b"', None, True),
    ('"abc" == "abc"', None, True),
    ("nil == nil", None, True),
    ("result == nil", None, True),
    ("result == nil", 1.0, False),
    ("result != nil", "x", True),
    ("[1, 2] == [1, 2.0]", None, True),
    ("[1, 2] == [1]", None, False),
    ("{a: [1]} == {a: [1]}", None, True),
    ("{a: 1} == {b: 1}", None, False),
    ("result == result", NAN, False),
    ("[result] == [result]", NAN, False),
    ("result >= 0.95", NAN, False),
    ("result < 0.95", NAN, False),
    ("result >= 0.95", INF, True),
    ("result == true", True, True),
    # logic
    ("true and false", None, False),
    ("true && true", None, True),
    ("false or true", None, True),
    ("false || false", None, False),
    ("not true", None, False),
    ("!false", None, True),
    ("not not true", None, True),
    ("true or false and false", None, True),
    ("false and result[0] > 1", [], False),
    ("true or result[0] > 1", [], True),
    ("not (1 > 2)", None, True),
    ("not false == true", None, True),
    ("len(result) == 0 || result[0] >= 0.95", [], True),
    ("len(result) > 0 && result[0] >= 0.95", [], False),
    # in, text tests
    ("2 in result", [2.0, 3.0], True),
    ("4 in result", [2.0, 3.0], False),
    ("4 not in result", [2.0, 3.0], True),
    ('"a" in {a: 1}', None, True),
    ('"b" not in {a: 1}', None, True),
    ("1 in {a: 1}", None, False),
    ('"John" in ["John", 1]', None, True),
    ("result in [result]", NAN, False),
    ('"hello" contains "ell"', None, True),
    ('"hello" not contains "ell"', None, False),
    ('"hello" startsWith "he"', None, True),
    ('"hello" endsWith "lo"', None, True),
    ('"hello" not endsWith "lo"', None, False),
    ('"v1.23" matches "^v[0-9]+\\\\.[0-9]+$"', None, True),
    ('"hello" not matches "^h.*z$"', None, True),
    ('repeat("a", 60000) matches "(a+)+b"', None, False),
    # conditional, coalescing, let, pipe
    ("true ? 1 : 2", None, 1),
    ("false ? 1 : true ? 2 : 3", None, 2),
    ("1 > 2 ? .5 : 1.5", None, 1.5),
    ("result ?? 5", None, 5),
    ("result ?? 5", 0.0, 0.0),
    ("nil ?? nil ?? 3", None, 3),
    ("result.missing ?? 5", {"a": 1}, 5),
    ("(result ?? 0) > 1", None, False),
    ("1 + (nil ?? 2)", None, 3),
    ("nil ?? -1", None, -1),
    ("let x = 2; x * x", None, 4),
    ("let x = 2; let y = x + 1; y", None, 3),
    ("(let x = 1; x) + 1", None, 2),
    ("result | len()", [1, 2], 2),
    ("result | filter(# > 0.9) | len() > 1", VECTOR, True),
    ('"a,b" | split(",") | len()', None, 2),
    ("result | sum() / len(result)", [1.0, 3.0], 2.0),
    ('"A b" | lower() | split(" ")', None, ["a", "b"]),
    # indexing, members, slices, ranges
    ("result[0]", VECTOR, 0.99),
    ("result[-1]", VECTOR, 2.0),
    ("result[1.0]", VECTOR, 0.5),
    ("result[len(result) - 1]", VECTOR, 2.0),
    ("result.ok", APDEX, True),
    ('result["ok"]', APDEX, True),
    ("result.in", APDEX, 1),
    ("result.nope", APDEX, None),
    ("result.service_apdex.values.values[1]", APDEX, 2.0),
    ("result?.a.b", None, None),
    ("result?.a?.b", {"a": None}, None),
    ("result?.[0]", None, None),
    ("result?.[0]", [7], 7),
    ("[1, 2, 3][1:]", None, [2, 3]),
    ("[1, 2, 3][:-1]", None, [1, 2]),
    ("[1, 2, 3][1:2]", None, [2]),
    ("[1, 2, 3][5:]", None, []),
    ('"hello"[1:3]', None, "el"),
    ("[[1], [2]][1][0]", None, 2),
    ("1..3", None, [1, 2, 3]),
    ("3..1", None, []),
    ("1..2 + 1", None, [1, 2, 3]),
    ("2 in 1..3", None, True),
    # closures
    ("all(result, # > 0.1)", VECTOR, True),
    ("all(result, {# > 1})", VECTOR, False),
    ("all(result.service_apdex.values.values, {# > 1})", APDEX, True),
    ("all([], # > 1)", None, True),
    ("any(result, # > 1)", VECTOR, True),
    ("any([], # > 1)", None, False),
    ("none(result, # > 5)", VECTOR, True),
    ("one(result, # > 1)", VECTOR, True),
    ("one(result, # > 0.6)", VECTOR, False),
    ("filter(result, # > 0.6)", VECTOR, [0.99, 2.0]),
    ("map(result, # * 2)", [1.0, 2.0], [2.0, 4.0]),
    ("count(result, # > 0.6)", VECTOR, 2),
    ("count([true, false, true])", None, 2),
    ("sum(result)", [1.5, 2.5], 4.0),
    ("sum([1, 2, 3])", None, 6),
    ("sum([])", None, 0),
    ("sum(result, #.v)", [{"v": 1}, {"v": 2}], 3),
    ("map(result, .v)", [{"v": 1}, {"v": 2}], [1, 2]),
    ("find([1, 2, 3, 4], # > 2)", None, 3),
    ("find([1], # > 2)", None, None),
    ("findIndex([1, 2, 3, 4], # > 2)", None, 2),
    ("findIndex([1], # > 2)", None, None),
    ("findLast([1, 2, 3, 4], # > 2)", None, 4),
    ("findLastIndex([1, 2, 3, 4], # > 2)", None, 3),
    ("findLastIndex([1], # > 2)", None, None),
    ("map([[1, 2], [3]], sum(#, # * 2))", None, [6, 6]),
    ("map([1, 2], {let y = #; sum([1, 1], # * y)})", None, [2, 4]),
    ("filter(result, {(# > 1) and true})", VECTOR, [2.0]),
    ("filter(result, not isNaN(#)) | len()", [NAN, 1.0], 1),
    # functions
    ("len(result)", VECTOR, 3),
    ('len("héllo")', None, 5),
    ("len({a: 1})", None, 1),
    ("asInt(result)", "1", 1),
    ("asInt(result)", 1.9, 1),
    ("asInt(result)", -1.9, -1),
    ("asInt(result) == 1", 1, True),
    ("asFloat(result)", "1.1", 1.1),
    ("asFloat(result) >= 1.1", 1.1, True),
    ('isNaN(asFloat("NaN"))', None, True),
    ("isNaN(result)", NAN, True),
    ("isNaN(result) || result >= 0.95", NAN, True),
    ("isNaN(1)", None, False),
    ("isInf(result)", -INF, True),
    ("isInf(result)", 1.0, False),
    ("isNil(result)", None, True),
    ("isNil(result)", 0.0, False),
    ("isNil(result.a)", {"a": None}, True),
    ("default(result, 0) < 0.05", None, True),
    ("default(result, 0)", 0.5, 0.5),
    ("default(result.a, 7)", {"b": 1}, 7),
    ("max(5, 7)", None, 7),
    ("max(result)", VECTOR, 2.0),
    ("min(5, [3, 4])", None, 3),
    ("max([1, result])", NAN, NAN),
    ("mean([1, 2, 3])", None, 2.0),
    ("median([3, 1, 2])", None, 2.0),
    ("abs(-5)", None, 5),
    ("ceil(1.5)", None, 2.0),
    ("floor(-1.5)", None, -2.0),
    ("round(1.5)", None, 2.0),
    ("round(-2.5)", None, -3.0),
    ("floor(result)", INF, INF),
    ('trim("  x ")', None, "x"),
    ('trim("__x__", "_")', None, "x"),
    ('trimPrefix("HelloWorld", "Hello")', None, "World"),
    ('trimSuffix("HelloWorld", "World")', None, "Hello"),
    ('upper("a")', None, "A"),
    ('lower("A")', None, "a"),
    ('split("a,b,c", ",", 2)', None, ["a", "b,c"]),
    ('split("abc", "")', None, ["a", "b", "c"]),
    ('split("abc", "", 2)', None, ["a", "bc"]),
    ('join(["a", "b"], "-")', None, "a-b"),
    ('replace("a b a", "a", "c")', None, "c b c"),
    ('repeat("Hi", 3)', None, "HiHiHi"),
    ('indexOf("apple pie", "pie")', None, 6),
    ('lastIndexOf("pie pie", "pie")', None, 4),
    ('hasPrefix("abc", "a")', None, True),
    ('hasSuffix("abc", "c")', None, True),
    ("first(result) ?? 1", [], 1),
    ("last(result)", VECTOR, 2.0),
    ("get(result, 5) ?? 0", VECTOR, 0),
    ('get({a: 1}, "a")', None, 1),
    ("take(result, 2)", VECTOR, [0.99, 0.5]),
    ("reverse([1, 2])", None, [2, 1]),
    ("sort([3, 1, 2])", None, [1, 2, 3]),
    ('sort(["b", "a"], "desc")', None, ["b", "a"]),
    ("flatten([1, [2, [3]]])", None, [1, 2, 3]),
    ("concat([1], [2])", None, [1, 2]),
    ("keys({a: 1})", None, ["a"]),
    ("values({a: 1})", None, [1]),
    ("type(result)", None, "nil"),
    ("type(1)", None, "int"),
    ("type(result)", 1.0, "float"),
    ("type(result)", [1.0], "array"),
    ("string(result)", 0.5, "0.5"),
    ("string(result)", [0.99, 1.0], "[0.99 1]"),
    ("string(result)", {"b": None, "a": [True, "x"]}, "map[a:[true x] b:<nil>]"),
    ("string(999999.0)", None, "999999"),
    ("string(1000000.0)", None, "1e+06"),
    ("string(-0.00001234)", None, "-1.234e-05"),
    ("string(0 / 0)", None, "NaN"),
    ('int("7") + float("0.5")', None, 7.5),
    # what comes out of a map or a list of mixed items is unequal to another type, not an error
    ('result.code == "200"', {"code": 200.0}, False),
    ('result.code != "200"', {"code": 200.0}, True),
    ("result.code == 200", {"code": "200"}, False),
    ("result.ok == true", {"ok": "true"}, False),
    ("all(result.items, .ok == true)", {"items": [{"ok": True}, {"ok": 1.0}]}, False),
    ("result[1] == 1", [1.0, "a"], False),
    ("default(result, 0) == 0", "5", False),
    ("let x = result.a; x == 1", {"a": "1"}, False),
    ('(result.a ?? 1) == "x"', {"a": 2.0}, False),
    ('fromJSON(result) == "x"', "1", False),
    ("(true ? 1 : result) == 'x'", "x", False),
    # more ways to write it
    ("if result > 1 {true} else {false}", 2.0, True),
    ("if result > 1 {1} else if result > 0 {2} else {3}", 0.5, 2),
    ("(if true {1} else {2}) + 1", None, 2),
    ("result.if", {"if": 1.0}, 1.0),
    ("(result ?? true) ?: false", None, True),
    ("1; 2; result", 0.5, 0.5),
    ("result > 0;", 1.0, True),
    ("let x = 1; 2; let y = 3; x + y", None, 4),
    ("[let x = 1; x + 1, -1]", None, [2, -1]),
    ("all(result, let x = #; x > 1)", [2.0], True),
    ("all(result, {# > 0; # > 1})", [2.0], True),
    ("`a``b`", None, "a`b"),
    (r'"\101"', None, "A"),
    ("{a: 1, a: 2}", None, {"a": 1}),
    ("map(result, #index)", [5.0, 6.0], [0, 1]),
    ("filter(result, #index > 0 and # > 5)", [7.0, 6.0], [6.0]),
    # closures with more to them
    ("reduce([1, 2, 3], #acc + #)", None, 6),
    ("reduce([], #acc + #, 5)", None, 5),
    ("reduce([2, 3], {#acc + # * #index}, 0)", None, 3),
    ("reduce([1, 2], #acc + sum([#, #index]), 0)", None, 4),
    ("sortBy([3, 1, 2], -#)", None, [3, 2, 1]),
    ('sortBy(result, .v, "desc")[0].n', [{"v": 1.0, "n": "a"}, {"v": 2.0, "n": "b"}], "b"),
    ("sortBy([1, 2, 3], # % 2)", None, [2, 1, 3]),
    ('groupBy(result, .n)["b"] | len()', [{"n": "a"}, {"n": "b"}, {"n": "b"}], 2),
    ("groupBy(result, # > 1)[true]", [1.0, 2.0], [2.0]),
    ("groupBy(result, # > 1)?.a", [1.0, 2.0], None),
    ('"a" in groupBy(["a"], #)', None, True),
    # more functions
    ("max(1, [2, [5]])", None, 5),
    ("uniq([1, 2, 1.0, [1], [1]])", None, [1, 2, [1]]),
    ('splitAfter("a,b,c", ",", 2)', None, ["a,", "b,c"]),
    ('splitAfter("a,b,", ",")', None, ["a,", "b,", ""]),
    ('splitAfter("a,b", ",", 0)', None, []),
    ('replace("aaa", "a", "b", 2)', None, "bba"),
    ('replace("abc", "", "-")', None, "-a-b-c-"),
    ('trimPrefix("  a")', None, " a"),
    ('upper("aß")', None, "Aß"),
    ('trim("\u3000a\u2003")', None, "a"),
    ("get(nil, 0)", None, None),
    ('asFloat("1_000.5")', None, 1000.5),
    ('asFloat("0x1p-2")', None, 0.25),
    ('toJSON({b: 1.0, a: [true, nil, "<é>"]})', None, TO_JSON),
    ("toJSON([0.0000001, 1e21, 123456789.0])", None, "[\n  1e-7,\n  1e+21,\n  123456789\n]"),
    ("toJSON([]) + toJSON({})", None, "[]{}"),
    ("fromJSON(result).a[0]", '{"a": [1, null]}', 1.0),
    ('fromJSON("12345678901234567890") + 1', None, 12345678901234567000.0),
    ('toBase64("Hello World")', None, "SGVsbG8gV29ybGQ="),
    ('fromBase64("SGVsbG8gV29ybGQ=")', None, "Hello World"),
    ("toPairs({a: 1})", None, [["a", 1]]),
    ('fromPairs([["a", 1], ["a", 2]])', None, {"a": 2}),
    ("bitand(10, 12)", None, 8),
    ("bitor(10, 12)", None, 14),
    ("bitxor(10, 12)", None, 6),
    ("bitnand(10, 12)", None, 2),
    ("bitnot(10)", None, -11),
    ("bitshl(45, 2)", None, 180),
    ("bitshl(1, 63)", None, -(2**63)),
    ("bitshl(1, 9000000000)", None, 0),
    ("bitshr(-5, 1)", None, -3),
    ("bitushr(-5, 2)", None, 4611686018427387902),
]


def same(left: object, right: object) -> bool:
    """Equality that also tells 1 from 1.0 and from true, and lets NaN equal NaN."""
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return type(left) is type(right) and left == right


@pytest.mark.parametrize(("expression", "result", "expected"), VALUES)
def test_an_expression_has_the_expected_value(expression: str, result: object, expected: object) -> None:
    assert same(condition.value(expression, result), expected)


ERRORS: list[tuple[str, object, str, int]] = [
    # written wrong: found without a value
    ("", None, "empty", 1),
    ("   ", None, "empty", 1),
    ("1 +", None, "ends too early", 4),
    ("(1", None, "ends too early", 3),
    ("1 2", None, 'unexpected "2"', 3),
    ("1 = 2", None, 'unexpected "="', 3),
    ("result[0] > > 1", None, 'unexpected ">"', 13),
    ('"abc', None, "not closed", 1),
    ("1 /* x", None, "not closed", 3),
    ("1 @ 2", None, 'unexpected "@"', 3),
    ("5 andtrue", None, 'unexpected "andtrue"', 3),
    ("0x", None, "unexpected", 1),
    ("1.5.2", None, 'unexpected "2"', 5),
    ("9223372036854775808", None, "64-bit", 1),
    (r'"\q"', None, "unknown escape", 2),
    (r'"\ud800"', None, "not a character", 2),
    ("invalidVariable", None, "unknown name invalidVariable", 1),
    ("reslt > 1", None, "did you mean result?", 1),
    ("all(result, x > 1)", None, "unknown name x", 13),
    ("let x = 1; y", None, "unknown name y", 12),
    ("let result = 1; true", None, "cannot be declared", 5),
    ("asint(result)", None, "did you mean asInt?", 1),
    ("__import__('os')", None, "unknown function __import__", 1),
    ("result.Name() == 'hi'", None, 'unexpected "("', 12),
    ("# > 1", None, "only in a closure", 1),
    ("len({# > 1})", None, "a closure can stand only", 8),
    ("all(result)", None, "all takes a list and a closure, got 1", 1),
    ("len()", None, "len takes 1 argument, got 0", 1),
    ("default(1)", None, "default takes 2 arguments, got 1", 1),
    ("split(1, 2, 3, 4)", None, "split takes 2 to 3 arguments, got 4", 1),
    ('"a" matches "("', None, '"(" is not a regular expression: missing )', 13),
    ('"a" matches result', "(", '"(" is not a regular expression', 5),
    ('"a" matches 1', None, "operator matches needs a string", 5),
    ("result | 5", None, "a function call must follow |", 8),
    ("true\nand x", None, "unknown name x", 5),
    # wrong for the value
    ("result[0] >= 0.95", [], "index 0 of an empty list", 8),
    ("result[3]", [1.0], "index 3 is out of range: the list has 1 items", 8),
    ("result[-2]", [1.0], "out of range", 8),
    ("result[0.5]", [1.0], "needs a whole number, got number 0.5", 8),
    ('result["a"]', [1.0], 'needs a number, got string "a"', 8),
    ("result[0]", 1.0, "number 1 cannot be indexed", 8),
    ("result[0]", None, "nil cannot be indexed", 8),
    ("result.a.b", {"a": None}, "nil has no member b", 10),
    ("result.a", [1.0], "list [1] has no member a", 8),
    ("result > 1", [1.0], "cannot compare list [1] with number 1", 8),
    ("result > 1", None, "cannot compare nil with number 1", 8),
    ("result > 1", "5", 'cannot compare string "5" with number 1', 8),
    ("result == 'true'", True, 'cannot compare bool true with string "true"', 8),
    ("asFloat(result) == '1.1'", "1.1", "cannot compare number 1.1", 17),
    ("true == 1", None, "cannot compare bool true with number 1", 6),
    ("1 + true", None, "operator + needs a number, got bool true", 3),
    ("1 + 'a'", None, 'needs a number, got string "a"', 3),
    ("[1] + [2]", None, "needs a number, got list [1]", 5),
    ("-'a'", None, "unary - needs a number", 1),
    ("not 1", None, "not needs a bool, got number 1", 1),
    ("1 and true", None, "and needs a bool, got number 1", 3),
    ("true and nil", None, "and needs a bool, got nil", 6),
    ("result or true", "x", "or needs a bool", 8),
    ("1 ? 2 : 3", None, "needs a bool, got number 1", 1),
    ("5 % 0", None, "division by zero", 3),
    ("5.5 % 2", None, "whole number, got number 5.5", 5),
    ("9223372036854775807 + 1", None, "64-bit", 21),
    ('"a" in "abc"', None, "contains", 5),
    ("1 in 5", None, "needs a list or a map, got number 5", 3),
    ("1 contains 2", None, "needs a string, got number 1", 3),
    ("all(result, # > 1)", 5.0, "all needs a list, got number 5", 1),
    ("all(result, #)", [1.0], "the closure of all needs a bool, got number 1", 1),
    ("filter(result, # > 'a')", [1.0], "cannot compare", 18),
    ("asInt(result) == 1", "1.1", 'asInt cannot read string "1.1"', 1),
    ("asInt(result)", " 1", "asInt cannot read", 1),
    ("asInt(result)", NAN, "asInt cannot convert NaN", 1),
    ("asInt(result)", 1e300, "64-bit", 1),
    ("asInt(true)", None, "asInt needs a number, got bool true", 1),
    ("asFloat(result)", "NotANum", "asFloat cannot read", 1),
    ("asFloat(result)", "1__0", "asFloat cannot read", 1),
    ("asFloat(result)", "1e400", "asFloat cannot read", 1),
    ("isNaN(result)", [NAN], "isNaN needs a number, got list [NaN]", 1),
    ("len(5)", None, "len needs a string, a list or a map", 1),
    ("max([])", None, "max of an empty list", 1),
    ("sum(['a'])", None, "sum needs a number", 1),
    ("sort([1, 'a'])", None, "sort needs a number", 1),
    ("upper(1)", None, "upper needs a string, got number 1", 1),
    ("'abc'[0]", None, "cannot be indexed", 7),
    ("{(1): 2}", None, "the key of a map needs a string", 3),
    ("result == 1", object(), "type object is not supported", 8),
    ("1e309", None, "out of range", 1),
    ("result == 1", "1", 'cannot compare string "1" with number 1', 8),
    ("result[0] == 'a'", [1.0], "cannot compare number 1 with string", 11),
    ("any(result, # == 'a')", [1.0], "cannot compare number 1 with string", 15),
    ("let x = result; x == 'a'", 1.0, "cannot compare number 1 with string", 19),
    ("len(result) == 'a'", [], "cannot compare number 0 with string", 13),
    ("map(result, string(#))[0] == 1", [1.0], 'cannot compare string "1" with number 1', 27),
    ("(nil ?? 1) == 'a'", None, "cannot compare", 12),
    ("(if true {1} else {2}) == 'a'", None, "cannot compare", 24),
    ("1;;2", None, 'unexpected ";"', 3),
    ("if true {1}", None, "ends too early", 12),
    ("map([1], #foo)", None, "unknown pointer #foo", 10),
    ("all([1], #acc > 1)", None, "only in the closure of reduce", 10),
    ("reduce([1], sum([1], #acc))", None, "only in the closure of reduce", 22),
    ("reduce([], #acc)", None, "needs a start value", 1),
    ("sortBy([1], #, 'up')", None, 'needs "asc" or "desc"', 1),
    ("sortBy([1, 'a'], #)", None, "sortBy needs a number", 1),
    ("all([1], # > 0, 1)", None, "all takes a list and a closure, got 3", 1),
    ("groupBy([1], [#])", None, "the key of groupBy needs", 1),
    ("{a: 1}[1]", None, "the key of a map needs a string", 8),
    ("fromPairs([[1]])", None, "needs pairs", 1),
    ("toPairs([])", None, "toPairs needs a map", 1),
    ("toJSON(0 / 0)", None, "NaN has no JSON", 1),
    ('fromJSON("NaN")', None, "fromJSON cannot read", 1),
    ('fromJSON("1 2")', None, "fromJSON cannot read", 1),
    ('fromJSON("1e999")', None, "fromJSON cannot read", 1),
    ('fromBase64("!")', None, "fromBase64 cannot read", 1),
    ("bitshl(1, -1)", None, "negative shift count", 1),
    ("bitand(1.5, 2)", None, "needs a whole number", 1),
    ("mean([])", None, "mean of an empty list", 1),
    ("now() > 1", None, "unknown function now", 1),
]


@pytest.mark.parametrize(("expression", "result", "reason", "column"), ERRORS)
def test_a_wrong_expression_says_what_is_wrong_and_where(
    expression: str, result: object, reason: str, column: int
) -> None:
    with pytest.raises(ConditionError) as caught:
        condition.value(expression, result)
    assert reason in str(caught.value)
    assert str(caught.value).endswith(f"column {column})")


LIMITS = [
    ("1" * 5000, "longer than"),
    ("(" * 2000 + "1" + ")" * 2000, None),
    ("-" * 4000 + "1", "nested deeper"),
    ("not " * 1000 + "true", "nested deeper"),
    ("[" * 100 + "]" * 100, "nested deeper"),
    ("result" + "[0]" * 200, "nested deeper"),
    (" + ".join(["1"] * 200), "nested deeper"),
    ("map([1], " * 60 + "#" + ")" * 60 + " | flatten() | first()", None),
    ("1..1000000000", "longer than"),
    ("all(1..99999, all(1..99999, # > 0))", "more than 1000000 steps"),
    ('repeat("abc", 100000)', "more than"),
    ('repeat("abc", 9000000000000000000)', "more than"),
    ('repeat(repeat("a", 65000), 2)', "more than"),
    ('replace(repeat("a", 60000), "a", "bb")', "more than"),
    ('repeat("a", 60000) + repeat("a", 60000)', "longer than"),
    ('join(split(repeat("a", 60000), ""), "bb")', "more than"),
    ("concat(1..99999, 1..99999)", "longer than"),
    ("reduce(1..99, #acc + #acc, 'ab')", "longer than"),
    ("string(map(1..99999, 'abcdefgh'))", "more than"),
    ("toJSON(map(1..99999, repeat('a', 60000)))", "more than"),
    ("uniq(1..99999)", "more than 1000000 steps"),
    ("map(1..99999, groupBy(1..99999, #))", "more than 1000000 steps"),
    ("bitshl(1, 9223372036854775807) + 1", None),
    ("reduce(map(1..60, [#]), [#acc]) == nil ? 0 : 1", None),
]


@pytest.mark.parametrize(("expression", "reason"), LIMITS)
def test_an_expression_cannot_cost_more_than_its_limits(expression: str, reason: str | None) -> None:
    if reason is None:
        assert condition.value(expression, None) == 1
        return
    with pytest.raises(ConditionError, match=reason):
        condition.value(expression, None)


def test_a_position_in_a_long_expression_counts_lines() -> None:
    with pytest.raises(ConditionError, match=r"line 2, column 5"):
        condition.value("true\nand x", None)


def test_values_nested_too_deep_are_not_compared() -> None:
    deep: list[object] = []
    for _ in range(500):
        deep = [deep]
    with pytest.raises(ConditionError, match="nested deeper"):
        condition.value("result == result", deep)


@pytest.mark.parametrize(
    "expression", ["result[0] >= 0.95", "isNaN(result)", "true", "let x = 1; x > 0", "result"]
)
def test_check_accepts_what_can_be_a_condition(expression: str) -> None:
    condition.check(expression)


@pytest.mark.parametrize(
    "expression", ["1", "result + 1", "'yes'", "nil", "[true]", "{a: 1}", "-result", "1..2"]
)
def test_check_refuses_what_can_never_be_true_or_false(expression: str) -> None:
    with pytest.raises(ConditionError, match="true or false"):
        condition.check(expression)


def test_a_condition_that_gives_a_number_is_an_error() -> None:
    with pytest.raises(ConditionError, match="a condition must be true or false, got number 1"):
        condition.evaluate("result", 1)


PHASES: list[tuple[object, str | None, str | None, Phase]] = [
    (1.0, None, None, Phase.SUCCESSFUL),
    (None, None, None, Phase.SUCCESSFUL),
    (1.0, "", "", Phase.SUCCESSFUL),
    (1.0, "result >= 1", None, Phase.SUCCESSFUL),
    (0.5, "result >= 1", None, Phase.FAILED),
    (1.0, None, "result >= 1", Phase.FAILED),
    (0.5, None, "result >= 1", Phase.SUCCESSFUL),
    (5.0, "result > 4", "result < 2", Phase.SUCCESSFUL),
    (1.0, "result > 4", "result < 2", Phase.FAILED),
    (3.0, "result > 4", "result < 2", Phase.INCONCLUSIVE),
    (5.0, "result > 4", "result > 4", Phase.FAILED),
    (NAN, "result >= 0.95", None, Phase.FAILED),
    (NAN, "result >= 0.95", "result < 0.95", Phase.INCONCLUSIVE),
    (NAN, "isNaN(result) || result >= 0.95", None, Phase.SUCCESSFUL),
    (NAN, None, "result < 0.95", Phase.SUCCESSFUL),
    (INF, None, "isInf(result)", Phase.FAILED),
    ([], "result[0] >= 0.95", None, Phase.ERROR),
    ([], None, "result[0] < 0.95", Phase.ERROR),
    ([], "len(result) == 0 || result[0] >= 0.95", None, Phase.SUCCESSFUL),
    (None, "result >= 0.95", None, Phase.ERROR),
    (None, "default(result, 0) < 0.05", None, Phase.SUCCESSFUL),
    (1.0, "true", "nonsense(", Phase.ERROR),
    (1.0, "nonsense(", "true", Phase.ERROR),
    (1.0, "result", None, Phase.ERROR),
]


@pytest.mark.parametrize(("result", "success", "failure", "phase"), PHASES)
def test_the_two_conditions_give_the_phase_of_a_measurement(
    result: object, success: str | None, failure: str | None, phase: Phase
) -> None:
    assert condition.evaluate_result(result, success, failure).phase is phase


def test_an_error_names_the_condition_and_that_there_was_no_data() -> None:
    outcome = condition.evaluate_result([], "result[0] >= 0.95", None)
    assert outcome.message == (
        "successCondition result[0] >= 0.95 could not be evaluated: "
        "index 0 of an empty list (column 8): the provider returned no data"
    )


def test_every_function_is_covered_by_the_table() -> None:
    text = " ".join(expression for expression, _, _ in VALUES)
    known = {*functions.FUNCTIONS, *closures.PREDICATES}
    assert [name for name in known if f"{name}(" not in text] == []
