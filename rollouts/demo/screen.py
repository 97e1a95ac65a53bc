"""What the demo shows: a live view on a terminal, plain lines elsewhere.

Rendering is pure (`table`, `line`); `Screen` only writes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from rollouts.demo.state import State

_STYLES = {
    "Healthy": "green",
    "Synced": "green",
    "Progressing": "cyan",
    "Paused": "yellow",
    "Suspended": "yellow",
}


class Screen:
    """Prints chapters, remarks and checks, and keeps a view of the cluster below them."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self._live = Live(console=self.console, refresh_per_second=8) if self.console.is_terminal else None
        self._started = time.monotonic()
        self._last: dict[str, str] = {}

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.update(Text(""))
            self._live.stop()

    def chapter(self, number: int, title: str, explanation: str) -> None:
        self.console.print()
        self.console.print(Text(f"{number}. {title}", style="bold"))
        self.console.print(Text(f"   {explanation}", style="dim"))

    def remark(self, text: str) -> None:
        self.console.print(f"{self._clock()} {text}", markup=False)

    def check(self, text: str, *, passed: bool) -> None:
        mark = Text("✓", style="green") if passed else Text("✗", style="bold red")
        self.console.print(Text(f"{self._clock()} ") + mark + Text(f" {text}"))

    def show(self, state: State) -> None:
        """Redraw the view, or print what is new in it."""
        if self._live:
            self._live.update(table(state))
            return
        for name, text in lines(state).items():
            if self._last.get(name) != text:
                self._last[name] = text
                self.remark(f"    {text}")

    def _clock(self) -> str:
        return f"[{time.monotonic() - self._started:6.1f}s]"


def table(state: State) -> Panel:
    """The Application, its Rollouts and their analyses as a panel."""
    rollouts = Table(box=None, expand=True, padding=(0, 1))
    for column in ("ROLLOUT", "PHASE", "STEP", "WEIGHT", "READY", "RUNNING", "MESSAGE"):
        rollouts.add_column(column, overflow="ellipsis", no_wrap=True, header_style="dim")
    for name in sorted(state.rollouts):
        status = state.rollout(name)
        rollouts.add_row(
            name,
            _styled(str(status.get("phase", ""))),
            str(status.get("step", "")),
            _weight(status),
            f"{status.get('readyReplicas', 0)}/{state.rollouts[name]['spec'].get('replicas', 1)}",
            state.version(name),
            str(status.get("message", "")),
        )
    return Panel(Group(_application(state), Text(""), rollouts, *_measurements(state)), border_style="dim")


def lines(state: State) -> dict[str, str]:
    """The same as one line an object, keyed by object."""
    out = {}
    if state.app:
        out["application"] = f"Application: {_application(state).plain}"
    for name in sorted(state.rollouts):
        status = state.rollout(name)
        facts = (
            status.get("phase"),
            f"step {status['step']}" if status.get("step") else "",
            f"weight {_weight(status)}" if _weight(status) else "",
            f"running {state.version(name)}",
        )
        message = f"; {status['message']}" if status.get("message") else ""
        out[name] = f"Rollout {name}: {', '.join(str(f) for f in facts if f)}{message}"
    return out


def _application(state: State) -> Text:
    app = state.app
    sync, health = app.get("sync") or {}, app.get("health") or {}
    return (
        _styled(str(sync.get("status", "")))
        + Text(" ")
        + _styled(str(health.get("status", "")))
        + Text(f"  Git {_short(app.get('desiredRevision'))}  users get {_short(app.get('runningRevision'))}")
        + Text(f"  last good {_short(app.get('lastGoodRevision'))}")
    )


def _measurements(state: State) -> list[Text]:
    running = [r for r in state.analysis_runs if (r.get("status") or {}).get("phase") == "Running"]
    return [Text(f"analysis {r['metadata']['name']}: {_values(r)}", style="cyan") for r in running]


def _values(run: Mapping[str, Any]) -> str:
    results = run["status"].get("metricResults") or ()
    return "; ".join(
        f"{m['name']} {' '.join(str(x.get('value', '')) for x in m.get('measurements') or ())}"
        for m in results
    )


def _weight(status: Mapping[str, Any]) -> str:
    """The canary's share; empty where there is no canary, or none any more."""
    weights = (status.get("canary") or {}).get("weights")
    promoted = status.get("stableRS") == status.get("currentPodHash")
    return f"{weights['canary']['weight']} %" if weights and not promoted else ""


def _short(revision: object) -> str:
    branch, _, commit = str(revision or "none").partition("@sha1:")
    return f"{branch}@{commit[:7]}" if commit else branch


def _styled(word: str) -> Text:
    return Text(word, style=_STYLES.get(word, "red" if word else ""))
