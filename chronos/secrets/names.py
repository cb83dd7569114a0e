"""What is a secret by its name alone: such files are never captured, unless a rule names them exactly.

The names are those that gitleaks, detect-secrets, trufflehog and gitrob look for, less the ones that are as often
ordinary work (`secrets.yml`, `.npmrc`, `terraform.tfvars`, `auth.json`): leaving work out loses it, and what stands in
those is looked at like any other content.
"""

from __future__ import annotations

import re

from chronos.files import TreePath

_NAME = re.compile(
    rb"""(?ix) ^(?:
      \.env.* | .*\.env | \.dev\.vars | \.secrets
    | id_(?:rsa|dsa|ecdsa|ed25519|xmss)(?:_sk)? | ssh_host_.*_key
    | .*\.(?:pem|key|p8|p12|pfx|pkcs12|jks|bks|keystore|keychain|keychain-db|kdb|kdbx|ppk|ovpn|agekey|kubeconfig)
    | \.netrc | _netrc | \.authinfo | \.pypirc | \.git-credentials | \.htpasswd | \.vault-token | \.dockercfg | \.s3cfg
    | \.pgpass | pgpass\.conf | \.my\.cnf | \.mylogin\.cnf | \.msmtprc | \.fetchmailrc | \.databrickscfg | \.boto
    | rclone\.conf | secring\.gpg | kubeconfig | credentials\.tfrc\.json
    | \.?credentials(?:\.json|\.csv)? | (?:.*_)?accesskeys\.csv | rootkey\.csv
    | client_secret.*\.json | service[-_]account.*\.json | .*firebase-adminsdk.*\.json
    | application_default_credentials\.json | sftp-config\.json | recentservers\.xml
    )$"""
)
_TEMPLATE = re.compile(rb"(?i)\.(?:example|sample|template|dist|defaults?)(?:\.|$)|(?:^|[.\-_])example\.env$|\.pub$")
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
    name = path.rpartition(b"/")[2]
    if _NAME.match(name):
        return not _TEMPLATE.search(name)
    return (b"/" + path).endswith(_IN_FOLDERS)
