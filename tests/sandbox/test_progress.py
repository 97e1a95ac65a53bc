"""Builds tell how far they are: a bar for people, lines for logs, and always on stderr."""

from __future__ import annotations

import io

from rich.console import Console

from rollouts.sandbox.progress import LINE_EVERY_SECONDS, Bar, Lines, percent


def test_lines_are_written_now_and_then_and_not_for_each_package() -> None:
    out = io.StringIO()
    seconds = iter([0.0, 1.0, LINE_EVERY_SECONDS + 1, LINE_EVERY_SECONDS + 1, LINE_EVERY_SECONDS + 2])
    lines = Lines(Console(file=out), clock=lambda: next(seconds))

    with lines.task("etcd: compiling", total=4) as advance:
        for done in (1, 2, 3):
            advance(done)

    assert out.getvalue().splitlines() == ["etcd: compiling", "etcd: compiling: 50 %"]


def test_the_bar_ends_full_even_if_less_was_to_do_than_thought() -> None:
    out = io.StringIO()
    bar = Bar(Console(file=out, force_terminal=True, width=120))

    with bar.task("etcd: compiling", total=3) as advance:
        advance(1)

    assert "3/3" in out.getvalue()


def test_a_task_of_nothing_is_done() -> None:
    assert percent(0, 0) == 100
    assert percent(1, 3) == 33
    assert percent(5, 3) == 100
