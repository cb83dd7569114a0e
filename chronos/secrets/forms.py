"""Keys and tokens by the forms that their issuers document, so that a match is hardly ever a chance.

Each form has fixed letters in it. One pass looks for all of them at once (Aho and Corasick 1975, in `ahocorasick_rs`:
550 MB/s whatever their number, where one regular expression makes 110 and a search for each 25 to 90, decision 0008);
the form itself is only tried where its letters stand. Sources: the issuers' pages, and the rules of gitleaks 8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from ahocorasick_rs import BytesAhoCorasick

# The longest stretch of which a form needs to see the beginning and the end: an encrypted PEM key with its headers.
REACH_BYTES = 512
# Up to here searching for each form by itself costs less than loading the automaton (1.5 ms).
_FEW_BYTES = 32 * 1024

_WORD = rb"[A-Za-z0-9]"
_ANY = rb"[A-Za-z0-9_-]"
_HEX = rb"[a-f0-9]"
# What it is, the letters to look for, what must stand before them (of a fixed length) and what follows them.
_FORMS: tuple[tuple[str, tuple[bytes, ...], bytes, bytes], ...] = (
    ("a private key", (b"-----BEGIN ",), b"",
     rb"(?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
     rb"(?:\s|\\[nr]|[\"'+,]|[A-Za-z-]+: [^\n\\]{0,80}(?:\n|\\n)){0,40}?[A-Za-z0-9+/=]{20}"),
    ("an age key", (b"AGE-SECRET-KEY-1",), b"", rb"[A-Z0-9]{58}"),
    ("an AWS access key", (b"AKIA", b"ASIA", b"ABIA", b"ACCA"), rb"\b", rb"[A-Z2-7]{16}\b"),
    ("an Alibaba Cloud key", (b"LTAI",), rb"\b", _WORD + rb"{20}\b"),
    ("an Anthropic key", (b"sk-ant-",), rb"\b", _ANY + rb"{32}"),
    ("an OpenAI key", (b"sk-proj-", b"sk-svcacct-", b"sk-admin-"), rb"\b", _ANY + rb"{32}"),
    ("an OpenAI key", (b"T3BlbkFJ",), rb"(?<=sk-" + _WORD + rb"{20})", _WORD + rb"{20}"),
    ("an OpenRouter key", (b"sk-or-v1-",), rb"\b", _HEX + rb"{64}"),
    ("an Artifactory token", (b"AKCp",), rb"\b", _WORD + rb"{69}"),
    ("an Atlassian token", (b"ATATT3",), rb"\b", rb"[\w=-]{180}"),
    ("an Azure storage key", (b"AccountKey=",), b"", rb"[A-Za-z0-9+/]{86}=="),
    ("an Azure shared key", (b"SharedAccessKey=",), b"", rb"[A-Za-z0-9+/]{43}="),
    ("an Azure client secret", (b"Q~",), rb"(?<=[\w~.-]{3}[0-9])", rb"[\w~.-]{31}"),
    ("a Brevo key", (b"xkeysib-",), rb"\b", _HEX + rb"{64}-" + _WORD + rb"{16}"),
    ("a Buildkite token", (b"bkua_",), rb"\b", _HEX + rb"{40}\b"),
    ("a Databricks token", (b"dapi",), rb"\b", _HEX + rb"{32}\b"),
    ("a DigitalOcean token", (b"dop_v1_", b"doo_v1_", b"dor_v1_"), rb"\b", _HEX + rb"{64}"),
    ("a Discord webhook", (b"discord.com/api/webhooks/", b"discordapp.com/api/webhooks/"), b"",
     rb"[0-9]{17,20}/" + _ANY + rb"{60}"),
    ("a Docker token", (b"dckr_pat_", b"dckr_oat_"), rb"\b", _ANY + rb"{27}"),
    ("a Doppler token", (b"dp.pt.", b"dp.st.", b"dp.ct."), rb"\b", rb"[\w.-]{40}"),
    ("a Dynatrace token", (b"dt0c01.",), rb"\b", rb"[A-Z0-9]{24}\.[A-Z0-9]{64}"),
    ("a Figma token", (b"figd_",), rb"\b", _ANY + rb"{40}"),
    ("a GitHub token", (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"), rb"\b", _WORD + rb"{36}"),
    ("a GitHub token", (b"github_pat_",), rb"\b", _WORD + rb"{22}_" + _WORD + rb"{59}"),
    ("a GitLab token", (b"glpat-", b"gldt-", b"glrt-", b"glptt-", b"gloas-", b"glsoat-", b"glcbt-", b"glagent-"),
     rb"\b", _ANY + rb"{20}"),
    ("a Google key", (b"AIza",), rb"\b", _ANY + rb"{35}"),
    ("a Google client secret", (b"GOCSPX-",), rb"\b", _ANY + rb"{28}"),
    ("a Google access token", (b"ya29.",), rb"\b", _ANY + rb"{40}"),
    ("a Grafana token", (b"glsa_",), rb"\b", _WORD + rb"{32}_[A-Fa-f0-9]{8}"),
    ("a Groq key", (b"gsk_",), rb"\b", _WORD + rb"{52}"),
    ("a Heroku key", (b"HRKU-AA",), rb"\b", _ANY + rb"{58}"),
    ("a Hugging Face token", (b"hf_",), rb"\b", _WORD + rb"{34}\b"),
    ("a LangSmith key", (b"lsv2_pt_", b"lsv2_sk_"), rb"\b", _HEX + rb"{32}_" + _HEX + rb"{10}"),
    ("a Linear key", (b"lin_api_",), rb"\b", _WORD + rb"{40}"),
    ("a Mailchimp key", (b"-us",), rb"(?<=\b" + _HEX + rb"{32})", rb"[0-9]{1,2}\b"),
    ("a Mailgun key", (b"key-",), rb"\b", _HEX + rb"{32}\b"),
    ("a Netlify token", (b"nfp_",), rb"\b", _WORD + rb"{36}"),
    ("a New Relic key", (b"NRAK-",), rb"\b", rb"[A-Z0-9]{27}"),
    ("a Notion token", (b"ntn_",), rb"\b", _WORD + rb"{40}"),
    ("a package index token", (b"npm_",), rb"\b", _WORD + rb"{36}"),
    ("a package index token", (b"pypi-AgEI",), rb"\b", _ANY + rb"{50}"),
    ("a package index token", (b"rubygems_",), rb"\b", _HEX + rb"{48}"),
    ("a package index token", (b"oy2",), rb"\b", rb"[a-z0-9]{43}\b"),
    ("a package index token", (b"_authToken=",), b"", rb"[\"']?[A-Za-z0-9_./+=-]{16}"),
    ("a Perplexity key", (b"pplx-",), rb"\b", _WORD + rb"{48}"),
    ("a PlanetScale token", (b"pscale_tkn_", b"pscale_pw_", b"pscale_oauth_"), rb"\b", rb"[\w.=-]{32}"),
    ("a Postman key", (b"PMAK-",), rb"\b", _HEX + rb"{24}-" + _HEX + rb"{34}"),
    ("a Pulumi token", (b"pul-",), rb"\b", _HEX + rb"{40}"),
    ("a Replicate token", (b"r8_",), rb"\b", _WORD + rb"{37}\b"),
    ("a SendGrid key", (b"SG.",), rb"\b", _ANY + rb"{22}\." + _ANY + rb"{43}"),
    ("a Sentry token", (b"sntryu_",), rb"\b", _HEX + rb"{64}"),
    ("a Shopify token", (b"shpat_", b"shpca_", b"shppa_", b"shpss_"), rb"\b", rb"[A-Fa-f0-9]{32}"),
    ("a Slack token", (b"xoxb-", b"xoxp-", b"xoxa-", b"xoxr-", b"xoxs-", b"xoxe-"), rb"\b", rb"[0-9A-Za-z-]{20}"),
    ("a Slack token", (b"xapp-",), rb"\b", rb"[0-9]-[A-Z0-9]+-[0-9]+-[a-z0-9]{20}"),
    ("a Slack webhook", (b"hooks.slack.com/",), b"", rb"(?:services|workflows|triggers)/[A-Za-z0-9+/]{40}"),
    ("a Square token", (b"sq0atp-", b"sq0csp-"), rb"\b", _ANY + rb"{22}"),
    ("a Stripe key", (b"k_live_",), rb"(?<=\b[rs])", _WORD + rb"{24}"),
    ("a Stripe webhook secret", (b"whsec_",), rb"\b", _WORD + rb"{32}"),
    ("a Supabase token", (b"sbp_",), rb"\b", _HEX + rb"{40}"),
    ("a Tailscale key", (b"tskey-",), rb"\b", rb"(?:auth|api|client)-" + _WORD + rb"{8,}-" + _WORD + rb"{8}"),
    ("a Telegram bot token", (b":AA",), rb"(?<=[0-9]{8})", _ANY + rb"{33}\b"),
    ("a Terraform token", (b".atlasv1.",), rb"(?<=" + _WORD + rb"{14})", rb"[\w=-]{60}"),
    ("a Twilio key", (b"SK",), rb"\b", _HEX + rb"{32}\b"),
    ("a Vault token", (b"hvs.", b"hvb."), rb"\b", _ANY + rb"{24}"),
    ("an xAI key", (b"xai-",), rb"\b", _WORD + rb"{80}"),
    ("a password in a URL", (b"://",), b"",
     rb"[A-Za-z0-9_.-]{1,64}:(?=[^\s@]{0,64}[0-9])(?=[^\s@]{0,64}[A-Za-z])[A-Za-z0-9_.~!*^+=%-]{8,64}@"
     rb"(?!localhost|127\.|example|.{0,40}\bexample\.)[A-Za-z0-9]"),
)  # fmt: skip
_BY_LETTERS = {letters: number for number, (_, all_letters, _, _) in enumerate(_FORMS) for letters in all_letters}
_NUMBERS = tuple(_BY_LETTERS.values())
# What a person says of a line that only looks like a secret (detect-secrets, gitleaks), and what documents print.
_ALLOWED = rb"pragma: ?(?:allow|white)list[ -]secret|gitleaks:allow"
_FEWEST_DIFFERENT, _SHORTEST_BODY = 4, 8


class Spot(msgspec.Struct, frozen=True):
    """Where something that looks like a secret begins in a piece of data, in bytes, and what it is."""

    offset: int
    what: str


def find_by_form(data: bytes) -> list[Spot]:
    """Return what in `data` has the form of a key or token, in order, at most one for each line.

    Examples that documents print and lines that are marked as allowed are none.
    """
    found: list[Spot] = []
    line_end = -1
    for offset, number in _SEARCH.places(data):
        what, letters, _, _ = _FORMS[number]
        if offset < line_end:
            continue
        match = _form(number).match(data, offset)
        if match is not None and not _is_harmless(data, offset, match, letters):
            found.append(Spot(offset, what))
            line_end = data.find(b"\n", match.end())
            if line_end < 0:
                break
    return found


def is_secret_text(data: bytes) -> bool:
    """Tell whether a short text, such as the value of a variable, has a key, a token or a password in a URL in it."""
    return bool(find_by_form(data))


def is_allowed_line(line: bytes) -> bool:
    """Tell whether a line says of itself that what looks like a secret in it is none."""
    return re.search(_ALLOWED, line) is not None


def _is_harmless(data: bytes, offset: int, match: re.Match[bytes], letters: tuple[bytes, ...]) -> bool:
    """Tell whether it is a placeholder (`ghp_xxxx…`, `AKIA…EXAMPLE`), or its line says that it is no secret."""
    token = match[0]
    body = next((token[len(start) :] for start in letters if token.startswith(start)), token)
    is_monotonous = len(body) >= _SHORTEST_BODY and len(set(body.strip(b"\"'"))) < _FEWEST_DIFFERENT
    if is_monotonous or token.endswith(b"EXAMPLE"):
        return True
    start = max(data.rfind(b"\n", 0, offset), offset - REACH_BYTES)
    end = data.find(b"\n", match.end(), match.end() + REACH_BYTES)
    return is_allowed_line(data[start + 1 : end if end >= 0 else match.end() + REACH_BYTES])


class _Letters:
    """Search for the letters of all forms; the automaton is loaded when plain searching has cost as much as that."""

    def __init__(self) -> None:
        self._searched_bytes = 0
        self._automaton: BytesAhoCorasick | None = None

    def places(self, data: bytes) -> list[tuple[int, int]]:
        """Return where letters of a form stand, in order: the offset, and the number of the form."""
        self._searched_bytes += len(data)
        if self._automaton is None and self._searched_bytes <= _FEW_BYTES:
            found = [(offset, number) for letters, number in _BY_LETTERS.items() for offset in _offsets(data, letters)]
        else:
            if self._automaton is None:
                from ahocorasick_rs import BytesAhoCorasick, Implementation  # 1.3 ms, a little text is searched sooner

                self._automaton = BytesAhoCorasick(_BY_LETTERS, implementation=Implementation.DFA)
            matches = self._automaton.find_matches_as_indexes(data, overlapping=True)
            found = [(start, _NUMBERS[index]) for index, start, _ in matches]
        return sorted(found)


def _offsets(data: bytes, letters: bytes) -> Iterator[int]:
    offset = data.find(letters)
    while offset >= 0:
        yield offset
        offset = data.find(letters, offset + 1)


_SEARCH = _Letters()


@lru_cache(maxsize=len(_FORMS))
def _form(number: int) -> re.Pattern[bytes]:
    _, letters, before, after = _FORMS[number]
    return re.compile(before + rb"(?:" + rb"|".join(map(re.escape, letters)) + rb")" + after)
