"""The command lines of the control plane and of the simulated nodes.

Says how each program is called; `cluster` says when. Everything listens on the loopback address with TLS,
or not at all.
"""

from __future__ import annotations

from pathlib import Path

from rollouts.sandbox.paths import Layout
from rollouts.sandbox.pki import Pki
from rollouts.sandbox.ports import LOOPBACK
from rollouts.sandbox.state import Ports

STAGES = Path(__file__).parent / "stages.yaml"
SERVICE_ADDRESSES = "10.96.0.0/16"
POD_ADDRESSES = "10.128.0.1/10"
# A benchmark measures the controller under test, so the cluster around it must not throttle itself.
FAST_CLIENT = ("--kube-api-qps=1000", "--kube-api-burst=2000")


def etcd(program: Path, *, layout: Layout, pki: Pki, ports: Ports) -> list[str]:
    """One member that only our API server may talk to, and that does not wait for the disk."""
    client, peer = f"https://{LOOPBACK}:{ports.etcd}", f"http://{LOOPBACK}:{ports.etcd_peer}"
    return [
        str(program),
        "--name=sandbox",
        f"--data-dir={layout.etcd}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=sandbox={peer}",
        f"--cert-file={pki.certificate('server')}",
        f"--key-file={pki.key('server')}",
        f"--trusted-ca-file={pki.authority}",
        "--client-cert-auth",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def api_server(program: Path, *, pki: Pki, ports: Ports) -> list[str]:
    """RBAC on, the default admission plugins, requests identified by certificate or account token."""
    return [
        str(program),
        f"--etcd-servers=https://{LOOPBACK}:{ports.etcd}",
        f"--etcd-cafile={pki.authority}",
        f"--etcd-certfile={pki.certificate('etcd-client')}",
        f"--etcd-keyfile={pki.key('etcd-client')}",
        f"--bind-address={LOOPBACK}",
        f"--advertise-address={LOOPBACK}",
        f"--secure-port={ports.api_server}",
        f"--tls-cert-file={pki.certificate('server')}",
        f"--tls-private-key-file={pki.key('server')}",
        f"--client-ca-file={pki.authority}",
        "--authorization-mode=RBAC",
        f"--service-account-issuer=https://{LOOPBACK}",
        f"--service-account-key-file={pki.service_account_public_key}",
        f"--service-account-signing-key-file={pki.service_account_key}",
        f"--service-cluster-ip-range={SERVICE_ADDRESSES}",
        "--allow-privileged=true",
        # There is no second API server to reconcile with, and leaving early matters in tests.
        "--endpoint-reconciler-type=none",
        "--shutdown-delay-duration=0s",
        "--max-requests-inflight=2000",
        "--max-mutating-requests-inflight=1000",
    ]


def controller_manager(program: Path, *, layout: Layout, pki: Pki) -> list[str]:
    """All the usual controllers, each under its own service account as in a real cluster."""
    return [
        str(program),
        f"--kubeconfig={layout.component_kubeconfig('kube-controller-manager')}",
        "--secure-port=0",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={pki.service_account_key}",
        f"--root-ca-file={pki.authority}",
        *FAST_CLIENT,
    ]


def scheduler(program: Path, *, layout: Layout) -> list[str]:
    """The default scheduler."""
    kubeconfig = layout.component_kubeconfig("kube-scheduler")
    return [
        str(program),
        f"--kubeconfig={kubeconfig}",
        "--secure-port=0",
        "--leader-elect=false",
        *FAST_CLIENT,
    ]


def nodes(program: Path, *, layout: Layout) -> list[str]:
    """kwok: plays the nodes, whose leases it renews, and their pods as `stages.yaml` says."""
    return [
        str(program),
        f"--kubeconfig={layout.component_kubeconfig('kwok')}",
        f"--config={STAGES}",
        "--manage-all-nodes=true",
        "--node-lease-duration-seconds=40",
        f"--node-ip={LOOPBACK}",
        f"--cidr={POD_ADDRESSES}",
        "--v=WARN",
    ]
