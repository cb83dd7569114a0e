"""What a command says by its own words: subcommands, options, names of tasks and scripts, and whether it rehearses.

For tools of which no rule speaks. Most read `tool noun verb`, `tool verb noun` or `tool verb-noun`; some words are
nouns to one tool and verbs to another (`logs`, `run`, `plan`), and give way to a verb that comes after them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from historian.risk.arguments import best_rule, split_name, verb_of
from historian.risk.invocation import Invocation
from historian.risk.listing import late, listed

PACKAGE_RUNNERS = listed("npm yarn pnpm bun")
TASK_RUNNERS = listed(
    "make gmake just task rake invoke inv mage nx turbo grunt gulp ant doit thor lage moon fab earthly composer nox "
    "tox gradle gradlew mvn mvnw rush poe pdm hatch deno lein sbt bazel mix"
)
STRONG = ("destroys", "migrates", "stops", "publishes", "permits", "disks", "rewrites", "discards")
_SAFE_SCRIPTS = listed("lint typecheck type-check check-types check format:check fmt:check lint:check audit")
# Words that name a group of things as often as they say what is done.
_NOUNS = listed(
    "logs log events tasks task routes run runs plans query queries search monitor monitoring build builds images "
    "services service deploy deployments deployment release releases config env scan history backup backups snapshot "
    "snapshots restore link tag tags label labels test tests export exports import imports view views report reports "
    "metrics stack stacks status output outputs mount message messages notify notifications apps network push sync "
    "storage mail email format commit commits merge-requests attach up is has env"
)
_NOTHING = late(r"--?(?:replicas|desired-\w+|num-nodes|node-count|nodes|instance-count|max-size|max-instances)=0")
_CMDLET_READS = late(r"(?:Get|Test|Find|Measure|Select|Show|Compare|Search|Resolve|Format)-[A-Z]")
_ENDS = late(r"-(?:deletion|removal|destruction|termination|purge|deletions|delete|destroy|remove|drop|wipe)$")
# With what holds data beside them, these take it away; without, they tidy up.
_TIDIES = listed(
    "clean clear flush empty rollback restore kill rm reinit recreate reload redo nuke refresh overwrite down"
)
_PUSHES = listed(
    "push sync upgrade update downgrade evolve up patch repair baseline apply deploy alter load revert undo"
)
_DATA = listed(
    "db dbs database databases data volume volumes table tables schema schemas bucket buckets prod production indices "
    "topic topics queue queues keyspace storage redis postgres pg mysql mongo mongodb elasticsearch "
    "cluster sql sqlite flyway liquibase"
)
_SCHEMA = listed("db database schema sql ddl prisma drizzle ecto alembic flyway liquibase")


def by_verbs(call: Invocation) -> str:
    """Return the first action that a subcommand says, then that of an option, then that of the program's own name."""
    rules, arguments = call.case.rules, call.arguments
    if rules.verbs.get(call.name.lower()) in STRONG:
        return rules.verbs[call.name.lower()]
    sure, unsure = arguments.verb_candidates()
    action = _of_subcommands(sure, rules.verbs) or _of_subcommands(unsure, rules.verbs)
    flagged = by_flags(call)
    if action:
        return flagged if flagged in STRONG and action != "reads" else action
    if flagged:
        return flagged
    if _CMDLET_READS.match(call.name):
        return "reads"
    said = name_says(call.name.rpartition(".")[0] or call.name, rules.verbs)
    return said if said in STRONG or (said == "deploys" and is_production(call)) else ""


def _of_subcommands(names: Sequence[str], verbs: Mapping[str, str]) -> str:
    weak = ""
    for number, name in enumerate(names):
        lowered = name.lower()
        if len(name) > 60 or "/" in name or "://" in name:
            continue
        action = verbs.get(lowered, "") if weak and not _is_compound(lowered, verbs) else name_says(name, verbs)
        if action and (lowered not in _NOUNS or action in STRONG):
            later = names[number + 1 :]
            if action == "migrates" and any(verbs.get(other.lower()) == "reads" for other in later):
                return "reads"
            return action
        weak = weak or action
    return weak


def _is_compound(name: str, verbs: Mapping[str, str]) -> bool:
    """Tell whether a name begins with a verb that has an object: `delete-log-group`, `purge:cache`."""
    return verbs.get(re.split(r"[-_:.]", name, maxsplit=1)[0]) in STRONG or _ENDS.search(name) is not None


def name_says(name: str, verbs: Mapping[str, str]) -> str:
    """Return what a name of a task, script or subcommand says: `db-reset`, `cleanDatabase`, `schedule-key-deletion`."""
    parts = split_name(name)
    action = verb_of(name, verbs)
    if action in STRONG or action == "reads":
        return action
    if _ENDS.search(name.lower()):
        return "destroys"
    if len(parts) > 1:
        has = frozenset(parts)
        if not has.isdisjoint(_TIDIES) and not has.isdisjoint(_DATA):
            return "destroys"
        if not has.isdisjoint(_PUSHES) and not has.isdisjoint(_SCHEMA) and "seed" not in has:
            return "migrates"
    return action


def by_flags(call: Invocation) -> str:
    """Return what an option says, the heaviest first."""
    found = [call.case.rules.verb_flags[flag] for flag in call.arguments.flags if flag in call.case.rules.verb_flags]
    for action in ("rehearses", "destroys", "reads"):
        if action in found:
            return action
    return ""


def is_rehearsal(call: Invocation) -> bool:
    """Tell whether an option says that nothing is done, by the rules of the program or by its own look."""
    values, rules = call.arguments.values, call.case.rules
    said = [flag for flag in call.arguments.flags if rules.verb_flags.get(flag.partition("=")[0]) == "rehearses"]
    for flag in said:
        name, _, value = flag.partition("=")
        if (value or values.get(name, "")).lower() in ("none", "false", "0", "no"):
            return False
    return bool(said) or any(
        rule.action == "rehearses" and rule.parts and call.arguments.fits(rule)
        for rule in rules.commands.get(call.name.lower(), ())
    )


def scales_to_nothing(call: Invocation) -> bool:
    """Tell whether something is scaled to zero: `--replicas=0`, `ps:scale web=0`, `scale count 0`."""
    if any(_NOTHING.fullmatch(flag) for flag in call.arguments.flags):
        return True
    names = call.arguments.names()
    is_scaled = any("scale" in split_name(name) for name in names[:4])
    return is_scaled and (names[-1] == "0" or any(name.endswith("=0") for name in names))


def is_production(call: Invocation) -> bool:
    """Tell whether an argument names production."""
    production = call.case.rules.production
    return any(not production.isdisjoint(split_name(word.text)) for word in call.words[1:])


def deploys(call: Invocation) -> bool:
    """Tell whether the program or a subcommand says that it deploys."""
    verbs = call.case.rules.verbs
    sure, unsure = call.arguments.verb_candidates()
    names = [call.name, *sure, *unsure]
    return any(verbs.get(part) == "deploys" for name in names for part in split_name(name))


def by_task(call: Invocation, action: str) -> str:
    """Return what a target or script of a project does, by its name: `make deploy-prod`, `npm run db:reset`."""
    names = call.arguments.names()
    if call.name in PACKAGE_RUNNERS and names[:1] == ["workspace"]:
        names = names[2:]
    rule = best_rule(call.case.rules.commands.get(call.name, ()), call.arguments)
    if call.name in PACKAGE_RUNNERS:
        if names[:1] in (["run"], ["run-script"]):
            names = names[1:2]
            if not names:
                return "reads"
        elif call.arguments.names()[:1] == ["workspace"]:
            names = names[:1]
        elif action != "changes" or call.name == "npm" or (rule is not None and rule.parts):
            return action
        else:
            names = names[:1]
    elif names[:1] in (["run"], ["run-script"]):
        names = names[1:]
    if action in STRONG or action in ("reads", "rehearses"):
        return action
    said = [name_says(name, call.case.rules.verbs) for name in names[:6] if "=" not in name]
    for strong in (*STRONG, "deploys"):
        if "release" in names[:1] and call.name in (*PACKAGE_RUNNERS, "rake"):
            return "publishes"
        if strong in said:
            return strong if strong != "deploys" or is_production(call) else "changes"
    if names and all(name in _SAFE_SCRIPTS for name in names):
        return "reads"
    return "runs"
