"""Programs that run something elsewhere: modules of Ansible, and commands that Redis reads."""

from __future__ import annotations

from historian.risk.arguments import Arguments, Word
from historian.risk.invocation import Invocation
from historian.risk.listing import late, listed
from historian.risk.shell_flow import Flow

_READ_MODULES = listed(
    "ping setup debug stat slurp fetch find getent service_facts package_facts assert gather_facts win_ping set_fact"
)
_SHELL_MODULES = listed("command shell raw script win_shell win_command expect")
_ABSENT = late(r"\bstate\s*[=:]\s*[\"']?(absent|purged|destroyed|unmounted)\b")
_SCRIPT_CALL = late(r"redis\s*\.\s*p?call\s*\(\s*['\"](\w+)['\"]")
_ANSIBLE_VALUED = (
    "-m",
    "--module-name",
    "-a",
    "--args",
    "-i",
    "--inventory",
    "-u",
    "-l",
    "--limit",
    "-f",
    "-e",
    "-t",
    "-T",
)


def judge_ansible(call: Invocation) -> Flow:
    """Ansible for one module: `-m` says which, `-a` what it is given; a shell's command without `-m`."""
    case = call.case
    arguments = Arguments(call.name, call.words[1:], _ANSIBLE_VALUED)
    if arguments.has("--list-hosts", "--version", "--syntax-check"):
        case.add("reads", "ansible.list", "ansible only lists")
        return Flow(sources=(call.name,))
    if arguments.has("-C", "--check"):
        case.add("rehearses", "ansible.check", "ansible only says what it would do")
        return Flow(sources=(call.name,))
    module = arguments.values.get("-m", arguments.values.get("--module-name", "command")).rpartition(".")[2]
    given = arguments.values.get("-a", arguments.values.get("--args", ""))
    if module in _READ_MODULES or module.endswith(("_ping", "_info", "_facts")):
        case.add("reads", "ansible.module", f"ansible's {module} only reads")
        return Flow(sources=(call.name,))
    case.hit("remote", "elsewhere")
    case.effect("command on other machines (ansible)")
    if module in _SHELL_MODULES:
        call.inner(given)
    elif (said := case.rules.verbs.get(module)) in ("stops", "destroys"):
        case.add(said, "ansible.module", f"ansible's {module} {case.rules.says(said)}")
    elif module == "mysql_query" or module == "postgresql_query":
        call.inner(f"psql -c {_quoted(given.partition('=')[2].strip(chr(34)))}")
    elif _ABSENT.search(given) and module not in (
        "lineinfile",
        "blockinfile",
        "pip",
        "apt",
        "yum",
        "dnf",
        "package",
        "cron",
    ):
        case.add("destroys", "ansible.absent", f"ansible's {module} removes: {given[:60]}")
    else:
        case.add("changes", "ansible.module", f"ansible's {module} changes something")
    return Flow(sources=(call.name,))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def judge_redis(call: Invocation) -> Flow | None:
    """redis-cli: commands that flow in, and those that a script calls; None leaves it to the rules."""
    from historian.risk.programs import judge_by_rules

    lines: list[list[str]] = []
    names = call.arguments.names()
    if any(name.lower() in ("eval", "evalsha", "fcall") for name in names):
        lines += [[match[1]] for name in names for match in _SCRIPT_CALL.finditer(name)]
    elif not names and call.flow.text is not None:
        lines += [line.split() for line in call.flow.text.split("\n")[:200] if line.strip()]
    for line in lines:
        words = [call.words[0], *(Word(part) for part in line)]
        judge_by_rules(Invocation(call.case, call.name, words, Flow(), call.state, call.inner))
    return None
