"""A chat endpoint that speaks as OpenAI's does: one question, one answer, over HTTP. Owns httpx.

The key goes to the host that the URL names and nowhere else: no redirect is followed, and neither proxies nor password
files of the environment are used. A reply is read up to a limit, as it comes, and never unpacked.
"""

from __future__ import annotations

import ssl
import time
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import NoReturn

import httpx
import msgspec

from chronos import clock
from chronos.errors import BadConfigError, ResolverFailedError
from chronos.files import display
from chronos.merging.answers import UndecidedError

_PAUSES_S = (1.0, 2.0)  # before the second and the third attempt, where the server does not say how long
_LONGEST_PAUSE_S = 30.0
_MOST_FAULTS = 3  # one after the other; then it is the endpoint, and not the questions
_MOST_SHOWN = 200
# JSON writes a character in up to six bytes; some servers send what the model thought along.
_ESCAPED, _AROUND_BYTES = 6, 1024 * 1024
_BROKEN = 0  # the status of a reply that did not come whole
_TRY_AGAIN = {_BROKEN, 408, 429, 500, 502, 503, 504, 529}
_THIS_QUESTION = {400, 413, 422}  # too long, mostly
_HINTS = {
    401: "set CHRONOS_MERGE_RESOLVER_KEY to a key that it takes",
    403: "set CHRONOS_MERGE_RESOLVER_KEY to a key that may do this",
    404: "look at CHRONOS_MERGE_RESOLVER_URL (most end in /v1) and CHRONOS_MERGE_RESOLVER_MODEL",
    429: "no conflict was touched; run it again later",
}
_REDIRECT_HINT = "redirects are not followed; set CHRONOS_MERGE_RESOLVER_URL to where it leads, if you trust that"


class _Reply(msgspec.Struct, frozen=True):
    status: int
    data: bytes
    wait: str | None = None
    leads_to: str = ""


class _Message(msgspec.Struct, frozen=True):
    content: str | None = None


class _Answer(msgspec.Struct, frozen=True):
    message: _Message
    finish_reason: str | None = None


class _Completion(msgspec.Struct, frozen=True):
    choices: tuple[_Answer, ...]


class _Complaint(msgspec.Struct, frozen=True):
    message: str


class _Refusal(msgspec.Struct, frozen=True):
    error: _Complaint | str


class ChatEndpoint:
    """Ask the model of one endpoint. `pauses_s` are the pauses before further attempts."""

    def __init__(
        self, url: str, model: str, key: str, timeout_s: float, *, pauses_s: tuple[float, ...] = _PAUSES_S
    ) -> None:
        """Check what it is made with. Raises BadConfigError."""
        is_safe = _check_url(url)
        if not model:
            raise BadConfigError("no model is named", hint="set CHRONOS_MERGE_RESOLVER_MODEL")
        if not timeout_s > 0:
            raise BadConfigError("a question needs time", hint="set CHRONOS_MERGE_RESOLVER_TIMEOUT to more than 0")
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise BadConfigError("the key has characters that no key has", hint="set CHRONOS_MERGE_RESOLVER_KEY")
        if key and not is_safe:
            raise BadConfigError(
                f"the key would go to {display(url)} unencrypted",
                hint="use https, or set CHRONOS_MERGE_RESOLVER_KEY to nothing",
            )
        self.host = httpx.URL(url).netloc.decode()
        self._url, self._model, self._key = url.rstrip("/") + "/chat/completions", model, key
        self._timeout_s, self._pauses_s = timeout_s, pauses_s
        self._faults = 0
        self._client = _client(url, key, timeout_s)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def ask(self, system: str, question: str, *, most_bytes: int) -> str:
        """Return what the model answers. `most_bytes` is how large an answer may be.

        Raises UndecidedError where this question has no answer, ResolverFailedError where no question will have one.
        """
        messages = [{"role": "system", "content": system}, {"role": "user", "content": question}]
        body = msgspec.json.encode({"model": self._model, "messages": messages, "temperature": 0, "stream": False})
        reply = self._exchange(body, most_bytes * _ESCAPED + _AROUND_BYTES)
        if reply.status != httpx.codes.OK:
            self._refuse(reply)
        try:
            answer = msgspec.json.decode(reply.data, type=_Completion).choices[0]
        except (msgspec.DecodeError, IndexError, RecursionError):
            self._fault("it sent no chat completion")
        self._faults = 0
        if answer.finish_reason == "length":
            raise UndecidedError("the answer was cut off")
        if not answer.message.content:
            raise UndecidedError("the model said nothing")
        return answer.message.content

    def _exchange(self, body: bytes, most_bytes: int) -> _Reply:
        """Send, and where it may help send again."""
        reply = self._send(body, most_bytes)
        for pause_s in self._pauses_s:
            if reply.status not in _TRY_AGAIN:
                break
            wanted_s = _seconds(reply.wait)
            if wanted_s is not None and wanted_s > _LONGEST_PAUSE_S:
                self._fail(f"answers {reply.status} and wants {wanted_s:.0f} s of peace", _HINTS[429])
            time.sleep(pause_s if wanted_s is None else wanted_s)
            reply = self._send(body, most_bytes)
        return reply

    def _send(self, body: bytes, most_bytes: int) -> _Reply:
        deadline = time.monotonic() + self._timeout_s
        data = bytearray()
        try:
            with self._client.stream("POST", self._url, content=body) as response:
                if response.headers.get("content-encoding", "identity") != "identity":
                    self._fault("its reply is packed, which was not asked for")
                for piece in response.iter_raw():
                    data += piece
                    if len(data) > most_bytes:
                        self._fault(f"its reply is larger than {most_bytes} bytes")
                    if time.monotonic() > deadline:
                        raise httpx.ReadTimeout("it is too slow")
                headers = response.headers
                return _Reply(
                    response.status_code, bytes(data), headers.get("retry-after"), headers.get("location", "")
                )
        except (httpx.ConnectError, httpx.ConnectTimeout) as cause:
            self._fail(f"cannot be reached: {cause}", "start it, or look at CHRONOS_MERGE_RESOLVER_URL")
        except httpx.TimeoutException:
            self._fault(f"it did not answer within {self._timeout_s:g} s (CHRONOS_MERGE_RESOLVER_TIMEOUT)")
        except httpx.TransportError as cause:
            return _Reply(_BROKEN, str(cause).encode())

    def _refuse(self, reply: _Reply) -> NoReturn:
        said = self._shown(reply.data)
        if reply.status in _THIS_QUESTION:
            raise UndecidedError(f"{self.host} answers {reply.status}{said}")
        if reply.status in (_BROKEN, 500):
            self._fault(f"answers 500{said}" if reply.status else f"the connection broke{said}")
        if 300 <= reply.status < 400:
            self._fail(f"leads to {display(reply.leads_to[:_MOST_SHOWN])}", _REDIRECT_HINT)
        self._fail(f"answers {reply.status}{said}", _HINTS.get(reply.status))

    def _shown(self, data: bytes) -> str:
        """Return what a reply complains of, short, and without our key."""
        try:
            error = msgspec.json.decode(data, type=_Refusal).error
            text = error if isinstance(error, str) else error.message
        except (msgspec.DecodeError, RecursionError):
            text = data[: 2 * _MOST_SHOWN].decode("utf-8", "replace")
        text = " ".join((text.replace(self._key, "…") if self._key else text).split())
        return f": {display(text[:_MOST_SHOWN])}" if text else ""

    def _fault(self, what: str) -> NoReturn:
        """Leave this question; when several in a row came to this, all of them."""
        self._faults += 1
        if self._faults >= _MOST_FAULTS:
            self._fail(f"gave no answer {self._faults} times in a row; the last time {what}", None)
        raise UndecidedError(f"{self.host}: {what}")

    def _fail(self, what: str, hint: str | None) -> NoReturn:
        raise ResolverFailedError(f"the merge resolver's endpoint {display(self.host)} {what}", hint=hint)


def _client(url: str, key: str, timeout_s: float) -> httpx.Client:
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody
    if httpx.URL(url).scheme == "https":
        trust = httpx.create_ssl_context(trust_env=False)  # 0.1 s
        trust.load_default_certs()  # what this machine trusts, such as a company's own authority
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "chronomancer"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    return httpx.Client(headers=headers, timeout=timeout_s, trust_env=False, follow_redirects=False, verify=trust)


def _check_url(url: str) -> bool:
    """Tell whether what is sent there stays unread on its way: encrypted, or on this machine. Raises BadConfigError."""
    hint = "set CHRONOS_MERGE_RESOLVER_URL to where `/chat/completions` is, such as http://127.0.0.1:8080/v1"
    if not url:
        raise BadConfigError("no endpoint is named, and there is none by default", hint=hint)
    try:
        parts = httpx.URL(url)  # as it will be read when something is sent
    except (ValueError, httpx.InvalidURL) as cause:
        raise BadConfigError(f"the endpoint's URL is none: {cause}", hint=hint) from cause
    if parts.userinfo:
        raise BadConfigError("the endpoint's URL has a password in it", hint="set CHRONOS_MERGE_RESOLVER_KEY instead")
    if parts.scheme not in ("http", "https") or not parts.host or "?" in url or "#" in url:
        raise BadConfigError(f"{display(url)} is no URL of an endpoint", hint=hint)
    return parts.scheme == "https" or _is_here(parts.host)


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _seconds(wait: str | None) -> float | None:
    """Return the seconds that a Retry-After says (RFC 9110, 10.2.3: a number, or a date), or None."""
    if wait is None:
        return None
    if wait.strip().isdecimal():
        return float(wait)
    try:
        moment = parsedate_to_datetime(wait)
        return max(0.0, (moment - clock.now()).total_seconds())
    except (ValueError, TypeError):
        return None
