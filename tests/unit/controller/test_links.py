"""Who names whom."""

from __future__ import annotations

from rollouts.controller.links import Links


def test_links_are_asked_from_both_sides() -> None:
    links: Links[str, str] = Links()
    links.set("web", ["a", "b"])
    links.set("api", ["b"])

    assert links.targets("web") == {"a", "b"}
    assert links.sources("b") == {"web", "api"}


def test_setting_tells_what_was_added_and_removed() -> None:
    links: Links[str, str] = Links()

    assert links.set("web", ["a", "b"]) == {"a", "b"}
    assert links.set("web", ["b", "c"]) == {"a", "c"}
    assert links.set("web", ["b", "c"]) == frozenset()
    assert links.set("web", []) == {"b", "c"}
    assert links.sources("b") == frozenset()
