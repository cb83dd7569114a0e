"""How many examples run, and whether they are the same each time.

Without `CHRONO_EXAMPLES` every run is the same run, and a failure prints its example as it was found. With it, that
many new examples are searched, and a failure is made small first, which takes minutes. Either way the example can be
pasted, and a `@reproduce_failure` line replays it.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis.configuration import set_hypothesis_home_dir

_WANTED = int(os.environ.get("CHRONO_EXAMPLES", "0"))
_PHASES = (Phase.explicit, Phase.generate, Phase.shrink) if _WANTED else (Phase.explicit, Phase.generate)
_UNSUITED = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)

set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "chrono-hypothesis")


def examples(count: int, *, steps: int = 50) -> settings:
    """Return the settings of a test that runs `count` examples unless `CHRONO_EXAMPLES` asks for another number."""
    return settings(
        max_examples=_WANTED or count,
        stateful_step_count=steps,
        derandomize=not _WANTED,
        database=None,
        deadline=None,
        print_blob=True,
        phases=_PHASES,
        report_multiple_bugs=False,
        suppress_health_check=_UNSUITED,
    )
