"""What annotations and labels of an object ask for, and what follows for its comparison."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rollouts.gitops import comparison, plan
from rollouts.gitops.resources import inventory, options
from rollouts.gitops.resources.options import DEFAULT, Options, Policy
from tests.unit.gitops.builders import (
    A,
    B,
    Object,
    after,
    applied,
    config_map,
    seen,
    snapshot,
    with_manager,
)

FLUX = "kustomize.toolkit.fluxcd.io"


def marked(body: Object, **marks: str) -> Object:
    return {**body, "metadata": {**body["metadata"], "annotations": marks}}


@pytest.mark.parametrize(
    ("annotations", "labels", "asked"),
    [
        ({}, {}, DEFAULT),
        ({"argocd.argoproj.io/sync-options": "Prune=false"}, {}, Options(keeps=True)),
        ({"rollouts.dev/prune": "disabled"}, {}, Options(keeps=True)),
        ({}, {f"{FLUX}/prune": "disabled"}, Options(keeps=True)),
        (
            {"argocd.argoproj.io/sync-options": "Replace=true, Force=true,Validate=false"},
            {},
            Options(replaces=True, recreates=True),
        ),
        ({"rollouts.dev/sync-options": "Force=true"}, {}, Options(recreates=True)),
        ({f"{FLUX}/force": "Enabled"}, {}, Options(recreates=True)),
        ({f"{FLUX}/ssa": "merge"}, {}, Options(Policy.MERGE)),
        ({"rollouts.dev/ssa": "IfNotPresent"}, {}, Options(Policy.IF_NOT_PRESENT)),
        ({f"{FLUX}/ssa": "Ignore"}, {}, Options(Policy.IGNORE)),
        ({f"{FLUX}/reconcile": "disabled", f"{FLUX}/ssa": "Merge"}, {}, Options(Policy.IGNORE)),
        ({"rollouts.dev/break-glass": "jane: the site is down"}, {}, Options(Policy.IGNORE)),
        ({"rollouts.dev/ssa": "nonsense", "rollouts.dev/force": "disabled"}, {}, DEFAULT),
    ],
)
def test_what_is_asked_for(annotations: dict[str, str], labels: dict[str, str], asked: Options) -> None:
    assert options.of({"annotations": annotations, "labels": labels}) == asked


def test_what_is_there_once_is_left_alone_with_if_not_present() -> None:
    git = marked(config_map(color="blue"), **{"rollouts.dev/ssa": "IfNotPresent"})
    found = applied(git)
    found["data"]["color"] = "red"

    missing = snapshot({A: [git]}, git=A, live_objects=[])
    there = snapshot({A: [git]}, git=A, live_objects=[found])

    assert comparison.change(missing, missing.declared.manifests[0], None) is not None
    assert comparison.change(there, there.declared.manifests[0], seen(found)) is None


def test_an_annotation_in_the_cluster_keeps_us_away() -> None:
    git = config_map(color="blue")
    found = marked(applied(git), **{f"{FLUX}/reconcile": "disabled"})
    found["metadata"] |= {k: v for k, v in applied(git)["metadata"].items() if k != "annotations"}
    found["data"]["color"] = "red"
    s = snapshot({A: [git]}, git=A, live_objects=[found])

    assert comparison.change(s, s.declared.manifests[0], seen(found)) is None
    assert inventory.is_protected(seen(found))


def test_merge_leaves_what_people_declare_beside_git() -> None:
    plain = config_map(color="blue")
    edited = with_manager(applied(plain), "kubectl-edit", {"f:data": {"f:size": {}}})
    merging = marked(plain, **{"rollouts.dev/ssa": "Merge"})
    edited_merging = with_manager(applied(merging), "kubectl-edit", {"f:data": {"f:size": {}}})

    taken = snapshot({A: [plain]}, git=A, live_objects=[edited])
    left = snapshot({A: [merging]}, git=A, live_objects=[edited_merging])

    assert comparison.change(taken, taken.declared.manifests[0], seen(edited)) is not None
    assert comparison.change(left, left.declared.manifests[0], seen(edited_merging)) is None


def test_an_ignored_object_of_the_set_is_not_a_left_over_one() -> None:
    git = config_map()
    first = snapshot({A: [git]}, git=A, live_objects=[])
    status = plan.decide(first).status
    s = snapshot({A: [git], B: []}, git=B, live_objects=[applied(git)], app=after(first, status))
    ignoring = replace(s, declared=replace(s.declared, ignored=frozenset({first.declared.manifests[0].key})))

    assert comparison.compare(s).leftovers
    assert not comparison.compare(ignoring).leftovers
