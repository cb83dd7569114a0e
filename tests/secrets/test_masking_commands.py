"""What a command gives as a secret is taken out before the command is kept anywhere."""

from __future__ import annotations

import pytest

from chronos.secrets import mask

WORD = "hunter2" + "xyzzy"


@pytest.mark.parametrize(
    "command",
    [
        "mysql -uroot -p{} -e drop", "psql postgres://bob:{}@localhost/x", "curl -u bob:{} https://x",
        "curl -ubob:{} x", "curl --user 'bob:{}' x", "env API_KEY={} false", "deploy --password={}",
        "deploy --password {} now", "deploy '--password={} {}' now", "deploy --password '{} {}'",
        "sh -c 'PGPASSWORD={} psql -c x; exit 4'", "curl -H 'Authorization: Bearer {}' -X POST http://a/",
        "curl -H 'X-Api-Key: {}' b", "sshpass -p {} ssh x rm y", "redis-cli -a {} flushall",
        "docker login -u a -p {} reg", "aws configure set aws_secret_access_key {}", "vault login token={}",
        "git push https://bob:{}@h/x", "ALTER USER bob PASSWORD '{}'", "CREATE USER bob IDENTIFIED BY '{}'",
        "export STRIPE_KEY={}", "connection failed: password={} host=x",
        """curl -d '{{"password": "{}"}}' x""", """sh -c "curl -d '{{\\"token\\":\\"{}\\"}}' x\"""",
    ],
)  # fmt: skip
def test_what_is_given_as_a_secret_is_taken_out(command: str) -> None:
    assert WORD not in mask(command.format(WORD, WORD))


@pytest.mark.parametrize(
    "text",
    [
        "dd if=/dev/zero of=disk", "make pass", "npm install tokenizer", "pytest -k auth tests", "rotate the token",
        "mkdir -p a/b", "KeyError: 'token'", "expected x=3, got y=4", "docker run -p 80:80 -u 1000:1000 x",
        "git config user.name=x", "cp token.txt x", "author=bob",
    ],
)  # fmt: skip
def test_what_is_none_stays(text: str) -> None:
    assert mask(text) == text
