"""Programs that run code from their arguments: Python, Node, Ruby, Perl, PHP, PowerShell and others.

The code is not parsed: calls are looked for that remove, write, send, or start a program, and the texts that those are
given are judged as what they are, a command or SQL. Code that calls nothing but what reads is low; the rest is medium.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from historian.risk.case import Case
from historian.risk.listing import late, listed
from historian.risk.paths import kind_of_path
from historian.risk.shell_text import decode_base64
from historian.risk.sql import judge_sql

_LONGEST_CODE = 64 * 1024
_LONGEST_PATH = 200
_REMOVES = late(
    r"""(?x)\b(?:os\s*\.\s*(?:remove|unlink|rmdir|removedirs|truncate)|shutil\s*\.\s*(?:rmtree)|rmtree|send2trash
    |(?:fs|fsp|promises|fse?|Deno|Bun)\s*\.\s*(?:rm|rmSync|unlink|unlinkSync|rmdir|rmdirSync|remove|removeSync
    |truncate|truncateSync|emptyDir|emptyDirSync)|rimraf(?:Sync)?|unlinkSync|rmSync|rmdirSync
    |File\s*\.\s*(?:delete|unlink|truncate)|FileUtils\s*\.\s*(?:rm\w*|remove\w*)
    |Dir\s*\.\s*(?:rmdir|delete|unlink)|rm_rf?|remove_tree
    |file\.remove|Remove-Item|Clear-Content|Files\s*\.\s*delete\w*|deleteRecursively|deleteDir
    |drop_all|drop_database|dropDatabase|drop_collection|drop_table|flushall|flushdb|delete_all|destroy_all
    |truncate_all|delete_many\(\s*\{\s*\}|deleteMany\(\s*\{?\s*\}?\s*\)|objects\.all\(\)\.delete|delete_bucket
    |terminate_instances|delete_table|delete_object\w*|delete_db_instance|delete_stack)\b"""
    r"|['\"](?:unlink|rmdir|rmtree|rmSync|unlinkSync|rmdirSync|remove_tree|rimraf)['\"]\s*[,)\]]"
    r"|getattr\([^)]*['\"]remove['\"]"
    r"|\.\s*(?:unlink|rmdir|rmtree|unlink!)\s*\(|\bunlink\b\s*(?:[\( ;}]|$)|\brmdir\s*[\( ]"
    r"|(?<![\w.])rm\(\s*['\"]|\bfile\s+delete\b|->\s*(?:truncate|forceDelete|dropIfExists|drop)\("
    r"|\.delete\(recursive|\.drop\(\)|\.destroy!?\b|\.truncate\(\s*0?\s*\)|::delete\b"
)
_EMPTIES = late(
    r"open\([^)]*['\"]w[bt+]*['\"][^)]*\)\s*[.:]\s*close"
    r"|(?:writeFile(?:Sync)?|file_put_contents|File\.write|write_file|writeTextFileSync)\(\s*[^,]+,\s*(['\"`])\1"
    r"|write_(?:text|bytes)\(\s*b?(['\"])\2\s*\)|\btruncate\b\s*\(?\s*['\"$]"
)
_MIGRATES = late(
    r"\b(?:call_command\(\s*['\"]migrate|command\.upgrade\(|migrate\.latest|runMigrations|migrator\b|create_all\("
    r"|ALTER\s+TABLE)",
    re.I,
)
_STARTS = late(
    r"(?:os\.system|os\.popen|os\.exec\w+|os\.spawn\w+|subprocess\.\w+|commands\.getoutput|\bsystem"
    r"|\bexec(?:Sync|File|FileSync)?|\bspawn(?:Sync)?|\bpopen\w*|"
    r"\bpassthru|\bshell_exec|\bproc_open|IO\.popen|Open3\.\w+|"
    r"Process\.\w+|\$|execa(?:Sync)?|shelljs\.exec|Runtime\.getRuntime\(\)\.exec|"
    r"do shell script|iex|Invoke-Expression|['\"](?:system|popen|run|call|exec\w*|spawn\w*)['\"]\s*[\])]+|"
    r"pty\.spawn|run|call|check_call|check_output|Popen|sh)"
    r"\s*[\(\[ ]\s*(\[[^\]]*\]|"
    r"(?:f|r|b|rb|br|u)?(?:'''.*?'''|\"\"\".*?\"\"\"|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`))",
    re.S,
)
_BACKQUOTED = late(r"`([^`]+)`|%x[\{\(\[](.+?)[\}\)\]]|qx[\{\(/](.+?)[\}\)/]")
_LITERAL = late(r"'''(.*?)'''|\"\"\"(.*?)\"\"\"|'((?:[^'\\\n]|\\.)*)'|\"((?:[^\"\\\n]|\\.)*)\"|`([^`]*)`", re.S)
_SQL = late(
    r"\s*(?:match\s*\(|delete\s+from|update\s+\S+\s+set"
    r"|drop\s+(?:table|database|index|view|schema|column|user|role)|truncate\s+\w+"
    r"|alter\s+(?:table|database|user|role)|insert\s+into|create\s+(?:table|index|view|database|unique)"
    r"|replace\s+into|select\s.+\sfrom|select\s+\d|grant\s|revoke\s|pragma\s|vacuum)\b",
    re.I | re.S,
)
_WRITES = late(
    r"open\([^)]*,\s*(?:mode\s*=\s*)?['\"][rb]*[wax+]|\.write(?:_text|_bytes|lines|File|FileSync)?\(|writeFile"
    r"|appendFile|\.save\(|\.to_(?:csv|sql|json|parquet|excel)\("
    r"|os\.(?:rename|replace|chmod|chown|makedirs|mkdir|symlink|link|kill)|shutil\.(?:copy\w*|move|make_archive)"
    r"|\.rename\(|\.mkdir\(|\.touch\(|File\.write|file_put_contents|fwrite|Set-Content|Out-File|\.commit\("
    r"|setattr|\.put\(|\.insert\w*\(|\.update\w*\(|\.create\w*\(|mkdirSync|copyFile\w*|Add-Content|New-Item"
    r"|Copy-Item|Move-Item"
)
_SENDS = late(
    r"requests\.(?:post|put|patch|delete)|httpx\.(?:post|put|patch|delete)|urlopen\([^)]*data\s*="
    r"|fetch\([^)]*method\s*:\s*['\"](?:POST|PUT|PATCH|DELETE)|axios\.(?:post|put|patch|delete)|smtplib|sendmail"
    r"|send_mail|\.send_message\(|Net::HTTP\.(?:post|put|delete)"
    r"|Invoke-RestMethod.*-Method\s+(?:Post|Put|Delete|Patch)"
)
_DELETES_REMOTE = late(r"(?:requests|httpx|axios)\.delete|method\s*:\s*['\"]DELETE|-Method\s+Delete")
_DECODES = late(r"b64decode|base64|fromhex|unhexlify|atob\(|Buffer\.from|rot13|FromBase64String|decode64|unpack", re.I)
_RUNS_CODE = late(r"\b(?:exec|eval|compile|__import__|Function|iex|Invoke-Expression)\b\s*[\( ]|importlib")
_CALL = late(r"([\w.:!?]+)\s*\(")
_HARMLESS = listed(
    "print println puts log p pp echo printf write_line len open read readlines read_text readFile "
    "readFileSync load loads dumps dump parse stringify sorted sum min max abs round str int float bool list "
    "dict set tuple range zip map filter enumerate any all type isinstance repr getattr hasattr dir vars help "
    "id hash ord chr hex bin format join split strip lower upper replace startswith endswith get items keys "
    "values count index find listdir getcwd environ walk glob iglob rglob iterdir exists isfile isdir stat "
    "getsize is_file is_dir path Path resolve absolute basename dirname version version_info platform system "
    "machine node_name now today time date strftime isoformat fromtimestamp utcnow perf_counter sleep random "
    "randint choice head tail describe info shape read_csv read_json read_parquet token_hex token_urlsafe "
    "uuid4 md5 sha1 sha256 sha512 hexdigest digest encode decode pprint require import cwd argv compile match "
    "search findall sub group groups Counter most_common memoryUsage uptime cpus exit where getenv getLogger "
    "copyright inspect getsource signature cpu_count virtual_memory disk_usage gethostname gethostbyname "
    "find_spec metadata Decimal Fraction sqrt pow floor ceil reduce slice concat includes forEach entries from "
    "of toString toFixed toISOString Date require_relative phpinfo phpversion var_dump print_r json_encode "
    "ini_get php_sapi_name extension_loaded cat paste mean median sessionInfo installed.packages "
    "packageVersion nrow ncol str summary colnames fromkeys urlparse quote unquote b64encode stdin argv if for "
    "which readdirSync existsSync statSync lstatSync "
    "realpathSync readdir access table dump while elif return and or not in assert lambda"
)
_SAID = late(
    r"\b(?:print|println|puts|pp|echo|printf|console\.\w+|"
    r"log(?:ger|ging)?\.\w+|warn|say|Write-Host|Write-Output|disp)\b[ (]+"
    r"(?:f|r)?(?:'(?:[^'\\{$`]|\\.)*'|\"(?:[^\"\\{$`#]|\\.)*\")(?=\s*(?:[);]|$))"
)
_SHOWN = late(r"\b(?:getsource|getsourcefile|signature|getdoc|help|callable|repr|hasattr)\([\w.]+\)")
_JOINED = late(r"(?<=\w)(['\"])\s*(?:\+|\.|\.\.)\s*\1(?=\w)")


def looks_like_sql(text: str) -> bool:
    """Tell whether a text begins like a statement that does something."""
    return _SQL.match(text) is not None


def removes(text: str) -> bool:
    """Tell whether code calls something that removes."""
    return _REMOVES.search(text) is not None


class Code(msgspec.Struct, frozen=True):
    """Code of an interpreter: which one, the text, and the folder in which it runs."""

    language: str
    text: str
    folder: str = ""


def judge_code(case: Case, code: Code, inner: Callable[[str], object], depth: int = 0) -> None:
    """Judge code by the calls in it; `inner` judges the commands that it starts."""
    text = _SHOWN.sub("0", _JOINED.sub("", code.text[:_LONGEST_CODE]))
    text = _SAID.sub("0", text)
    before = len(case.findings)
    if len(code.text) > _LONGEST_CODE:
        case.add("runs", "bounds", f"code of more than {_LONGEST_CODE:,} characters")
    if match := _REMOVES.search(text):
        case.add("destroys", "code.removes", f"{code.language} code calls {match[0].strip(' .(')[:40]}")
    elif match := _EMPTIES.search(text):
        case.add("destroys", "code.empties", f"{code.language} code empties a file: {match[0][:40]}")
    elif code.language == "osascript" and (
        match := re.search(r"\b(?:delete|erase|empty trash|empty the trash)\b", text)
    ):
        case.add("destroys", "code.removes", f"AppleScript: {match[0]}")
    if match := _MIGRATES.search(text):
        case.add("migrates", "code.migrates", f"{code.language} code migrates: {match[0][:40]}")
    _judge_started(case, text, inner)
    for match in re.finditer(r"\b(?:spawn|exec|system)\s+([^;\n]+)", text) if code.language == "expect" else ():
        inner(match[1])
    for literal in _literals(text):
        if _SQL.match(literal):
            judge_sql(case, literal)
        elif depth < 3 and _DECODES.search(text) and len(literal) >= 8:
            decoded = decode_base64(literal)
            if decoded and decoded.isprintable():
                inner(decoded)
                judge_code(case, Code(code.language, decoded, code.folder), inner, depth + 1)
    if _DELETES_REMOTE.search(text):
        case.add("destroys", "code.deletes", f"{code.language} code sends a DELETE")
    if _SENDS.search(text):
        case.add("sends", "code.sends", f"{code.language} code sends something")
        case.effect("HTTP write or e-mail")
    if _WRITES.search(text):
        case.add("changes", "code.writes", f"{code.language} code writes")
    if _RUNS_CODE.search(text) and _DECODES.search(text):
        case.add("foreign", "code.hidden", f"{code.language} code runs a text that it decodes first")
    if len(case.findings) == before:
        _judge_calls(case, code.language, text)
    else:
        _note_files(case, code, text, has_removed=_REMOVES.search(text) is not None)


def _note_files(case: Case, code: Code, text: str, *, has_removed: bool) -> None:
    """Note the files that code which does something names: databases, and where it removes something all that exist."""
    for literal in _literals(text):
        if len(literal) < _LONGEST_PATH and not re.search(r"[\s*?\[\]{}<>|:]", literal):
            is_there = has_removed and case.probe is not None and case.probe.exists(literal, code.folder)
            if kind_of_path(case, literal, code.folder) == "database" or (is_there and literal.strip("./")):
                case.hit("path", literal, code.folder)


def _judge_started(case: Case, text: str, inner: Callable[[str], object]) -> None:
    for match in _STARTS.finditer(text):
        given = match[1]
        literals = _literals(given)
        command = " ".join(literals) if given.startswith("[") else next(iter(literals), "")
        if command.strip():
            case.add("runs", "code.starts", f"starts {command[:60]}")
            inner(command)
    for match in _BACKQUOTED.finditer(text):
        command = next((group for group in match.groups() if group), "")
        if command and "${" not in command and re.match(r"\s*[\w./-]+\s", command + " "):
            inner(command)


def _literals(text: str) -> list[str]:
    found = []
    for match in _LITERAL.finditer(text):
        literal = next((group for group in match.groups() if group is not None), "")
        found.append(re.sub(r"\\(['\"\\])", r"\1", literal).replace("\\n", "\n"))
        if len(found) > 200:
            break
    return found


def _judge_calls(case: Case, language: str, text: str) -> None:
    names = {match[1].rpartition(".")[2].rstrip("!?") for match in _CALL.finditer(_LITERAL.sub("''", text))}
    others = sorted(names - _HARMLESS)
    if others or (_RUNS_CODE.search(text) and "compile" not in text):
        case.add("runs", "code.calls", f"{language} code calls {', '.join(others[:3]) or 'what it is given'}")
    else:
        case.add("reads", "code.reads", f"{language} code calls nothing that writes")
