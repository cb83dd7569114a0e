"""Two threads that decode a type first at the same time crash the library: the types are looked at before."""

from __future__ import annotations

import subprocess
import sys

_LOOK = """
import sys, threading
from chronos.checkpoints import decoding
decoding.prepare_decoding()
assert not decoding._done, "one thread needs nothing"
end = threading.Event()
other = threading.Thread(target=end.wait)
other.start()
decoding.prepare_decoding()
end.set()
assert set(decoding._done) == set(decoding._DECODED)
"""


def test_every_type_is_there_and_looked_at_only_where_there_are_threads() -> None:
    done = subprocess.run([sys.executable, "-c", _LOOK], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
