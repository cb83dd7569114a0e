"""The shape of the code: who owns which library, how large things may be, which doors rooms use, what nobody does."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
PACKAGES = ("chronos", "historian", "skills")
MODULES = sorted(path for package in PACKAGES for path in (PROJECT / package).rglob("*.py"))

OWNERS = {
    "subprocess": {"chronos.process"},
    "fcntl": {"chronos.background", "chronos.forking", "chronos.locks"},
    "ctypes": {"chronos.files"},
    "shutil": {"chronos.files", "chronos.process", "chronos.git", "chronos.maintenance", "chronos.timelines"},
    "sqlite3": {"chronos.catalog", "chronos.memory", "historian.lessons", "skills.langgraph"},
    "pygit2": {"chronos.git"},
    "git": {"chronos.git"},
    "zstandard": {"chronos.pool"},
    # The program that reads databases starts for every capture, and names pieces without the rest of the pool.
    "blake3": {"chronos.pool", "chronos.memory"},
    "cryptography": {"chronos.memory"},
    "pyfastcdc": {"chronos.pool"},
    "ahocorasick_rs": {"chronos.secrets"},
    "detect_secrets": {"chronos.secrets"},
    "typer": {"chronos.cli"},
    "click": {"chronos.cli"},
    "rich": {"chronos.cli"},
    "tomllib": {"chronos.config", "chronos.merging", "historian.formats", "skills.agent_setup"},
    "httpx": {"chronos.merging"},
    "lancedb": {"chronos.memory", "historian.lessons"},
    "yaml": {"chronos.merging", "historian.formats", "historian.risk"},
    "tomlkit": {"chronos.merging", "skills.agent_setup"},
    "psutil": {"chronos.file_users"},
    "jsonpatch": {"historian.formats"},
    "sqlglot": {"historian.risk"},
    "tree_sitter": {"historian.risk"},
    "tree_sitter_bash": {"historian.risk"},
    "watchfiles": {"historian.guard"},
    "langgraph": {"skills.langgraph"},
    "langchain_core": {"skills.langgraph"},
    "semantic_kernel": {"skills.semantic_kernel"},
    "agent_framework": {"skills.agent_framework"},
    "pydantic": {"skills.agent_framework"},
    "mcp": {"skills.mcp_server"},
    "pydantic_core": {"skills.mcp_server"},
    "anyio": {"skills.mcp_server"},
    "uvicorn": {"skills.mcp_server"},
}
FORBIDDEN = {"pickle", "marshal", "shelve", "dill", "tarfile", "zipfile"}
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base"}
LONGEST_MODULE = 400
LONGEST_FUNCTION = 50
CLI = "chronos.cli"
# What stands between a process and its surroundings besides the CLI: the one module of `chrono-hook` that does.
HOOK = "skills.agent_hooks.front"


def module_name(path: Path) -> str:
    relative = path.relative_to(PROJECT).with_suffix("")
    return ".".join(part for part in relative.parts if part != "__init__")


def room_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def imports_of(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module, node.lineno


@pytest.fixture(params=MODULES, ids=module_name)
def module(request: pytest.FixtureRequest) -> tuple[str, Path, ast.Module]:
    path: Path = request.param
    return module_name(path), path, ast.parse(path.read_text("utf-8"))


def test_each_library_is_imported_by_its_owner_only(module: tuple[str, Path, ast.Module]) -> None:
    name, _, tree = module
    for imported, line in imports_of(tree):
        library = imported.split(".")[0]
        assert library not in FORBIDDEN, f"{name}:{line} imports {library}"
        assert room_of(name) in OWNERS.get(library, {room_of(name)}), f"{name}:{line} imports {library}"


def test_rooms_are_entered_by_their_door(module: tuple[str, Path, ast.Module]) -> None:
    name, _, tree = module
    for imported, line in imports_of(tree):
        parts = imported.split(".")
        if parts[0] in PACKAGES and len(parts) > 2:
            assert room_of(imported) == room_of(name), f"{name}:{line} reaches into {imported}"


def test_modules_and_functions_stay_small(module: tuple[str, Path, ast.Module]) -> None:
    name, path, tree = module
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_MODULE, name
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{name}.{node.name} has {length} lines"


def test_every_module_says_what_it_is_for_and_has_a_telling_name(module: tuple[str, Path, ast.Module]) -> None:
    name, _, tree = module
    assert ast.get_docstring(tree), name
    assert name.rpartition(".")[2] not in VAGUE_NAMES, name


def test_only_the_cli_prints_or_prompts(module: tuple[str, Path, ast.Module]) -> None:
    name, _, tree = module
    if room_of(name) == CLI or name == HOOK:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"print", "input", "eval", "exec"}, f"{name}:{node.lineno}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "sys":
            assert node.attr not in {"stdout", "stderr", "stdin"}, f"{name}:{node.lineno}"


def test_only_config_reads_the_environment(module: tuple[str, Path, ast.Module]) -> None:
    name, _, tree = module
    if name in ("chronos.config", HOOK) or room_of(name) == CLI:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"environ", "environb", "getenv", "getcwd"}, f"{name}:{node.lineno}"


def test_foreign_exceptions_are_not_swallowed_below_the_front_doors(module: tuple[str, Path, ast.Module]) -> None:
    name, _, tree = module
    if name in {"chronos.cli.main", "chronos.process", "skills.mcp_server.calls", HOOK}:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and isinstance(node.type, ast.Name):
            assert node.type.id != "Exception", f"{name}:{node.lineno}"
        assert not (isinstance(node, ast.ExceptHandler) and node.type is None), f"{name}: bare except"


def test_a_room_that_loads_when_asked_has_all_that_it_offers() -> None:
    # A name that is also a module's would become that module as soon as something imports it.
    for path in (path for path in MODULES if path.name == "__init__.py"):
        if "loader(" in path.read_text("utf-8"):
            room = importlib.import_module(module_name(path))
            assert [name for name in room.__all__ if not hasattr(room, name)] == []
            assert {name for name in room.__all__ if (path.parent / f"{name}.py").exists()} == set()
            with pytest.raises(AttributeError):
                _ = room.nothing_of_that_name


def test_every_owner_still_exists() -> None:
    rooms = {room_of(module_name(path)) for path in MODULES}
    assert {owner for owners in OWNERS.values() for owner in owners} <= rooms
