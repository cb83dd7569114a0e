"""What looks like a secret: files by their names, which are left out, and keys by their form, which are warned of."""

from __future__ import annotations

import re

from chronos.files import TreePath

# Names that hold secrets by convention: dotenv, OpenSSH, TLS and keystore formats, and the credential files of git,
# netrc, PyPI, PostgreSQL, AWS, GCP and htpasswd. Templates of dotenv files hold none.
_NAME = re.compile(
    rb"""(?ix) ^(?:
      \.env.* | .*\.env
    | id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?
    | .*\.(?:pem|key|p12|pfx|jks|keystore|kdbx|ppk)
    | \.netrc | _netrc | \.pypirc | \.pgpass | \.git-credentials | \.htpasswd | \.my\.cnf
    | credentials(?:\.json)? | client_secret.*\.json | service[-_]account.*\.json
    | application_default_credentials\.json
    )$"""
)
_TEMPLATE = re.compile(rb"(?i)\.(?:example|sample|template|dist|defaults?)(?:\.|$)|(?:^|[.\-_])example\.env$|\.pub$")
_FOLDERS = (b".aws/credentials", b".docker/config.json", b".kube/config")

# Forms that the issuers document, so that a match is hardly ever a chance: what it is, how it begins, what follows.
_FORMS = (
    ("a private key", (b"-----BEGIN ",), rb"-----BEGIN (?:[A-Z]+ ){0,2}PRIVATE KEY-----"),
    ("an AWS access key", (b"AKIA", b"ASIA"), rb"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b"),
    ("a GitHub token", (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"), rb"\bgh[pousr]_[A-Za-z0-9]{36}"),
    ("a GitHub token", (b"github_pat_",), rb"\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    ("a GitLab token", (b"glpat-",), rb"\bglpat-[\w-]{20}"),
    ("a Slack token", (b"xoxb-", b"xoxp-", b"xoxa-", b"xoxr-", b"xoxs-"), rb"\bxox[abprs]-[0-9A-Za-z-]{20}"),
    ("a Stripe key", (b"k_live_",), rb"\b[rs]k_live_[0-9a-zA-Z]{24}"),
    ("an Anthropic or OpenAI key", (b"sk-ant-", b"sk-proj-"), rb"\bsk-(?:ant|proj)-[\w-]{32}"),
    ("a Google key", (b"AIza",), rb"\bAIza[0-9A-Za-z_-]{35}"),
    ("a package index token", (b"npm_", b"pypi-AgEI"), rb"\b(?:npm_[A-Za-z0-9]{36}|pypi-AgEI[\w-]{50})"),
)


def is_secret_name(path: TreePath) -> bool:
    """Tell whether the file name alone says that the content is a secret."""
    name = path.rpartition(b"/")[2]
    if _NAME.match(name):
        return not _TEMPLATE.search(name)
    return path.endswith(_FOLDERS)


def find_secret(data: bytes) -> str | None:
    """Return what kind of secret stands somewhere in `data`, by its documented form, or None.

    The plain search for how each form begins costs a fraction of hashing the data; the rest runs where one is found.
    """
    for what, starts, form in _FORMS:
        if any(start in data for start in starts) and re.search(form, data):
            return what
    return None
