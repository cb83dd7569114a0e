"""Replacing one file from many threads at once."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from chronos.files import replace_durably


def test_threads_that_replace_one_file_do_not_take_each_others_drafts(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target = tmp_path / "folder/file"
    contents = [str(number).encode() * 1000 for number in range(48)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda data: replace_durably(target, data), contents))
    assert target.read_bytes() in contents
    assert os.listdir(target.parent) == ["file"]
