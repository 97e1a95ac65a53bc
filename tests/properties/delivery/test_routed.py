"""Properties of the canary with routers: random steps, pods, failures and people."""

from __future__ import annotations

import random
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollouts.api.strategy import CanaryStep
from rollouts.delivery import sets, view, weights
from rollouts.delivery.actions import PatchReplicaSet, Plan, SetWeights
from tests.builders import pause, rollout, routed, set_scale, set_weight
from tests.fakes import FakeCluster

RECORDING = "plugins.recording"
SETTINGS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
chances = st.randoms(use_true_random=False)
lengths = st.integers(0, 25)


class Story:
    """A rollout that is lived through at random; what must always hold is checked at every plan."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.dynamic = rng.random() < 0.5
        steps = [self._step() for _ in range(rng.randint(0, 4))]
        delays = {} if self.dynamic else {"scale_down_delay_seconds": rng.choice((None, 0, 20))}
        strategy = routed(
            *steps,
            dynamic_stable_scale=self.dynamic,
            min_pods_per_replica_set=rng.choice((None, 2)),
            abort_scale_down_delay_seconds=rng.choice((None, 20)),
            **delays,
        )
        subject = rollout(strategy, replicas=rng.randint(1, 6), progress_deadline_seconds=120)
        self.cluster = FakeCluster(subject, services=("canary", "stable"))
        self.versions = 1
        self.cluster.run()

    def happens(self) -> None:
        deeds = (
            self._deploy,
            self._promote,
            self.cluster.abort,
            self._retry,
            self._pods,
            self._router,
            self._pass,
        )
        self.rng.choice(deeds)()
        self.settles()

    def settles(self) -> None:
        for _ in range(100):
            decided = self.cluster.decide()
            if not decided.actions and decided.status == self.cluster.status:
                return
            self._check(decided)
            self.cluster.apply(decided)
            if self.rng.random() < 0.7:
                self.cluster.replica_set_controller()
        raise AssertionError("no fixpoint")

    def gets_well(self) -> None:
        """Every pod becomes ready, the router obeys, time passes."""
        self.cluster.routes.steer(RECORDING, fail=None, unverified=None)
        for _ in range(40):
            self.cluster.now += timedelta(seconds=15)
            self.cluster.run()

    def _check(self, decided: Plan) -> None:
        seen = view.of(self.cluster.snapshot())
        before = weights.served(seen)
        front, home = seen.behind("canary"), seen.behind("stable")
        for action in decided.actions:
            if isinstance(action, SetWeights):
                given_ = action.shares
                assert given_.canary.weight + given_.stable.weight == given_.maximum == 100
                assert min(given_.canary.weight, given_.stable.weight) >= 0
                if given_.canary.weight > before:
                    assert front is not None
                    assert sets.available(front) > 0
                    assert front.pod_template_hash == seen.hash
                if given_.canary.weight < before:
                    assert home is not None
                    assert sets.available(home) > 0
            if isinstance(action, PatchReplicaSet) and action.replicas == 0:
                (rs,) = (rs for rs in seen.sets if rs.name == action.name)
                assert not weights.share(seen, rs), "a set that is served loses its pods"

    def _step(self) -> CanaryStep:
        kind = self.rng.random()
        if kind < 0.5:
            return set_weight(self.rng.choice((0, 1, 20, 50, 75, 100)))
        if kind < 0.7:
            return set_scale(weight=self.rng.choice((10, 60)))
        if kind < 0.8:
            return set_scale(match_traffic_weight=True)
        return pause(self.rng.choice((None, 10)))

    def _deploy(self) -> None:
        new = self.rng.random() < 0.7
        self.versions += new
        self.cluster.deploy(f"v{self.versions if new else self.rng.randint(1, self.versions)}")

    def _promote(self) -> None:
        if self.rng.random() < 0.3:
            self.cluster.promote_full()
        elif self.cluster.status.pause_conditions:
            self.cluster.promote()

    def _retry(self) -> None:
        if self.cluster.status.abort:
            self.cluster.retry()

    def _pods(self) -> None:
        self.cluster.replica_set_controller()
        for rs in self.cluster.sets.values():
            for pod in rs.pods:
                pod.available = self.rng.random() < 0.7

    def _router(self) -> None:
        key = self.rng.choice(("fail", "unverified"))
        self.cluster.routes.steer(RECORDING, **{key: self.rng.choice((None, "no"))})

    def _pass(self) -> None:
        self.cluster.now += timedelta(seconds=self.rng.choice((5, 15, 40)))


def lived(rng: random.Random, events: int) -> Story:
    story = Story(rng)
    for _ in range(events):
        story.happens()
    return story


@SETTINGS
@given(chances, lengths)
def test_shares_add_up_and_nobody_is_sent_where_no_pod_is(rng: random.Random, events: int) -> None:
    lived(rng, events)


@SETTINGS
@given(chances, lengths)
def test_an_abort_ends_with_everything_at_stable(rng: random.Random, events: int) -> None:
    story = lived(rng, events)
    cluster = story.cluster
    if cluster.status.stable_rs == cluster.status.current_pod_hash:
        return

    cluster.abort()
    story.gets_well()

    shown = cluster.status.canary.weights
    assert shown is not None
    assert shown.canary.weight == 0
    assert cluster.services["canary"].selected_hash == cluster.status.stable_rs  # type: ignore[union-attr]
    assert sum(rs.replicas for rs in cluster.sets.values()) == cluster.rollout.spec.replicas


@SETTINGS
@given(chances, lengths)
def test_a_good_version_gets_through_from_anywhere(rng: random.Random, events: int) -> None:
    story = lived(rng, events)
    cluster = story.cluster
    cluster.deploy("good")
    story.gets_well()
    for _ in range(5):
        if cluster.status.pause_conditions:
            cluster.promote()
            story.gets_well()

    assert cluster.status.stable_rs == "hash-good"
    assert cluster.sizes() == {"good": cluster.rollout.spec.replicas}
