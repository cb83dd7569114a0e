"""Makes `python -m chronos.cli` the same program as `chrono`."""

from __future__ import annotations

import sys

from chronos.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
