"""Error texts of real tools, made where they are installed, say what went wrong and where."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from historian.failures import Frame, Source, read_error

CHAIN = """import sqlite3
def query():
    sqlite3.connect(":memory:").execute("SELECT email FROM users")
def run():
    try:
        query()
    except sqlite3.Error as error:
        raise RuntimeError("migration failed\\nsecond line") from error
run()
"""
GROUP = """errors = []
def one(): raise ValueError("first")
def two(): {}["k"]
for work in (one, two):
    try: work()
    except Exception as error: errors.append(error)
raise ExceptionGroup("many", errors)
"""
TESTS = "from lib import add\ndef test_add():\n    assert add(1, 2) == 4\ndef test_boom():\n    add(None, 1)\n"
NODE_LIB = """exports.load = (name) => {
  try { null.x } catch (e) { throw new Error(`cannot load ${name}`, { cause: e }) }
}
"""
JAVA = """package com.acme;
public class App {
  static void inner() { Object o = null; o.toString(); }
  public static void main(String[] a) {
    try { inner(); } catch (RuntimeException e) { throw new IllegalStateException("outer", e); }
  }
}
"""


def output_of(folder: Path, *command: str, **variables: str) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]} here")
    import os

    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **variables}  # plugins cost a second each time
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False, timeout=120)
    assert done.returncode != 0
    return (done.stdout + done.stderr).decode()


def places(text: str, folder: Path | None = None) -> list[tuple[str, int | None]]:
    return [(one.path.removeprefix(f"{folder}/").removeprefix("./"), one.line) for one in read_error(text).frames]


def test_a_chained_exception_begins_where_it_arose(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(CHAIN)
    text = output_of(tmp_path, sys.executable, "a.py")
    found = read_error(text)
    assert (found.source, found.kind, found.message) == (Source.PYTHON, "RuntimeError", "migration failed\nsecond line")
    assert [(cause.kind, cause.message) for cause in found.causes] == [
        ("sqlite3.OperationalError", "no such table: users")
    ]
    assert [(line, one.function) for one in found.frames for line in [one.line]][:2] == [(3, "query"), (6, "run")]


def test_an_exception_group_has_all_of_its_errors(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(GROUP)
    found = read_error(output_of(tmp_path, sys.executable, "a.py"))
    assert found.kind == "ExceptionGroup" and {cause.kind for cause in found.causes} == {"ValueError", "KeyError"}
    assert found.frames[0].line == 2 and found.frames[-1].line == 7


def test_a_syntax_error_has_a_place(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\ndef f(:\n")
    text = output_of(tmp_path, sys.executable, "a.py")
    assert read_error(text).kind == "SyntaxError" and places(text, tmp_path) == [("a.py", 2)]


def test_an_exception_itself_is_read() -> None:
    try:
        raise KeyError("missing")
    except KeyError as error:
        found = read_error(error)
    assert (found.kind, found.message, found.frames[0].path) == ("KeyError", "'missing'", __file__)


@pytest.mark.parametrize("style", ["auto", "short", "line", "native"])
def test_a_report_of_pytest_names_the_places_of_all_failures(tmp_path: Path, style: str) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "lib.py").write_text("def add(a, b):\n    return a + b\n")
    text = output_of(tmp_path, sys.executable, "-m", "pytest", "-q", f"--tb={style}", "-p", "no:cacheprovider")
    found = read_error(text)
    assert {found.kind, *(cause.kind for cause in found.causes)} == {"AssertionError", "TypeError"}
    assert {("test_it.py", 3), ("lib.py", 2)} <= set(places(text, tmp_path))


def test_a_module_that_pytest_cannot_import_is_named(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("import lost_module\n")
    found = read_error(output_of(tmp_path, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"))
    assert (found.kind, found.message) == ("ModuleNotFoundError", "No module named 'lost_module'")
    assert found.frames[0] == Frame("test_it.py", 1, "<module>")


def test_node_says_which_error_was_behind(tmp_path: Path) -> None:
    (tmp_path / "lib.js").write_text(NODE_LIB)
    (tmp_path / "a.js").write_text("const { load } = require('./lib');\nload('x');\n")
    text = output_of(tmp_path, "node", "a.js")
    found = read_error(text)
    assert (found.source, found.message, found.causes[0].kind) == (Source.NODE, "cannot load x", "TypeError")
    assert places(text, tmp_path)[:2] == [("lib.js", 2), ("a.js", 2)]


@pytest.mark.parametrize("name", ["a.js", "b.mjs"])
def test_node_names_what_is_wrong_before_anything_runs(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.js").write_text("\nfunction f( {\n  return 1;\n}\n")
    (tmp_path / "b.mjs").write_text("import { gone } from './missing.mjs';\n")
    text = output_of(tmp_path, "node", name)
    found = read_error(text)
    if name == "a.js":
        assert found.kind == "SyntaxError" and places(text, tmp_path)[0] == ("a.js", 3)
    else:
        assert found.kind == "Error [ERR_MODULE_NOT_FOUND]" and "missing.mjs" in found.message
        assert all(frame.is_library for frame in found.frames)


def test_java_begins_with_the_last_cause(tmp_path: Path) -> None:
    source = tmp_path / "com" / "acme" / "App.java"
    source.parent.mkdir(parents=True)
    source.write_text(JAVA)
    if shutil.which("javac") is None:
        pytest.skip("there is no javac here")
    subprocess.run(["javac", str(source)], cwd=tmp_path, check=True)
    text = output_of(tmp_path, "java", "-cp", str(tmp_path), "com.acme.App")
    found = read_error(text)
    assert (found.kind, found.message) == ("java.lang.IllegalStateException", "outer")
    assert found.causes[0].kind == "java.lang.NullPointerException"
    assert places(text) == [("com/acme/App.java", 3), ("com/acme/App.java", 5)]


def test_javac_and_gcc_say_where(tmp_path: Path) -> None:
    (tmp_path / "B.java").write_text('class B { int x = "s" }\n')
    assert places(output_of(tmp_path, "javac", "B.java")) == [("B.java", 1)]
    (tmp_path / "g.c").write_text("int main() {\n  return 1 }\n")
    assert places(output_of(tmp_path, "gcc", "g.c"))[0] == ("g.c", 2)
    (tmp_path / "h.c").write_text('#include "nope.h"\n')
    assert read_error(output_of(tmp_path, "gcc", "h.c")).message == "nope.h: No such file or directory"
    (tmp_path / "l.c").write_text("int foo(int);\nint main() { return foo(1); }\n")
    linked = read_error(output_of(tmp_path, "gcc", "l.c"))
    assert linked.kind == "linker error" and "foo" in linked.message and linked.frames[0].path == "l.c"


RUST_ERROR = """error[E0308]: mismatched types
 --> src/main.rs:4:26
  |
4 | fn main() { let x: i32 = "a"; }
  |                    ---   ^^^ expected `i32`, found `&str`

error: aborting due to 1 previous error
"""
RUST_PANIC = """thread 'main' panicked at src/main.rs:1:26:
index out of bounds: the len is 3 but the index is 5
stack backtrace:
   0: rust_begin_unwind
             at /rustc/59807616e1fa/library/std/src/panicking.rs:689:5
   3: m::f
             at ./src/main.rs:1:26
   4: m::main
             at ./src/run.rs:2:28
"""
GO_PANIC = """panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.f(...)
\t/build/x/f.go:8
main.main()
\t/build/x/main.go:12 +0x1d
exit status 2
"""


@pytest.mark.parametrize(
    ("text", "source", "kind", "place"),
    [
        (RUST_ERROR, Source.RUST, "error[E0308]", ("src/main.rs", 4)),
        (RUST_PANIC, Source.RUST, "panic", ("src/main.rs", 1)),
        ("thread 'main' panicked at 'old form', src/a.rs:3:5\n", Source.RUST, "panic", ("src/a.rs", 3)),
        (GO_PANIC, Source.GO, "panic", ("/build/x/f.go", 8)),
        ("# example.com/x\n./main.go:5:2: undefined: foo\n", Source.GO, "compile error", ("main.go", 5)),
        ("--- FAIL: TestA (0.00s)\n    a_test.go:10: got 1, want 2\n", Source.GO, "TestFailure", ("a_test.go", 10)),
        ("src/a.ts(3,5): error TS2322: Type 'x' is not y.\n", Source.COMPILER, "TS2322", ("src/a.ts", 3)),
        ("src/a.ts:3:5 - error TS2322: Type 'x'\n", Source.COMPILER, "TS2322", ("src/a.ts", 3)),
        ("\x1b[31mweb/a.py:12: error: Incompatible types\x1b[0m\n", Source.COMPILER, "error", ("web/a.py", 12)),
        ("it went wrong in src/x.rb:7 somehow", Source.TEXT, "", ("src/x.rb", 7)),
    ],
)
def test_recorded_texts(text: str, source: Source, kind: str, place: tuple[str, int]) -> None:
    found = read_error(text)
    assert (found.source, found.kind, places(text)[0]) == (source, kind, place)
    assert found.message


def test_rust_that_is_installed_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "n.rs").write_text('fn main() { let x: i32 = "a"; }\n')
    text = output_of(tmp_path, "rustc", "n.rs")
    if "rustup" in text:
        pytest.skip("rustup keeps its toolchains in a home that is sealed here")
    found = read_error(text)
    assert (found.kind, found.frames) == ("error[E0308]", (Frame("n.rs", 1),))


def test_git_names_the_files_in_its_way(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", *words], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    for branch, content in (("main", "a"), ("other", "b"), ("main", "c")):
        git(
            *(("checkout", "-q", "-b", branch) if branch == "other" else ("checkout", "-q", branch))
            if content != "a"
            else ("status",)
        )
        (tmp_path / "f.txt").write_text(content)
        git("add", "f.txt")
        git("commit", "-q", "-m", content)
    conflict = read_error(output_of(tmp_path, "git", "merge", "other"))
    assert (conflict.source, conflict.kind, conflict.frames) == (Source.GIT, "CONFLICT (content)", (Frame("f.txt"),))
    git("merge", "--abort")
    (tmp_path / "f.txt").write_text("mine")
    assert read_error(output_of(tmp_path, "git", "checkout", "other")).frames == (Frame("f.txt"),)
    assert read_error(output_of(tmp_path, "git", "checkout", "nowhere")).kind == "error"


@pytest.mark.parametrize(
    "piece", ["a", "A", "-", "a/", "A.", "a:1:", ":", "(", " at ", "'", "E   ", "\n", "\tx", '  File "', "| "]
)
def test_a_megabyte_of_anything_is_read_at_once(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    begun = time.thread_time()
    read_error(text)
    assert time.thread_time() - begun < 3


def test_nothing_is_no_error() -> None:
    assert read_error("").kind == "" and read_error("\udc80\0").frames == ()
