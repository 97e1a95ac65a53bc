"""`python -m rollouts` is the program `rollouts`."""

from __future__ import annotations

from rollouts.cli.main import main

if __name__ == "__main__":
    main()
