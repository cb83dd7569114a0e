"""The one way to run git: absolute binary, closed environment, no program that a repository's configuration names.

A repository's own configuration is not trusted (it may come from an archive): hooks, fsmonitor, external diffs,
pagers, signing and credential programs are switched off on every call, and so are all filter drivers during a
capture. The user's global configuration stays in force. Text on stderr counts as a failure, because git warns there
and still exits 0 when it could not see every file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from chronos import process
from chronos.errors import GitFailedError, GitMissingError, GitTooOldError

OLDEST_VERSION = (2, 38)

_SETTINGS = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.splitIndex=false",
    "core.pager=cat",
    "core.alternateRefsCommand=",
    "core.sshCommand=ssh",
    "core.askPass=true",
    "core.quotePath=true",
    "core.safecrlf=false",
    "credential.helper=",
    "diff.external=",
    "diff.autoRefreshIndex=false",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    "log.showSignature=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.addEmbeddedRepo=false",
    "submodule.recurse=false",
)
_FLAGS = (
    "--no-pager",
    "--no-replace-objects",
    *(part for setting in _SETTINGS for part in ("-c", setting)),
)
# What git says of rules files (attr.c and dir.c of git 2.38 to 2.50): it does without the file or the line in question,
# in every command the same way.
_HARMLESS = rb"""(?mx)^(?:
    warning:\ unable\ to\ access\ '.*':\ (?:Too\ many\ levels\ of\ symbolic\ links|Permission\ denied)
    | warning:\ Negative\ patterns\ are\ ignored\ in\ git\ attributes
    | (?:warning:\ )?Use\ '\\!'\ for\ literal\ leading\ exclamation\.
    | .*\ is\ not\ a\ valid\ attribute\ name:\ .*:\d+
    | .*\ not\ allowed:\ .*:\d+
    | warning:\ ignoring\ overly\ (?:long\ attributes\ line\ \d+|large\ gitattributes\ (?:file|blob)\ '.*')
    | warning:\ ignoring\ excessively\ large\ pattern\ (?:file|blob):\ .*
    | warning:\ unrecognized\ (?:negative\ )?pattern:\ '.*'
    | warning:\ your\ sparse-checkout\ file\ may\ have\ issues:\ pattern\ '.*'\ is\ repeated
    | warning:\ disabling\ cone\ pattern\ matching
    )\n"""
_KEPT_VARIABLES = (
    "PATH",
    "HOME",
    "XDG_CONFIG_HOME",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CEILING_DIRECTORIES",
)
# A promisor remote is asked for missing objects, and its configuration names programs: no protocol, no remote.
_VARIABLES = {
    "LC_ALL": "C",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}


class GitCommand(msgspec.Struct, frozen=True):
    """git with everything decided but its arguments. Make variants with `at`, `with_index` and `with_settings`."""

    binary: str
    environment: Mapping[str, str]
    cwd: Path | None = None
    location: tuple[str, ...] = ()

    @classmethod
    def find(cls, environment: Mapping[str, str]) -> GitCommand:
        """Return the git on the PATH of `environment`. Raises GitMissingError."""
        binary = process.find_program("git", environment.get("PATH", "/usr/local/bin:/usr/bin:/bin"))
        if binary is None:
            raise GitMissingError("git is not installed, or not on the PATH")
        kept = {name: environment[name] for name in _KEPT_VARIABLES if environment.get(name)}
        return cls(binary, {**kept, **_VARIABLES})

    def at(self, folder: Path, *, git_dir: Path | None = None, work_tree: Path | None = None) -> GitCommand:
        """Return this command run in `folder`, with an explicit git folder and working tree when given."""
        location: tuple[str, ...] = ()
        if git_dir is not None:
            location += (f"--git-dir={git_dir}",)
        if work_tree is not None:
            location += (f"--work-tree={work_tree}",)
        return msgspec.structs.replace(self, cwd=folder, location=location)

    def with_index(self, index: Path, *, refresh: bool = False) -> GitCommand:
        """Return this command working on another index file; `refresh` lets git write new stat data into it."""
        variables = {**self.environment, "GIT_INDEX_FILE": str(index)}
        if refresh:
            variables["GIT_OPTIONAL_LOCKS"] = "1"
        return msgspec.structs.replace(self, environment=variables)

    def with_objects(self, folder: Path, others: Sequence[Path]) -> GitCommand:
        """Return this command writing new objects into `folder` only; `others` are object folders that it reads, too.

        A path with a colon or a quote in it is quoted as git(1) says of GIT_ALTERNATE_OBJECT_DIRECTORIES.
        """
        listed = ":".join(f'"{_quoted(path)}"' for path in others)
        variables = {"GIT_OBJECT_DIRECTORY": str(folder), "GIT_ALTERNATE_OBJECT_DIRECTORIES": listed}
        return msgspec.structs.replace(self, environment={**self.environment, **variables})

    def with_pathspecs(self) -> GitCommand:
        """Return this command for the few verbs that refuse literal pathspecs; give them paths that begin with `./`."""
        return msgspec.structs.replace(self, environment={**self.environment, "GIT_LITERAL_PATHSPECS": "0"})

    def with_settings(self, settings: Sequence[tuple[str, str]]) -> GitCommand:
        """Return this command with more settings.

        They go through the environment, because `-c` cannot carry a key with an equals sign in it.
        """
        first = int(self.environment.get("GIT_CONFIG_COUNT", "0"))
        variables = dict(self.environment)
        for number, (key, value) in enumerate(settings, start=first):
            variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return msgspec.structs.replace(self, environment={**variables, "GIT_CONFIG_COUNT": str(first + len(settings))})

    def argv(self, arguments: Sequence[str | bytes]) -> list[str | bytes]:
        """Return the whole command line."""
        return [self.binary, *_FLAGS, *self.location, *arguments]

    def run(
        self,
        *arguments: str | bytes,
        input_bytes: bytes | None = None,
        input_file: BinaryIO | None = None,
        ok: Sequence[int] = (0,),
        quiet: bool = True,
        timeout_s: float | None = None,
    ) -> process.Completed:
        """Run git and return what it said. Raises GitFailedError on any other exit code, or on text on stderr.

        With `quiet=False` warnings are allowed; the caller reads them from the result. Raises OutsideError when it has
        been ended because it took longer than `timeout_s` seconds.
        """
        done = process.run(
            self.argv(arguments), environment=self.environment, cwd=self.cwd, input_bytes=input_bytes,
            input_file=input_file, timeout_s=timeout_s,
        )  # fmt: skip
        return _checked(arguments, done, ok, quiet=quiet)

    def begin(self, *arguments: str | bytes) -> Callable[[], process.Completed]:
        """Start git; the callable that comes back waits for it as `run` does. Warnings are allowed."""
        answer = process.begin(self.argv(arguments), environment=self.environment, cwd=self.cwd)
        return lambda: _checked(arguments, answer(), (0,), quiet=False)

    def output(self, *arguments: str | bytes, input_bytes: bytes | None = None) -> bytes:
        """Run git and return its standard output."""
        return self.run(*arguments, input_bytes=input_bytes).stdout

    def converse(self, *arguments: str | bytes, keep_errors: bool = False) -> process.Conversation:
        """Start a git that is asked and answers over pipes."""
        return process.Conversation(
            self.argv(arguments), environment=self.environment, cwd=self.cwd, keep_errors=keep_errors
        )

    def check_version(self) -> str:
        """Return git's version text. Raises GitTooOldError below 2.38."""
        text = process.run([self.binary, "version"], environment=self.environment).stdout.decode("ascii", "replace")
        found = re.search(r"(\d+)\.(\d+)\S*", text)
        if found is None or (int(found[1]), int(found[2])) < OLDEST_VERSION:
            raise GitTooOldError(f"{text.strip() or self.binary} is older than git 2.38")
        return found[0]


def _quoted(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def words_of(done: process.Completed) -> str:
    """Return what a git that failed said, in one line."""
    lines = [line.strip() for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    return "; ".join(lines[:3]) or f"exit code {done.returncode}"


def _checked(
    arguments: Sequence[str | bytes], done: process.Completed, ok: Sequence[int], *, quiet: bool
) -> process.Completed:  # fmt: skip
    if done.stderr:
        done = msgspec.structs.replace(done, stderr=re.sub(_HARMLESS, b"", done.stderr))
    if done.returncode not in ok or (quiet and done.stderr.strip()):
        raise _failure(arguments, done)
    return done


def _failure(arguments: Sequence[str | bytes], done: process.Completed) -> GitFailedError:
    text = words_of(done)
    verb = next((a if isinstance(a, str) else a.decode("utf-8", "replace") for a in arguments), "")
    hint = None
    if "safe.directory" in text:
        hint = "the repository belongs to another user; allow it with git config --global --add safe.directory PATH"
    return GitFailedError(f"git {verb}: {text}", hint=hint)
