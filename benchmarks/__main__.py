"""`python -m benchmarks [NAME …]`: every benchmark, or those named, one after the other; one JSON line each."""

from __future__ import annotations

import subprocess
import sys

NAMES = ("rollouts_update", "idle", "gitops", "analysis_load", "operating_characteristic")


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"no benchmark {unknown[0]}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    ended = [
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False) for name in names or NAMES
    ]
    return max(done.returncode for done in ended)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
