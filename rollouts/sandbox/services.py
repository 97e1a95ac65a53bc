"""The command lines of what surrounds the cluster: Prometheus, the traffic model and the Git server."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from rollouts.sandbox.paths import Layout
from rollouts.sandbox.pki import Pki
from rollouts.sandbox.ports import LOOPBACK
from rollouts.sandbox.state import Ports

SCRAPE_INTERVAL = "1s"
# Without -P a directory that happens to be called like a package of ours would be taken for it.
PYTHON_MODULE = (sys.executable, "-P", "-m")
GIT_CREDENTIALS = ("ROLLOUTS_SANDBOX_GIT_USERNAME", "ROLLOUTS_SANDBOX_GIT_PASSWORD")


def prometheus(program: Path, *, layout: Layout, ports: Ports) -> list[str]:
    """A Prometheus server that keeps a week of what it scraped or was given: enough for a backtest."""
    return [
        str(program),
        f"--config.file={layout.prometheus / 'prometheus.yaml'}",
        f"--storage.tsdb.path={layout.prometheus / 'data'}",
        "--storage.tsdb.retention.time=7d",
        "--storage.tsdb.retention.size=512MB",
        f"--web.listen-address={LOOPBACK}:{ports.prometheus}",
        # By default it looks for new targets every five seconds only, the first ones included.
        "--scrape.discovery-reload-interval=500ms",
        "--log.level=warn",
    ]


def prometheus_configuration(ports: Ports) -> str:
    """Scrape the traffic model every second, so that an analysis sees a bad version soon."""
    target = {"targets": [f"{LOOPBACK}:{ports.traffic}"]}
    config = {
        "global": {"scrape_interval": SCRAPE_INTERVAL, "scrape_timeout": SCRAPE_INTERVAL},
        "scrape_configs": [
            # The labels of the requests are those of the Services, not of the program that counts them.
            {"job_name": "traffic", "honor_labels": True, "static_configs": [target]}
        ],
    }
    return yaml.safe_dump(config, sort_keys=False)


def traffic(*, layout: Layout, ports: Ports) -> list[str]:
    """The load model, as a process of its own."""
    return [
        *PYTHON_MODULE,
        "rollouts.sandbox.traffic",
        f"--kubeconfig={layout.component_kubeconfig('traffic')}",
        f"--listen={LOOPBACK}:{ports.traffic}",
    ]


def git(*, layout: Layout, pki: Pki, ports: Ports, https: bool) -> list[str]:
    """The Git server; its credentials come by environment, so that no process list shows them."""
    argv = [
        *PYTHON_MODULE,
        "rollouts.sandbox.git_server",
        f"--root={layout.repositories}",
        f"--listen={LOOPBACK}:{ports.git}",
    ]
    if https:
        argv += [f"--certificate={pki.certificate('server')}", f"--key={pki.key('server')}"]
    return argv
