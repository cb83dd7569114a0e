"""What is a secret by its name alone: such files are never captured, unless a rule names them exactly.

The names are those that gitleaks, detect-secrets, trufflehog and gitrob look for, less the ones that are as often
ordinary work (`secrets.yml`, `.npmrc`, `terraform.tfvars`, `auth.json`): leaving work out loses it, and what stands in
those is looked at like any other content. They are looked up and not matched, since a regular expression of them takes
longer to compile (2 ms) than a capture needs it.
"""

from __future__ import annotations

import re

from chronos.files import TreePath

_NAMES = frozenset(
    b".dev.vars .secrets .netrc _netrc .authinfo .pypirc .git-credentials .htpasswd .vault-token .dockercfg .s3cfg "
    b".pgpass pgpass.conf .my.cnf .mylogin.cnf .msmtprc .fetchmailrc .databrickscfg .boto rclone.conf secring.gpg "
    b"kubeconfig credentials.tfrc.json credentials credentials.json credentials.csv .credentials .credentials.json "
    b".credentials.csv accesskeys.csv rootkey.csv application_default_credentials.json sftp-config.json "
    b"recentservers.xml id_rsa id_dsa id_ecdsa id_ed25519 id_xmss id_rsa_sk id_dsa_sk id_ecdsa_sk id_ed25519_sk "
    b"id_xmss_sk".split()
)
_ENDINGS = (
    b".env", b".pem", b".key", b".p8", b".p12", b".pfx", b".pkcs12", b".jks", b".bks", b".keystore", b".keychain",
    b".keychain-db", b".kdb", b".kdbx", b".ppk", b".ovpn", b".agekey", b".kubeconfig", b"_accesskeys.csv",
)  # fmt: skip
_AROUND = (
    (b"ssh_host_", b"_key"), (b"client_secret", b".json"), (b"service-account", b".json"),
    (b"service_account", b".json"),
)  # fmt: skip
_FIREBASE = b"firebase-adminsdk"
_TEMPLATE = rb"(?i)\.(?:example|sample|template|dist|defaults?)(?:\.|$)|(?:^|[.\-_])example\.env$|\.pub$"
_IN_FOLDERS = tuple(
    b"/" + path
    for path in (
        b".aws/credentials", b".docker/config.json", b".kube/config", b".config/gh/hosts.yml", b".snowsql/config",
        b".streamlit/secrets.toml", b".cargo/credentials.toml", b".vscode/sftp.json", b".azure/accessTokens.json",
        b".azure/msal_token_cache.json",
    )
)  # fmt: skip


def is_secret_name(path: TreePath) -> bool:
    """Tell whether the file name alone says that the content is a secret. Templates of such files are none."""
    name = path.rpartition(b"/")[2].lower()
    if _is_listed(name):
        return not re.search(_TEMPLATE, name)
    return (b"/" + path).endswith(_IN_FOLDERS)


def _is_listed(name: bytes) -> bool:
    """Tell whether a name, in lower case, is that of a secret."""
    if name in _NAMES or name.startswith(b".env") or name.endswith(_ENDINGS):
        return True
    if name.endswith(b".json") and _FIREBASE in name.removesuffix(b".json"):
        return True
    return any(
        name.startswith(start) and name.endswith(end) and len(name) >= len(start) + len(end) for start, end in _AROUND
    )
