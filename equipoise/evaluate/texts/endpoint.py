"""One question to a model behind an OpenAI-compatible endpoint, asked until it is answered."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from equipoise.errors import ModelError, SettingsError
from equipoise.records.judged import SENT

KEY_VARIABLE = "OPENAI_API_KEY"
_PATH = "/chat/completions"
_LONGEST_WAIT = 60.0
"""Seconds; a server that asks for more is asked again after this."""
_LARGEST_REPLY = 4_000_000
"""Bytes."""
_TEMPORARY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})


class Unanswered(Exception):
    """Every try failed in a way that may pass."""


@dataclass(frozen=True)
class Reply:
    text: str
    refused: bool
    prompt_tokens: int
    completion_tokens: int


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A key must not follow to another host, which is where urllib would take it."""

    def redirect_request(self, *given: Any) -> None:
        return None


@dataclass(frozen=True)
class Endpoint:
    url: str
    """As "https://host/v1"; its path of chat completions is added."""
    model: str
    key: str | None = field(default=None, repr=False)
    options: Mapping[str, Any] = field(default_factory=lambda: dict(SENT))
    """Further fields of each request."""
    timeout_seconds: float = 60.0
    tries: int = 6
    key_variable: str = KEY_VARIABLE
    """The environment variable that the key comes from."""

    def check_reached(self) -> None:
        """Ask for the list of models, whatever the answer may be: a wrong address is told at once,
        and not after all tries of many questions.

        Raises  ModelError if nobody is there to answer.
        """
        try:
            self._open(self.url.removesuffix(_PATH) + "/models", None)
        except urllib.error.HTTPError as error:
            error.close()  # somebody is there
        except TimeoutError:
            return  # perhaps only slow
        except (OSError, HTTPException) as error:
            why = getattr(error, "reason", error)
            if not isinstance(why, TimeoutError):
                raise ModelError(
                    f"nothing answers at {self.url} ({self._hidden(str(why))}); check the address, "
                    "and that the server runs"
                ) from None

    def ask(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        sleep: Callable[[float], None],
        jitter: Callable[[], float],
    ) -> Reply:
        """Waits 1, 2, 4 ... seconds between tries, times 0.5 to 1.5, or as long as the server asks.

        `jitter` gives numbers in 0..1.
        Raises  Unanswered after the last try; ModelError where trying again is no use.
        """
        body = json.dumps({"model": self.model, "messages": list(messages), **self.options})
        said, wait = "", 0.0
        for n in range(self.tries):
            if n:
                sleep(min(wait, _LONGEST_WAIT))
            wait = 2.0**n * (0.5 + jitter())
            try:
                return _reply(self._open(_target(self.url), body.encode()))
            except urllib.error.HTTPError as error:
                with error:
                    said = f"status {error.code}"
                    if error.code not in _TEMPORARY:
                        raise ModelError(self._refusal(error)) from None
                    wait = max(wait, _seconds(error.headers.get("Retry-After")))
            except TimeoutError:
                said = f"no answer within {self.timeout_seconds:g} s"
            except (OSError, HTTPException) as error:
                # urllib wraps a timeout while connecting, and all else that the network does.
                said = self._hidden(str(getattr(error, "reason", error)) or type(error).__name__)
            except ValueError as error:
                said = f"an answer that can't be read ({error})"
        raise Unanswered(said)

    def _open(self, url: str, body: bytes | None) -> bytes:
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(url, data=body, headers=headers)
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(request, timeout=self.timeout_seconds) as answer:
            found: bytes = answer.read(_LARGEST_REPLY)
            return found

    def _refusal(self, error: urllib.error.HTTPError) -> str:
        try:
            told = " ".join(error.read(2000).decode("utf-8", "replace").split())
        except (OSError, HTTPException):
            told = ""
        named = [name for name in self.options if name in told]
        hint = "check the endpoint, the model's name and its options"
        if error.code in (401, 403):
            hint = f"check the key in the environment variable {self.key_variable}"
        elif named:
            hint = f"if it takes no {named[0]}, leave that out with --option {named[0]}=none"
        return f"judge model {self.model!r} answered {error.code}: {self._hidden(told)}; {hint}"

    def _hidden(self, text: str) -> str:
        """Servers repeat keys in what they say of them."""
        return text.replace(self.key, "***") if self.key else text


def endpoint_at(
    url: str,
    model: str,
    *,
    key_variable: str = KEY_VARIABLE,
    options: Mapping[str, Any] | None = None,
    timeout_seconds: float = 60.0,
    tries: int = 6,
) -> Endpoint:
    """The key comes from the environment alone, if it is there.

    options  Fields of each request beside the question; None: temperature 0, which models that
             reason may refuse: {} sends none.
    Raises  SettingsError if the address is none, holds a password, or would send the key in the
            clear to another machine.
    """
    key = os.environ.get(key_variable) or None
    parts = urlsplit(url)
    faults = []
    if parts.scheme not in ("http", "https") or not parts.hostname:
        faults.append(f"endpoint {url!r} is no address; give one as https://host/v1")
    elif parts.username or parts.password:
        faults.append(
            "the endpoint's address holds a user or password; put the key into the environment "
            f"variable {key_variable}"
        )
    elif key and parts.scheme == "http" and not _own_machine(parts.hostname):
        faults.append(
            f"endpoint {url!r} would get the key in {key_variable} in the clear; use https, or "
            f"unset {key_variable}"
        )
    if tries < 1 or timeout_seconds <= 0:
        faults.append("tries must be at least 1 and timeout_seconds above 0")
    if faults:
        raise SettingsError(*faults)
    chosen = dict(SENT if options is None else options)
    return Endpoint(url.rstrip("/"), model, key, chosen, timeout_seconds, tries, key_variable)


def _target(url: str) -> str:
    return url if url.endswith(_PATH) else url + _PATH


def _own_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _seconds(text: str | None) -> float:
    """A Retry-After in seconds; 0 for a date, which the growing waits stand in for."""
    try:
        return max(float(text or 0), 0.0)
    except ValueError:
        return 0.0


def _reply(raw: bytes) -> Reply:
    """Raises ValueError if it is no answer of a chat."""
    record = json.loads(raw)
    try:
        choice = record["choices"][0]
        message = choice["message"]
        content = message.get("content")
        usage = record.get("usage") or {}
        if isinstance(content, list):  # parts, as some servers give them
            content = "".join(str(part.get("text", "")) for part in content)
        refused = bool(message.get("refusal")) or choice.get("finish_reason") == "content_filter"
        return Reply(
            text=str(content or message.get("refusal") or ""),
            refused=refused,
            prompt_tokens=int(usage.get("prompt_tokens") or 0),
            completion_tokens=int(usage.get("completion_tokens") or 0),
        )
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"no chat completion: {type(error).__name__} {error}") from None
