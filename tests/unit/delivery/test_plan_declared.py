"""spec.promote and spec.abort: obeyed once, for one pod template, and for no other."""

from __future__ import annotations

import pytest

from rollouts.api.rollout import DeclaredAbort, DeclaredPromotion
from rollouts.api.rollout_status import Phase
from tests.builders import analyse, blue_green, canary, pause, rollout, set_weight, template
from tests.fakes import FakeCluster

STEPS = canary(set_weight(20), pause(), set_weight(50), pause(), analyse())
TEMPLATES = {"success-rate": template("success-rate")}


def at_the_first_pause(strategy: object = STEPS) -> FakeCluster:
    cluster = FakeCluster(rollout(strategy), services=("active",), templates=TEMPLATES)  # type: ignore[arg-type]
    cluster.run()
    cluster.deploy("v2")
    cluster.run()
    assert cluster.status.phase is Phase.PAUSED
    return cluster


def promote(version: str = "v2", **fields: object) -> DeclaredPromotion:
    return DeclaredPromotion(image=f"shop/web:{version}", **fields)  # type: ignore[arg-type]


def test_a_full_promotion_by_image_goes_all_the_way() -> None:
    cluster = at_the_first_pause()

    cluster.edit(promote=promote(full=True))
    cluster.run()

    assert (cluster.status.phase, cluster.status.stable_rs) == (Phase.HEALTHY, "hash-v2")
    assert cluster.status.declared.promote == "hash-v2 full"


def test_it_does_not_leak_into_the_next_release() -> None:
    cluster = at_the_first_pause()
    cluster.edit(promote=promote(full=True))
    cluster.run()

    cluster.deploy("v3")
    cluster.run()

    assert (cluster.status.phase, cluster.status.step) == (Phase.PAUSED, "1/5")


def test_a_promotion_that_comes_with_the_template_is_a_hotfix() -> None:
    cluster = FakeCluster(rollout(STEPS), templates=TEMPLATES)
    cluster.run()
    cluster.edit(promote=promote(full=True))
    cluster.deploy("v2")
    cluster.run()

    assert cluster.status.phase is Phase.HEALTHY


def test_it_goes_on_to_a_step_once() -> None:
    cluster = at_the_first_pause()

    cluster.edit(promote=DeclaredPromotion("hash-v2", step=3))
    cluster.run()
    assert (cluster.status.phase, cluster.status.step) == (Phase.PAUSED, "3/5")

    cluster.patch_status(current_step_index=0)
    cluster.run()
    assert cluster.status.step == "1/5", "obeyed before"


def test_it_passes_the_pause_at_which_somebody_is_waited_for_and_no_other() -> None:
    cluster = at_the_first_pause()

    cluster.edit(promote=promote())
    cluster.run()

    assert (cluster.status.phase, cluster.status.step) == (Phase.PAUSED, "3/5")


def test_blue_green_is_approved_by_a_commit() -> None:
    cluster = at_the_first_pause(blue_green(auto_promotion_enabled=False))

    cluster.edit(promote=promote())
    cluster.run()

    assert (cluster.status.phase, cluster.selected("active")) == (Phase.HEALTHY, "v2")


def test_an_abort_is_obeyed_once() -> None:
    cluster = at_the_first_pause()

    cluster.edit(abort=DeclaredAbort(image="shop/web:v2"))
    cluster.run()
    assert cluster.sizes() == {"v1": 4}
    assert cluster.status.abort_reason is not None
    assert "by spec.abort" in cluster.status.abort_reason.message

    cluster.retry()
    cluster.run()
    assert cluster.status.phase is Phase.PAUSED


def test_an_aborted_update_is_not_promoted_behind_its_back() -> None:
    cluster = at_the_first_pause()
    cluster.abort()
    cluster.run()

    cluster.edit(promote=promote(full=True))
    cluster.run()

    assert cluster.status.phase is Phase.DEGRADED


@pytest.mark.parametrize("declared", [promote("v1", full=True), DeclaredPromotion("hash-v1", step=4)])
def test_what_is_about_another_version_is_not_obeyed(declared: DeclaredPromotion) -> None:
    cluster = at_the_first_pause()

    cluster.edit(promote=declared)
    cluster.run()

    assert (cluster.status.phase, cluster.status.step) == (Phase.PAUSED, "1/5")


@pytest.mark.parametrize("writes", range(4))
def test_a_crash_in_between_changes_nothing(writes: int) -> None:
    cluster = at_the_first_pause()
    cluster.edit(promote=promote(step=2))

    cluster.apply(cluster.decide(), upto=writes)
    cluster.run()

    assert (cluster.status.phase, cluster.status.step) == (Phase.PAUSED, "3/5")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"promote": DeclaredPromotion(full=True)}, "would be obeyed for every release"),
        ({"abort": DeclaredAbort()}, "would be obeyed for every release"),
        ({"promote": promote(step=9)}, "there are 5 steps"),
        ({"promote": promote(step=1, full=True)}, "full is set too"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields: dict[str, object], problem: str) -> None:
    cluster = at_the_first_pause()
    cluster.edit(**fields)
    cluster.run()

    assert cluster.status.message.startswith("InvalidSpec: spec.")
    assert problem in cluster.status.message
