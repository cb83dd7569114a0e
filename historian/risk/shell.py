"""Shell commands: parsed by tree-sitter, run in the head, each program judged with the arguments that it would have.

What is known before it runs is followed: variables, functions, loops over words, the output of echo and of decoders,
here-documents, files written a moment ago. What is not known stays as it is written and counts as unsure. The parser
tolerates errors; a command that does not parse is judged by its words as well, and never below medium.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from historian.risk.arguments import Word
from historian.risk.case import DEEPEST, Case
from historian.risk.listing import late, listed
from historian.risk.paths import is_device, is_schedule, judge_change, scheduled_command
from historian.risk.programs import judge_program
from historian.risk.scripts import fetches_and_runs
from historian.risk.shell_bounds import cut_command
from historian.risk.shell_flow import Flow, ShellState
from historian.risk.shell_text import modernize_backquotes, take_heredocs
from historian.risk.shell_words import Expansion, plain_words

if TYPE_CHECKING:
    from tree_sitter import Node

_MOST_LOOPS = 4
_CONTROLS = late(r"[\0-\x08\x0b-\x1f\x7f]")
_MOST_SOURCES = 20
_BLOCKS = listed(
    "program list compound_statement do_group if_statement elif_clause else_clause while_statement "
    "case_statement case_item subshell negated_command ERROR"
)


def judge_shell(case: Case, text: str, folder: str = "", state: ShellState | None = None, flow: Flow = Flow()) -> Flow:  # noqa: B008
    """Judge a command line or script as a POSIX shell would run it in `folder`; return what is known of its output."""
    state = state or ShellState(folder)
    if state.depth > DEEPEST:
        case.add("runs", "shell.depth", f"commands within commands, more than {DEEPEST} deep")
        return Flow()
    text = cut_command(case, text)
    words, root = plain_words(text), None
    if not words:
        text, state.heredocs = take_heredocs(_CONTROLS.sub(" ", text.replace("\r\n", "\n")))
        text = modernize_backquotes(text)
        root = _parse(case, text)
    try:
        flow = Shell(case, state).start(words, flow) if root is None else Shell(case, state).run(root, flow)
        if state.depth == 0:
            for name, body in list(state.functions.items()):
                if name not in state.called:
                    Shell(case, state).run(body, Flow())
    except RecursionError:
        if state.depth > 0:
            raise
        case.add("runs", "bounds", "nested deeper than anybody looked, so its words count as well")
        _judge_by_words(case, text)
    return flow


def _parse(case: Case, text: str) -> Node:
    """Return the tree of a text, and note what already shows by that."""
    from historian.risk.grammar import open_parser

    root = open_parser().parse(_encode(text)).root_node
    if root.has_error:
        case.add("runs", "shell.unparsed", "does not parse as a shell command, so its words count as well")
        _judge_by_words(case, text)
        if fetches_and_runs(text):
            case.add("foreign", "shell.foreign", "runs what comes from elsewhere")
    if all(child.type == "comment" for child in root.named_children):
        case.add("reads", "shell.comment", "nothing but comments, which do nothing")
    return root


def _encode(text: str) -> bytes:
    """Return the bytes of a command: names keep those that are no UTF-8, other lone surrogates become three."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def judge_arguments(case: Case, argv: Sequence[str], folder: str = "") -> None:
    """Judge a program that is started with these arguments, which no shell sees."""
    state = ShellState(folder)
    words = [Word(text, is_quoted=True) for text in argv]
    Shell(case, state).program(words, Flow())


def _judge_by_words(case: Case, text: str) -> None:
    """Take the danger words of what does not parse; what else words say is no news."""
    from historian.risk.words import judge_words  # 1 ms, and most commands parse

    inner = Case(case.rules)
    judge_words(inner, text)
    for finding in inner.findings:
        if finding.weight > case.rules.weight("runs"):
            case.add(finding.action, finding.rule, finding.reason, weight=finding.weight)


def _in_order(node: Node) -> list[Node]:
    """Return the statements of a block; those of `a && b && c`, a list in a list, side by side."""
    if node.type != "list":
        return node.named_children
    found: list[Node] = []
    while node.type == "list":
        first, *others = node.named_children
        found += reversed(others)
        node = first
    return [node, *reversed(found)]


class Shell:
    """Runs the tree of one text in the head."""

    def __init__(self, case: Case, state: ShellState) -> None:
        self._case, self._state = case, state

    def run(self, node: Node, flow: Flow) -> Flow:
        """Run one statement with what comes in; return what comes out."""
        kind = node.type
        if kind == "command":
            return self._command(node, flow)
        if kind == "pipeline":
            return self._pipeline(node, flow)
        if kind == "redirected_statement":
            return self._redirected(node, flow)
        if kind in ("variable_assignment", "variable_assignments"):
            self._assign(node)
            return Flow()
        if kind == "declaration_command":
            for child in node.named_children:
                if child.type == "variable_assignment":
                    self._assign(child)
            return Flow()
        if kind in ("for_statement", "c_style_for_statement"):
            return self._loop(node, flow)
        if kind == "function_definition":
            self._define(node)
            return Flow()
        if kind in _BLOCKS:
            return self._block(node, flow)
        for found in node.named_children if kind in ("test_command", "unset_command") else ():
            self._substitutions(found)
        return Flow()

    def _block(self, node: Node, flow: Flow) -> Flow:
        outputs = []
        for child in _in_order(node):
            if not self._case.step():
                break
            if node.type in ("if_statement", "while_statement", "case_statement", "case_item") and child.type in (
                "word",
                "string",
                "raw_string",
                "simple_expansion",
            ):
                self._substitutions(child)
                continue
            outputs.append(self.run(child, flow))
        return Flow.together(outputs)

    def _pipeline(self, node: Node, flow: Flow) -> Flow:
        for child in node.named_children:
            if not self._case.step():
                break
            flow = self.run(child, flow)
            if len(flow.sources) > _MOST_SOURCES:
                flow = msgspec.structs.replace(flow, sources=flow.sources[:_MOST_SOURCES])
        return flow

    def _redirected(self, node: Node, flow: Flow) -> Flow:
        body, targets = None, []
        for child in node.named_children:
            if child.type == "herestring_redirect":
                flow = self._herestring(child)
            elif child.type == "file_redirect":
                operator = next((part.type for part in child.children if not part.is_named), ">")
                words = [
                    word for part in child.named_children if part.type != "file_descriptor" for word in self.words(part)
                ]
                descriptor = child.named_children[0].text if child.named_children[0].type == "file_descriptor" else b"1"
                if operator == "<" and words:
                    flow = self._file_in(words[0])
                elif words and operator not in ("<&", ">&-", "<&-"):
                    targets.append((operator, words[0], descriptor == b"2"))
            elif child.type == "heredoc_redirect":
                self._case.add("runs", "shell.heredoc", "a here-document that has no end")
            elif body is None:
                body = child
        if body is not None and body.type == "list":  # the grammar gives the redirection to all of `a && b > c`
            *before, body = _in_order(body)
            for statement in before:
                self.run(statement, Flow())
        made = self.run(body, flow) if body is not None else Flow(text="")
        read = (body.text or b"").decode("utf-8", "surrogateescape").split() if body is not None else []
        for operator, word, is_errors in targets:
            if operator == ">" and word.text in read[1:] and read[0] not in ("echo", "printf"):
                judge_change(self._case, word.text, self._state.folder, "delete", "the redirection, before it is read,")
            self._write(operator, word, Flow() if is_errors else made, is_bare=body is None, is_errors=is_errors)
        return Flow(sources=made.sources) if any(not errors for _, _, errors in targets) else made

    def _herestring(self, node: Node) -> Flow:
        words = [word for part in node.named_children for word in self.words(part)]
        text = " ".join(word.text for word in words)
        return Flow(text=text if all(word.is_sure for word in words) else None, sources=("<<<",), guess=text)

    def _file_in(self, word: Word) -> Flow:
        heredoc = self._state.heredocs.get(word.text)
        if heredoc is not None:
            if not heredoc.is_raw:
                for inner in re.findall(r"\$\(([^()]+)\)|`([^`]+)`", heredoc.text):
                    self._inner(inner[0] or inner[1])
            text = heredoc.text if heredoc.is_raw else re.sub(r"\\([$`\\])", r"\1", heredoc.text)
            return Flow(text=text, sources=("<<",))
        if word.text == "/dev/null":
            return Flow(text="", sources=("<",), is_empty=True)
        known = self._state.files.get(word.text)
        if known is None and self._case.probe is not None and word.is_sure:
            known = self._case.probe.read_text(word.text, self._state.folder)
        return Flow(
            text=known, sources=("<", *word.sources), is_foreign=Flow.from_network(word.sources), guess=word.text
        )

    def _write(self, operator: str, word: Word, made: Flow, *, is_bare: bool, is_errors: bool) -> None:
        path, folder = word.text, self._state.folder
        if operator == ">&" and (path.isdigit() or path == "-"):
            return
        if path.startswith("/dev/") and not is_device(path):
            return
        if made.text is not None:
            before = self._state.files.get(path, "") if ">>" in operator else ""
            self._state.files[path] = before + made.text
        if made.is_foreign and not is_errors:
            self._state.foreign.add(path)
        if made.text is not None and is_schedule(path):
            for line in made.text.split("\n"):
                self._inner(scheduled_command(line, has_user=True))
        is_empty = is_bare or made.is_empty or (made.text is not None and not made.text.strip())
        if ">>" in operator:
            judge_change(self._case, path, folder, "append", "the redirection")
        elif is_empty and not is_errors and not is_device(path):
            judge_change(self._case, path, folder, "delete", "the empty redirection")
        else:
            judge_change(self._case, path, folder, "update", "the redirection")

    def _assign(self, node: Node) -> None:
        if node.type == "variable_assignments":
            for child in node.named_children:
                self._assign(child)
            return
        name = node.child_by_field_name("name")
        value = node.child_by_field_name("value")
        if name is None or name.text is None:
            return
        words = self.words(value) if value is not None else [Word("")]
        text = " ".join(word.text for word in words)
        is_added = any(child.type == "+=" for child in node.children)
        key = name.text.decode("utf-8", "surrogateescape")
        before, was_sure = self._state.variables.get(key, ("", True)) if is_added else ("", True)
        self._state.variables[key] = (before + text, was_sure and all(word.is_sure for word in words))

    def _loop(self, node: Node, flow: Flow) -> Flow:
        variable, body = node.child_by_field_name("variable"), node.child_by_field_name("body")
        values = [word for child in node.children_by_field_name("value") for word in self.words(child)]
        if body is None:
            return self._block(node, flow)
        if variable is None or variable.text is None or not values:
            return self.run(body, flow)
        outputs = []
        for word in values[:_MOST_LOOPS]:
            is_sure = word.is_sure and len(values) <= _MOST_LOOPS
            self._state.variables[variable.text.decode("utf-8", "surrogateescape")] = (word.text, is_sure)
            outputs.append(self.run(body, flow))
        return Flow.together(outputs)

    def _define(self, node: Node) -> None:
        name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
        if name is not None and body is not None and name.text is not None:
            key = name.text.decode("utf-8", "surrogateescape")
            self._state.functions[key] = body
            text = body.text or b""
            if re.search(rb"(?:^|[\s;{|&])" + re.escape(name.text) + rb"\s*(?:\||&)", text) and b"&" in text:
                self._case.add("stops", "shell.bomb", f"{key} starts itself again and again")

    def _command(self, node: Node, flow: Flow) -> Flow:
        words: list[Word] = []
        for child in node.named_children:
            if child.type == "variable_assignment":
                self._assign(child)
            elif child.type == "herestring_redirect":
                flow = self._herestring(child)
            elif child.type == "command_name":
                words += [word for part in child.named_children or [child] for word in self.words(part)]
            elif child.type in ("file_redirect", "comment"):
                continue
            elif child.type == "ERROR":
                for part in child.named_children:
                    self.run(part, Flow())
            else:
                words += self.words(child)
        words = [word for word in words if word.text or word.is_quoted]
        if not words or not self._case.step():
            return Flow()
        return self.program(words, flow)

    def start(self, words: list[Word], flow: Flow) -> Flow:
        """Run a text that is one program with its words: a step for the text, and one for the program."""
        return self.program(words, flow) if self._case.step() and self._case.step() else Flow()

    def program(self, words: list[Word], flow: Flow) -> Flow:
        """Judge one program with its arguments; what it was told to be in this text goes before what it is."""
        name = words[0].text
        body = self._state.functions.get(name)
        if body is not None and self._state.depth < DEEPEST and name not in self._state.called:
            self._state.called.add(name)
            for number, word in enumerate(words[1:10], start=1):
                self._state.variables[str(number)] = (word.text, word.is_sure)
            self._state.variables["@"] = (" ".join(word.text for word in words[1:]), all(w.is_sure for w in words))
            return self.run(body, flow)
        if body is not None:
            self._case.add("runs", "shell.recursion", f"{name[:60]} starts itself")
            return Flow()
        alias = self._state.aliases.pop(name, None)
        if alias is not None:
            return self._inner(f"{alias} {' '.join(word.text for word in words[1:])}", flow)
        if name in ("set", "read", "printf") and self._sets(name, words, flow):
            return Flow()
        if name == "alias":
            for word in words[1:]:
                key, equals, value = word.text.partition("=")
                if equals:
                    self._state.aliases[key] = value
            return Flow()
        return judge_program(self._case, words, flow, self._state, self._inner)

    def _sets(self, name: str, words: list[Word], flow: Flow) -> bool:
        """Note the variables that `set -- …`, `read` and `printf -v` set; False where they do something else."""
        texts = [word.text for word in words]
        variables = self._state.variables
        if name == "set" and "--" in texts[:2]:
            given = words[texts.index("--") + 1 :]
            variables["@"] = (" ".join(word.text for word in given), all(word.is_sure for word in given))
            variables.update({str(number): (word.text, word.is_sure) for number, word in enumerate(given[:9], start=1)})
            return True
        if name == "printf" and texts[1:2] == ["-v"] and len(texts) > 3:
            made = judge_program(self._case, [words[0], *words[3:]], flow, self._state, self._inner)
            variables[texts[2]] = ((made.text or made.guess).rstrip("\n"), made.text is not None)
            return True
        if name == "read" and flow.text is not None and len(texts) > 1 and not texts[-1].startswith("-"):
            variables[texts[-1]] = (flow.text.split("\n")[0], True)
        return False

    def _inner(self, text: str, flow: Flow = Flow()) -> Flow:  # noqa: B008
        """Judge a text that this one gives to a shell."""
        return judge_shell(self._case, text, self._state.folder, self._state.inner(), flow)

    def _substitutions(self, node: Node) -> None:
        if node.type in ("command_substitution", "process_substitution"):
            self._substitute(node)
            return
        for child in node.named_children:
            self._substitutions(child)

    def _substitute(self, node: Node) -> Flow:
        outputs = [self.run(child, Flow()) for child in node.named_children if self._case.step()]
        return Flow.together(outputs)

    def words(self, node: Node) -> list[Word]:
        """Return the words that a node of the tree stands for, after expansion and splitting."""
        parts = Expansion(self)
        parts.take(node, is_quoted=False)
        return parts.finish()

    def variable(self, name: str) -> tuple[str, bool] | None:
        """Return what is known of a variable."""
        if name == "IFS":
            return self._state.variables.get(name, (" ", True))
        return self._state.variables.get(name)

    def output_of(self, node: Node) -> Flow:
        """Run a substitution and return what it prints."""
        return self._substitute(node)

    def file_of(self, flow: Flow) -> str:
        """Return the path under which a process substitution is read."""
        path = f"/dev/fd/{63 - len(self._state.files) % 50}"
        known = flow.text if flow.text is not None else flow.guess
        if known:
            self._state.files[path] = known
        else:
            self._state.files.pop(path, None)
        return path
