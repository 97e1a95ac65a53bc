"""Stores: which sighting is newer, who is told, what a sweep may drop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rollouts.controller.cache import WATCH, Change, Key, Record, Store
from rollouts.kube import resources

WEB = Key("shop", "web")


def body(
    name: str = "web", *, version: int, uid: str = "u1", owner: str = "", value: str = ""
) -> dict[str, Any]:
    references = (
        [{"kind": "Rollout", "name": owner, "uid": f"uid-{owner}", "controller": True}] if owner else []
    )
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": uid,
            "resourceVersion": str(version),
            "generation": 1,
            "ownerReferences": references,
        },
        "value": value,
    }


def new_store() -> Store[str]:
    def trim(seen: Mapping[str, Any], old: Record[str] | None) -> str:
        del old
        return str(seen.get("value", ""))

    return Store(resources.REPLICA_SET, trim)


def test_newer_version_replaces_older() -> None:
    store = new_store()

    assert store.put(body(version=1, value="one"))
    assert store.put(body(version=2, value="two"))

    record = store.get(WEB)
    assert record is not None
    assert (record.version, record.value) == (2, "two")


def test_older_and_equal_versions_change_nothing_and_tell_nobody() -> None:
    store, told = new_store(), list[Change[str]]()
    store.put(body(version=10, value="new"))
    store.listen(told.append)

    assert not store.put(body(version=9, value="old"))
    assert not store.put(body(version=10, value="same"))

    assert told == []


def test_versions_are_compared_as_numbers() -> None:
    store = new_store()
    store.put(body(version=9))

    assert store.put(body(version=10, value="later"))


def test_listeners_hear_before_after_and_origin() -> None:
    store, told = new_store(), list[Change[str]]()
    store.listen(told.append)

    store.put(body(version=1), origin="rollout")
    store.put(body(version=2))
    store.drop(WEB, 3)

    assert [(c.old and c.old.version, c.new and c.new.version, c.origin) for c in told] == [
        (None, 1, "rollout"),
        (1, 2, WATCH),
        (2, None, WATCH),
    ]


def test_an_answer_that_comes_after_the_deletion_does_not_raise_the_dead() -> None:
    store = new_store()
    store.put(body(version=5))
    store.drop(WEB, 8)

    assert not store.put(body(version=7))
    assert store.get(WEB) is None


def test_a_new_object_of_the_same_name_is_taken_over() -> None:
    store = new_store()
    store.put(body(version=5, owner="old"))
    store.drop(WEB, 8)

    assert store.put(body(version=9, uid="u2", owner="new"))

    assert store.owned_by("uid-old") == ()
    assert [r.uid for r in store.owned_by("uid-new")] == ["u2"]


def test_the_deletion_of_a_former_object_does_not_drop_the_new_one() -> None:
    store = new_store()
    store.put(body(version=9, uid="u2"))

    assert not store.drop(WEB, 8)
    assert store.get(WEB) is not None


def test_owned_records_follow_a_change_of_owner() -> None:
    store = new_store()
    store.put(body("a", version=1, owner="web"))
    store.put(body("b", version=2, owner="web"))
    store.put(body("a", version=3, owner="api"))

    assert [r.key.name for r in store.owned_by("uid-web")] == ["b"]
    assert [r.key.name for r in store.owned_by("uid-api")] == ["a"]


def test_a_sweep_drops_what_the_list_does_not_hold() -> None:
    store = new_store()
    store.put(body("gone", version=3))
    store.put(body("kept", version=4))

    store.begin_sweep()
    store.put(body("kept", version=4))
    store.end_sweep({Key("shop", "kept")}, version=10)

    assert [record.key for record in store] == [Key("shop", "kept")]


def test_a_sweep_keeps_what_is_newer_than_the_list() -> None:
    store = new_store()

    store.begin_sweep()
    store.put(body("created-meanwhile", version=12))
    store.end_sweep(set(), version=10)

    assert [record.key for record in store] == [Key("shop", "created-meanwhile")]


def test_a_page_of_a_running_sweep_does_not_bring_back_a_deleted_object() -> None:
    store = new_store()
    store.put(body(version=5))

    store.begin_sweep()
    store.drop(WEB, 11)
    for i in range(3000):  # however many go meanwhile
        store.put(body(f"other-{i}", version=6))
        store.drop(Key("shop", f"other-{i}"), 11)
    store.put(body(version=5))
    store.end_sweep({WEB}, version=10)

    assert store.get(WEB) is None


def test_a_list_that_broke_off_drops_nothing() -> None:
    store = new_store()
    store.put(body(version=5))

    store.begin_sweep()
    store.end_sweep(set(), version=None)

    assert store.get(WEB) is not None


def test_a_sweep_of_one_namespace_leaves_the_others_alone() -> None:
    store = new_store()
    store.put(body(version=5))

    store.begin_sweep()
    store.end_sweep(set(), version=10, namespace="elsewhere")

    assert store.get(WEB) is not None


@given(st.permutations(range(1, 8)), st.integers(min_value=1, max_value=7))
def test_any_order_of_sightings_ends_with_the_newest(order: list[int], deleted_at: int) -> None:
    store = new_store()

    for version in order:
        if version == deleted_at:
            store.drop(WEB, version)
        else:
            store.put(body(version=version))

    record = store.get(WEB)
    assert (record.version if record else None) == (7 if deleted_at != 7 else None)
