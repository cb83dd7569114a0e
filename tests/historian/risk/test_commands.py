"""The rules of the package about commands: each one is reached by what it says, and none stands twice."""

from __future__ import annotations

from collections import Counter

from historian.risk.arguments import Arguments, Word, best_rule
from historian.risk.rules import CommandRule, package_rules

RULES = package_rules()


def spell(rule: CommandRule, place: int, alternative: str) -> list[Word]:
    chosen = [alternative if number == place else part[0] for number, part in enumerate(rule.parts)]
    return [Word("thing" if text == "*" else text.replace("*", "x")) for text in chosen]


def test_every_alternative_of_every_rule_decides_over_its_own_example() -> None:
    others = []
    for program, rules in RULES.commands.items():
        for rule in rules:
            for place, part in enumerate(rule.parts or (("",),)):
                for alternative in part:
                    words = spell(rule, place, alternative)
                    found = best_rule(rules, Arguments(program, words, RULES.table.valued.get(program, ())))
                    if found is None or found.action != rule.action:
                        others.append((program, rule.action, " ".join(word.text for word in words)))
    assert others == []


def test_a_program_is_a_name_that_a_command_can_begin_with() -> None:
    odd = [name for name in RULES.commands if name.startswith("-") or ("/" in name) or name.endswith((".exe", ".cmd"))]
    assert odd == []


def test_no_rule_stands_twice() -> None:
    entries = [entry for listed in RULES.table.commands.values() for entry in listed]
    assert [entry for entry, count in Counter(entries).items() if count > 1] == []


def test_what_both_files_say_of_verbs_counts() -> None:
    assert RULES.verbs["delete"] == RULES.verbs["deletion"] == "destroys"
