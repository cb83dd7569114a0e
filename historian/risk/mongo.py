"""What is given to a shell of MongoDB: by the methods that it calls."""

from __future__ import annotations

import re

from historian.risk.case import Case
from historian.risk.listing import late

SHELL = late(r"\s*(?:use\s+\w+\s*;\s*)?(?:db|rs|sh)\.\w+[.(]")
_MONGO = (
    (
        "destroys",
        r"\.\s*(?:drop|dropDatabase|dropIndexes?|dropAllUsers|dropUser|deleteMany\(\s*(?:\{\s*\})?\s*\)"
        r"|remove\(\s*(?:\{\s*\})?\s*[,)])|updateMany\(\s*\{\s*\}\s*,",
    ),
    ("migrates", r"\.\s*(?:renameCollection|convertToCapped)\b|collMod"),
    ("stops", r"\.\s*shutdownServer\b|rs\.stepDown"),
    (
        "changes",
        r"\.\s*(?:insert\w*|update\w*|replaceOne|bulkWrite|save|delete\w*|remove|findAndModify|findOneAnd\w+"
        r"|create\w*|ensureIndex|set\w*|grant\w*|enable\w*|addShard|runCommand|adminCommand|copyTo"
        r"|aggregate\([^)]*\$(?:out|merge))|load\(",
    ),
)
_MONGO_DROP = late(r"\[?\s*['\"](?:drop\w*|delete\w*|truncate\w*)['\"]|\b(?:drop|dropDatabase)\s*:", re.I)


def judge_mongo(case: Case, text: str) -> None:
    """Judge what is given to a shell of MongoDB."""
    bare = re.sub(r"//[^\n]*", "", text)
    if _MONGO_DROP.search(bare):
        case.add("destroys", "sql.mongo", "drops or deletes by a computed name")
    for action, pattern in _MONGO:
        match = re.search(pattern, bare)
        if match:
            case.add(action, "sql.mongo", f"{match[0].strip(' .')[:40]} {case.rules.says(action)}")
            break
    else:
        case.add("reads", "sql.mongo", "only reads")
