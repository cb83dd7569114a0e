"""Settings: defaults, then `[tool.chronos]` or `chronos.toml`, then environment variables, then arguments.

This is the only reader of the environment for settings; everything below gets values. The CLI alone looks at how to
speak: CHRONOS_DEBUG, NO_COLOR and TERM.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec

from chronos.errors import BadConfigError, ChronosError
from chronos.files import read_limited

SETTINGS_FILES = ("pyproject.toml", "chronos.toml")
_MIB = 1024 * 1024
_LARGEST_FILE_BYTES = 4 * _MIB
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


class MemoryDeclaration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A memory store that somebody declared: where it is, and its kind where that was said."""

    path: str
    kind: str | None = None


class SecretScan(str, Enum):
    """Who looks for secrets in what is captured: nobody, the forms of vendors, or detect-secrets after them."""

    OFF = "off"
    VENDOR = "vendor"
    FULL = "full"


class AgentActions(str, Enum):
    """What agents may do with our actions: everything, what replaces and deletes nothing, or only look."""

    ALL = "all"
    ADDITIVE = "additive"
    READ_ONLY = "read-only"


class GuardPolicy(str, Enum):
    """What a guard does before an operation: nothing, say so, take a checkpoint, ask first, refuse."""

    OFF = "off"
    ADVISE = "advise"
    AUTO = "auto"
    CONFIRM = "confirm"
    BLOCK = "block"


class GuardRules(msgspec.Struct, frozen=True):
    """The policy for each level of danger."""

    low: GuardPolicy = GuardPolicy.OFF
    medium: GuardPolicy = GuardPolicy.AUTO
    high: GuardPolicy = GuardPolicy.AUTO

    def changed(self, wanted: str | Mapping[str, Any], where: str = "policy") -> GuardRules:
        """Return these rules with others for some levels: `confirm`, `medium=advise,high=block`, or a mapping.

        A word alone stands for medium and high: what only reads needs no guard. Raises BadConfigError.
        """
        found = _parse_guard(wanted, where) if isinstance(wanted, str) else dict(wanted)
        unknown = found.keys() - set(self.__struct_fields__)
        if unknown:
            raise BadConfigError(f"{where}: {min(unknown)!r} is no level of danger", hint="known: low, medium, high")
        policies = {level: _choice(GuardPolicy, str(word), f"{where}: {level}") for level, word in found.items()}
        return msgspec.structs.replace(self, **policies)


class Config(msgspec.Struct, frozen=True):
    """What can be set. Sizes are bytes, durations seconds.

    Retention: 0 stands for no limit at `max_checkpoints_per_timeline`, `retention_days`, `quota_bytes` and
    `min_free_bytes`, and for none at the keep rules.
    """

    enabled: bool = True
    timelines_dir: str = "data/timelines"
    lessons_dir: str = "data/lessons"
    lessons_embedding: str = ""
    worktrees_dir: str = ""
    timeline_lease_days: int = 14
    compress: bool = True
    max_file_bytes: int = 50 * _MIB
    max_capture_bytes: int = 2048 * _MIB
    max_patch_bytes: int = 16 * _MIB
    lock_timeout_s: float = 30.0
    max_checkpoints_per_timeline: int = 50
    retention_days: int = 30
    keep_last: int = 10
    keep_hourly: int = 24
    keep_daily: int = 7
    keep_weekly: int = 4
    retention_includes_named: bool = False
    quota_bytes: int = 32 * 1024 * _MIB
    min_free_bytes: int = 256 * _MIB
    auto_gc: bool = True
    include: tuple[str, ...] = ()
    secret_scan: SecretScan = SecretScan.FULL
    secret_skip: tuple[str, ...] = ()
    environment_variables: tuple[str, ...] = ("CI", "LANG", "LC_ALL", "NODE_ENV", "PYTHONHASHSEED", "TZ", "VIRTUAL_ENV")
    auto_checkpoint: bool = True
    guard: GuardRules = GuardRules()
    guard_include_bytes: int = 256 * _MIB
    agent_actions: AgentActions = AgentActions.ALL
    agent_forbidden: tuple[str, ...] = ()
    merge_resolver_url: str = ""
    merge_resolver_model: str = ""
    merge_resolver_timeout_s: float = 60.0
    memory: Mapping[str, MemoryDeclaration] = {}


class Surroundings(msgspec.Struct, frozen=True):
    """What a front door takes from the world once: the environment and the folder it was called in."""

    environment: Mapping[str, str]
    folder: Path

    @classmethod
    def current(cls) -> Surroundings:
        """Read the environment and working folder of this process."""
        return cls(dict(os.environ), Path.cwd())

    @property
    def start(self) -> Path:
        """Where a working tree is looked for when nobody names one: the folder, or the tree that `timeline run` set.

        CHRONOS_TIMELINE names a timeline of the project of CHRONOS_ROOT, wherever the program went meanwhile.
        """
        root = self.environment.get("CHRONOS_ROOT") if self.environment.get("CHRONOS_TIMELINE") else None
        return self.folder / root if root else self.folder


# The names that the guide gave its users, and one name for each newer setting.
ENVIRONMENT_NAMES = {
    "enabled": "ENABLE_CHRONOS",
    "timelines_dir": "CHRONOS_TIMELINES_DIR",
    "lessons_dir": "CHRONOS_LESSONS_DIR",
    "lessons_embedding": "CHRONOS_LESSONS_EMBEDDING",
    "worktrees_dir": "CHRONOS_WORKTREES_DIR",
    "timeline_lease_days": "CHRONOS_TIMELINE_LEASE_DAYS",
    "compress": "CHRONOS_COMPRESS_SNAPSHOTS",
    "max_file_bytes": "CHRONOS_MAX_FILE_BYTES",
    "max_capture_bytes": "CHRONOS_MAX_CAPTURE_BYTES",
    "max_patch_bytes": "CHRONOS_MAX_PATCH_BYTES",
    "lock_timeout_s": "CHRONOS_LOCK_TIMEOUT",
    "max_checkpoints_per_timeline": "CHRONOS_MAX_CHECKPOINTS_PER_TIMELINE",
    "retention_days": "CHRONOS_CHECKPOINT_RETENTION_DAYS",
    "keep_last": "CHRONOS_KEEP_LAST",
    "keep_hourly": "CHRONOS_KEEP_HOURLY",
    "keep_daily": "CHRONOS_KEEP_DAILY",
    "keep_weekly": "CHRONOS_KEEP_WEEKLY",
    "retention_includes_named": "CHRONOS_RETENTION_INCLUDES_NAMED",
    "quota_bytes": "CHRONOS_QUOTA_BYTES",
    "min_free_bytes": "CHRONOS_MIN_FREE_BYTES",
    "auto_gc": "CHRONOS_AUTO_GC",
    "include": "CHRONOS_INCLUDE",
    "secret_scan": "CHRONOS_SECRET_SCAN",
    "secret_skip": "CHRONOS_SECRET_SKIP",
    "environment_variables": "CHRONOS_ENVIRONMENT_VARIABLES",
    "auto_checkpoint": "CHRONOS_AUTO_CHECKPOINT",
    "guard": "CHRONOS_GUARD",
    "guard_include_bytes": "CHRONOS_GUARD_INCLUDE_BYTES",
    "agent_actions": "CHRONOS_AGENT_ACTIONS",
    "agent_forbidden": "CHRONOS_AGENT_FORBIDDEN",
    "merge_resolver_url": "CHRONOS_MERGE_RESOLVER_URL",
    "merge_resolver_model": "CHRONOS_MERGE_RESOLVER_MODEL",
    "merge_resolver_timeout_s": "CHRONOS_MERGE_RESOLVER_TIMEOUT",
}
# To whom contents go is never for a file that may have come with a clone to say; the model's name decides it too, where
# one endpoint passes on to many.
_ENVIRONMENT_ONLY = ("merge_resolver_", "lessons_embedding")
_TABLES = ("memory", "guard")  # others belong to whoever reads them


def load(root: Path, environment: Mapping[str, str]) -> Config:
    """Return the settings that hold in `root`. Raises BadConfigError."""
    config = Config()
    for name in SETTINGS_FILES:
        table = _read_table(root / name)
        _refuse_personal(table, name)
        config = _apply(config, {key: value for key, value in table.items() if key != "memory"}, f"{name}: ")
        for key in {"timelines_dir", "worktrees_dir", "lessons_dir"} & table.keys():
            if _leads_out(getattr(config, key)):
                raise BadConfigError(
                    f"{name}: {key} = {getattr(config, key)!r} leads out of the project",
                    hint=f"a project's own files may not say so; set {ENVIRONMENT_NAMES[key]}",
                )
        config = _apply_memory(config, table.get("memory", {}), f"{name}: ")
    found = {key: environment[name] for key, name in ENVIRONMENT_NAMES.items() if environment.get(name)}
    return _apply(config, found, "environment: ")


def read_guard(root: Path, environment: Mapping[str, str]) -> GuardRules:
    """Return the guard's policy as far as it can be read: what is wrong elsewhere in the settings does not hide it."""
    rules = Config().guard
    for name in (*SETTINGS_FILES, ""):
        with suppress(ChronosError, OSError):
            values = _read_table(root / name) if name else {"guard": environment.get(ENVIRONMENT_NAMES["guard"])}
            if values.get("guard"):
                rules = _convert("guard", values["guard"], rules, "")
    return rules


def merge_resolver_key(environment: Mapping[str, str]) -> str:
    """Return the key for a merge resolver's endpoint, or "". It is no setting: settings stand in files and are shown.

    CHRONOS_MERGE_RESOLVER_KEY goes before OPENAI_API_KEY, also when it is empty.
    """
    return environment.get("CHRONOS_MERGE_RESOLVER_KEY", environment.get("OPENAI_API_KEY", "")).strip()


def mcp_token(environment: Mapping[str, str]) -> str:
    """Return the token that clients of `chrono mcp --http` must have, or "". It is no setting either."""
    return environment.get("CHRONOS_MCP_TOKEN", "").strip()


def _refuse_personal(table: Mapping[str, Any], name: str) -> None:
    for key in table:
        if key.startswith(_ENVIRONMENT_ONLY) and key in ENVIRONMENT_NAMES:
            raise BadConfigError(
                f"{name}: {key} decides where contents are sent",
                hint=f"a project's own files may not say so; set {ENVIRONMENT_NAMES[key]}",
            )


def expand_home(path: str, environment: Mapping[str, str]) -> str:
    """Put the home folder in the place of a leading `~`. Raises BadConfigError where none is set."""
    first, _, rest = path.partition("/")
    if first != "~":
        return path
    if not environment.get("HOME"):
        raise BadConfigError(f"{path!r} needs HOME, which is not set")
    return os.path.join(environment["HOME"], rest)


def _leads_out(path: str) -> bool:
    normal = os.path.normpath(path)
    return os.path.isabs(normal) or normal.split("/")[0] in ("..", "~")


def read_section(root: Path, name: str) -> list[tuple[str, Any, str]]:
    """Return what `[tool.chronos.<name>]` says in `root`, for the room that knows what it means.

    For each file that has such a section: the file's name, the value, and the file's whole text, in which an error can
    be placed. Raises BadConfigError.
    """
    found = []
    for file in SETTINGS_FILES:
        table, text = _parse_table(root / file)
        if name in table:
            found.append((file, table[name], text))
    return found


def _read_table(path: Path) -> Mapping[str, Any]:
    table, _ = _parse_table(path)
    return {key: value for key, value in table.items() if key in _TABLES or not isinstance(value, dict)}


def _parse_table(path: Path) -> tuple[Mapping[str, Any], str]:
    """Return our table of a file, and the text of the file. Raises BadConfigError."""
    if not path.is_file():
        return {}, ""
    data = read_limited(path, _LARGEST_FILE_BYTES, too_large=BadConfigError)
    is_own = path.name == "chronos.toml"
    if not is_own and b"tool.chronos" not in data:
        return {}, ""
    import tomllib  # 10 ms, and most projects have no table for us

    try:
        text = data.decode("utf-8")
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise BadConfigError(f"{path.name} is not valid TOML: {cause}") from cause
    for name in () if is_own else ("tool", "chronos"):
        table = table.get(name, {})
        if not isinstance(table, dict):
            raise BadConfigError(f"{path.name}: [tool.chronos] is not a table")
    return table, text


def _apply_memory(config: Config, table: Any, where: str) -> Config:
    """Add the stores of a `memory` table: `name = "path"`, or `[….memory.name]` with `path` and `kind`."""
    if not isinstance(table, dict):
        raise BadConfigError(f"{where}memory is not a table", hint='write [tool.chronos.memory] and name = "path"')
    found = dict(config.memory)
    for name, value in table.items():
        try:
            found[name] = msgspec.convert({"path": value} if isinstance(value, str) else value, MemoryDeclaration)
        except msgspec.ValidationError as cause:
            raise BadConfigError(f"{where}memory.{name}: {cause}") from cause
    return msgspec.structs.replace(config, memory=found)


def _apply(config: Config, values: Mapping[str, Any], where: str) -> Config:
    known = set(Config.__struct_fields__) - {"memory"}
    for key, value in values.items():
        if key not in known:
            raise BadConfigError(f"{where}unknown setting {key!r}", hint=f"known: {', '.join(sorted(known))}")
        config = msgspec.structs.replace(config, **{key: _convert(key, value, getattr(config, key), where)})
    return config


def _convert(key: str, value: Any, default: Any, where: str) -> Any:
    if isinstance(default, GuardRules):
        if not isinstance(value, str | dict):
            raise BadConfigError(f"{where}{key} = {value!r} is neither a policy nor a table of them")
        return default.changed(value, f"{where}{key}")
    problem = BadConfigError(f"{where}{key} = {value!r} is not a {type(default).__name__}")
    if isinstance(default, bool):
        if isinstance(value, bool):
            return value
        lowered = str(value).strip().lower()
        if lowered not in _TRUE | _FALSE:
            raise problem
        return lowered in _TRUE
    if isinstance(default, int | float):
        try:
            number = type(default)(value)
        except (TypeError, ValueError, OverflowError):
            raise problem from None
        is_cut = isinstance(value, float) and number != value
        if isinstance(value, bool) or is_cut or not 0 <= number < math.inf:
            raise problem
        return number
    if isinstance(default, tuple):
        items = value.split(os.pathsep) if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise problem
        return tuple(items)
    if not isinstance(value, str) or not value or "\0" in value:
        raise problem
    return _choice(type(default), value, f"{where}{key}") if isinstance(default, Enum) else value


def _parse_guard(text: str, where: str) -> dict[str, str]:
    if "=" not in text:
        return {"medium": text, "high": text}
    pairs = [part.partition("=") for part in text.split(",")]
    if len({level.strip() for level, _, _ in pairs}) < len(pairs):
        raise BadConfigError(f"{where}: {text!r} says one level twice")
    return {level.strip(): word for level, _, word in pairs}


def _choice(kind: type[Enum], value: str, what: str) -> Enum:
    try:
        return kind(value.strip().lower())
    except ValueError:
        known = ", ".join(member.value for member in kind)
        raise BadConfigError(f"{what} = {value!r} is none of: {known}") from None
