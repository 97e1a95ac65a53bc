"""The controller as a process of its own, as in a cluster: started, killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path


class ControllerProcess:
    """`rollouts controller` against the sandbox; its log goes to a file."""

    def __init__(self, *, kubeconfig: Path, prometheus_url: str, directory: Path) -> None:
        self._log = directory / "controller.log"
        self._command = [
            *(sys.executable, "-m", "rollouts", "controller"),
            *("--kubeconfig", str(kubeconfig), "--prometheus-address", prometheus_url),
            *("--metrics-address", "127.0.0.1:0", "--health-address", "127.0.0.1:0"),
            *("--git-cache-dir", str(directory / "git-cache"), "--no-leader-elect"),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self._log

    @property
    def command(self) -> str:
        return " ".join(self._command)

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches only the demo."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env={**os.environ}, start_new_session=True
            )

    def has_died(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def kill(self) -> None:
        """What a node failure does to it."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        self._signal(signal.SIGTERM)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
