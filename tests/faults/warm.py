"""A warm program that can be traced; that its calls are those of a program started by itself is a test."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.faults.harness import COUNT, Killpoint, Outcome
from tests.support.warm import WarmProgram, read_number


class TracedProgram(WarmProgram):
    """Runs a module, under a tracer if asked for."""

    def trace(
        self, root: Path, arguments: Sequence[str], tracer: Killpoint, *, point: int = 0, action: str = COUNT
    ) -> Outcome:
        """Run it under `tracer`, from its first step on."""
        with tempfile.TemporaryDirectory(prefix="gate-") as folder:
            gate = Path(folder, "gate")
            os.mkfifo(gate)
            with self.asked(root, arguments, library=str(tracer.library), gate=str(gate)) as (server, read):
                outcome = tracer.attach(read_number(server), gate, point=point, action=action)
                read_number(server)
                stdout, stderr = read()
        return replace(outcome, stdout=stdout, stderr=stderr)
