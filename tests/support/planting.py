"""Secrets that are none: put together at run time, so that no scanner takes this repository for a leak."""

from __future__ import annotations

import random
import string
from pathlib import Path

from chronos.pool import PackFile, decompress_text, read_pack_index

_HEX = "0123456789abcdef"
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_WORD = string.ascii_letters + string.digits
_LARGEST_MEMBER_BYTES = 1 << 24


def planted() -> dict[str, tuple[bytes, str]]:
    """Return the text of a file for each kind of secret, in the forms in which people leave them, and what it is."""
    body = _bodies(random.Random(25))
    key = body(_WORD, 64)
    return {
        "aws.py": (_text('KEY = "AK', "IA", body(_UPPER, 16), '"'), "an AWS access key"),
        "aws_session.sh": (_text("export AWS_ACCESS_KEY_ID=AS", "IA", body(_UPPER, 16)), "an AWS access key"),
        "github.yml": (_text("token: gh", "p_", body(_WORD, 36)), "a GitHub token"),
        "github_fine.toml": (_text('token = "github', "_pat_", body(_WORD, 22), "_", body(_WORD, 59), '"'),
                             "a GitHub token"),
        "github_app.md": (_text("use `gh", "s_", body(_WORD, 36), "` here"), "a GitHub token"),
        "gitlab.txt": (_text("gl", "pat-", body(_WORD, 20)), "a GitLab token"),
        "slack.js": (_text("const t = 'xo", "xb-", body(string.digits, 12), "-", body(_WORD, 24), "'"),
                     "a Slack token"),
        "slack_hook.rb": (_text("https://hooks.", "slack.com/services/T", body(_UPPER, 8), "/B", body(_UPPER, 8), "/",
                                body(_WORD, 24)), "a Slack webhook"),
        "stripe.php": (_text("$k = 'sk", "_live_", body(_WORD, 24), "';"), "a Stripe key"),
        "anthropic.json": (_text('{"key": "sk', "-ant-api03-", body(_WORD, 60), '"}'), "an Anthropic key"),
        "openai.ts": (_text('let k = "sk', "-proj-", body(_WORD, 60), '"'), "an OpenAI key"),
        "openai_old.cfg": (_text("k=sk-", body(_WORD, 20), "T3Blbk", "FJ", body(_WORD, 20)), "an OpenAI key"),
        "google.kt": (_text('"AI', "za", body(_WORD, 35), '"'), "a Google key"),
        "npm.txt": (_text("np", "m_", body(_WORD, 36)), "a package index token"),
        "npmrc.txt": (_text("//registry.example/:_auth", "Token=", body(_WORD, 30)), "a package index token"),
        "pypi.ini": (_text("password = py", "pi-AgEI", body(_WORD, 70)), "a package index token"),
        "sendgrid.go": (_text('"S', "G.", body(_WORD, 22), ".", body(_WORD, 43), '"'), "a SendGrid key"),
        "twilio.java": (_text('"S', "K", body(_HEX, 32), '"'), "a Twilio key"),
        "mailchimp.py": (_text("k = '", body(_HEX, 32), "-u", "s12'"), "a Mailchimp key"),
        "telegram.env.txt": (_text("BOT=", body("123456789", 10), ":A", "A", body(_WORD, 33)),
                             "a Telegram bot token"),
        "azure.config": (_text("Account", "Key=", body(_WORD, 86), "=="), "an Azure storage key"),
        "digitalocean.tf": (_text('token = "dop', "_v1_", body(_HEX, 64), '"'), "a DigitalOcean token"),
        "huggingface.ipynb": (_text('"h', "f_", body(string.ascii_letters, 34), '"'), "a Hugging Face token"),
        "shopify.liquid": (_text("shp", "at_", body(_HEX, 32)), "a Shopify token"),
        "vault.hcl": (_text('"hv', "s.", body(_WORD, 90), '"'), "a Vault token"),
        "discord.py": (_text("https://discord", ".com/api/webhooks/", body(string.digits, 18), "/", body(_WORD, 68)),
                       "a Discord webhook"),
        "age.txt": (_text("AGE-SECRET", "-KEY-1", body(_UPPER, 58)), "an age key"),
        "database.yml": (_text("url: postgres", "://joe:", body(_WORD, 11), "7q@db.corp.net/app"),
                         "a password in a URL"),
        "notes.md": (_text("-----BEGIN ", "RSA PRIVATE KEY-----\n", key, "\n", key), "a private key"),
        "service.json": (_text('{"k": "-----BEGIN ', "PRIVATE KEY-----\\n", key, '\\n"}'), "a private key"),
        "ssh_in_yaml.yml": (_text("key: |\n  -----BEGIN ", "OPENSSH PRIVATE KEY-----\n  ", key), "a private key"),
        "grafana.toml": (_text("gl", "sa_", body(_WORD, 32), "_", body(_HEX, 8)), "a Grafana token"),
    }  # fmt: skip


def is_stored(store: Path, canary: bytes) -> bool:
    """Tell whether a piece of text is anywhere in a store: in a chunk, a member, the catalog, a log or a journal."""
    for path in sorted(path for path in store.rglob("*") if path.is_file()):
        data = path.read_bytes()
        if path.suffix == ".pack":
            data += b"\0".join(_chunks(path))
        elif path.suffix == ".zst":
            data += decompress_text(data, _LARGEST_MEMBER_BYTES)
        if canary in data:
            return True
    return False


def _chunks(path: Path) -> list[bytes]:
    pack = PackFile(path)
    try:
        return [pack.read(chunk_id, location) for chunk_id, location in read_pack_index(path).chunks]
    finally:
        pack.close()


def _bodies(chance: random.Random):  # type: ignore[no-untyped-def]
    return lambda letters, length: "".join(chance.choices(letters, k=length))


def _text(*pieces: str) -> bytes:
    return ("first line\n" + "".join(pieces) + "\nlast line\n").encode()
