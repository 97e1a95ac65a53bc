"""One seed, told line by line: `python -m tests.sim.story SEED [EVENTS]`."""

from __future__ import annotations

import random
import sys

from tests.sim.driver import Driver
from tests.sim.test_simulation import EVENTS


def tell(seed: int, events: int) -> None:
    driver = Driver(random.Random(seed))
    print(driver.cluster.rollout.spec.strategy, f"replicas={driver.cluster.rollout.spec.replicas}")
    for _ in range(events):
        driver.happen()
        status = driver.cluster.status
        pauses = ",".join(pause.reason for pause in status.pause_conditions)
        sets = {rs.hash: (rs.replicas, len(rs.pods), rs.available) for rs in driver.cluster.sets.values()}
        print(
            f"{driver.story[-1]:24} {status.phase or '-':12} {status.step:4} {pauses:16} "
            f"stable={status.stable_rs} current={status.current_pod_hash} sets={sets} {status.message}"
        )


if __name__ == "__main__":
    tell(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else EVENTS)
