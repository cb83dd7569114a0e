"""Secrets by name never reach the store, and files that only sound like it do."""

from __future__ import annotations

import pytest

from chronos.secrets import is_secret_name
from tests.support import RepoBuilder, receipt_of
from tests.support.planting import is_stored

SECRETS = [
    ".env", ".env.production", "prod.env", ".envrc", ".dev.vars", ".secrets", "id_rsa", "id_ed25519", "id_ecdsa_sk",
    "ssh_host_ed25519_key", "a.pem", "a.key", "AuthKey_1.p8", "a.p12", "a.pfx", "a.jks", "a.keystore", "a.kdbx",
    "a.ppk", "a.ovpn", "a.agekey", ".netrc", "_netrc", ".authinfo", ".pypirc", ".git-credentials", ".htpasswd",
    ".vault-token", ".dockercfg", ".s3cfg", ".pgpass", ".my.cnf", ".databrickscfg", ".boto", "rclone.conf",
    "secring.gpg", "kubeconfig", "prod.kubeconfig", "credentials.tfrc.json", "credentials", "credentials.json",
    ".credentials.json", "credentials.csv", "joe_accessKeys.csv", "rootkey.csv", "client_secret_1.json",
    "service-account.json", "app-firebase-adminsdk-1.json", "application_default_credentials.json",
    "sftp-config.json", "sub/.aws/credentials", ".docker/config.json", ".kube/config", ".config/gh/hosts.yml",
    ".streamlit/secrets.toml", ".cargo/credentials.toml", ".vscode/sftp.json", "CREDENTIALS.JSON", "Prod.ENV",
]  # fmt: skip
WORK = [
    ".env.example", ".env.sample", ".env.template", ".env.dist", "example.env", "id_rsa.pub", "env.py", "environment",
    "credentials.py", "credentials_test.go", "secrets.yml", "secrets.py", "auth.json", ".npmrc", "terraform.tfvars",
    "keys.txt", "keyboard.c", "monkey", "config.json", "kube/config", "hosts.yml", "service.json", "token.go",
    "pem.md", "netrc.c", "password_reset.html", "accounts.csv",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
def test_a_name_that_says_secret_is_one_in_any_folder(name: str) -> None:
    assert is_secret_name(name.encode())
    assert is_secret_name(b"deep/er/" + name.encode())


@pytest.mark.parametrize("name", WORK)
def test_a_name_that_only_sounds_like_it_is_work(name: str) -> None:
    assert not is_secret_name(name.encode())


def test_no_byte_of_a_secret_by_name_reaches_the_store(repo: RepoBuilder) -> None:
    # pains.md row 25: every pack is decompressed, every member, log and catalog is read.
    repo.write("a.txt", "held-9f31\n")
    repo.commit()
    for number, name in enumerate(SECRETS):
        repo.write(f"n{number}/{name}", f"CANARY-{number}-9f31\n")
    repo.write("a.txt", "held-9f32\n")
    repo.git("add", "n0")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    repo.write("a.txt", "wrecked\n")
    engine.restore_checkpoint(checkpoint)
    engine.undo()
    assert {row for row, why in receipt_of(engine, checkpoint).items() if why == "secret"} == {
        f"n{number}/{name}" for number, name in enumerate(SECRETS)
    }
    engine.close()
    assert not is_stored(repo.store, b"CANARY-")
    assert is_stored(repo.store, b"held-9f32"), "the search would find what is there"
