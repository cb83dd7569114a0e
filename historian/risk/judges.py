"""Programs that have a judge of their own, and where that is: its module loads when such a program is judged."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from historian.risk.invocation import Invocation
    from historian.risk.shell_flow import Flow

# By module and function the programs. A judge returns what flows out, None where the rules have to say it.
_HOMES = {
    "file_programs": {
        "judge_remove": "rm rmdir unlink shred srm rimraf trash del erase rd Remove-Item ri trash-put wipe safe-rm",
        "judge_truncate": "truncate",
        "judge_move": "mv",
        "judge_copy": "cp install",
        "judge_link": "ln",
        "judge_tee": "tee sponge",
        "judge_modes": "chmod chown chgrp setfacl",
        "judge_dd": "dd",
        "judge_find": "find",
        "judge_fd": "fd fdfind",
        "judge_text_queue": "at batch crontab",
        "judge_kill": "kill pkill killall",
        "judge_trap": "trap",
        "judge_change_folder": "cd pushd",
    },
    "network_programs": {
        "judge_curl": "curl",
        "judge_wget": "wget",
        "judge_httpie": "http https xh",
    },
    "text_programs": {
        "judge_sed": "sed gsed",
        "judge_awk": "awk gawk mawk nawk",
        "judge_decode": "base64 xxd rev tr openssl",
        "judge_cat": "cat",
        "judge_tar": "tar bsdtar",
    },
    "editors": {
        "judge_vim": "vi vim nvim view ex ed red gvim",
        "judge_emacs": "emacs emacsclient",
        "judge_debugger": "gdb lldb",
    },
    "remote_programs": {
        "judge_ansible": "ansible",
        "judge_redis": "redis-cli valkey-cli keydb-cli",
    },
}
JUDGES = {
    name: (module, function)
    for module, functions in _HOMES.items()
    for function, names in functions.items()
    for name in names.split()
}


def find_judge(name: str) -> Callable[[Invocation], Flow | None] | None:
    """Return the judge of a program, None when it has none."""
    if name not in JUDGES:
        return None
    module, function = JUDGES[name]
    judge: Callable[[Invocation], Flow | None] = getattr(import_module(f"historian.risk.{module}"), function)
    return judge
