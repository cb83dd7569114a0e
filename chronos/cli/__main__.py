"""Makes `python -m chronos.cli` the same program as `chrono`."""

from __future__ import annotations

from chronos.cli.main import run

if __name__ == "__main__":
    run()
