"""huggingface_hub's settings: which server, where its cache is, how long to wait. They come from HF_* variables."""

from __future__ import annotations

import os
import re
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from weightscope.errors import UsageError

TIMEOUTS = ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT")
MAX_TIMEOUT = 86_400
FOLDERS = ("HF_HOME", "HF_HUB_CACHE")
LABEL = re.compile(r"[^\s\x00-\x20\x7f/?#@\\]{1,63}")
MAX_HOST = 253


@cache
def settings() -> Any:
    """The module `huggingface_hub.constants`, whose import fails on variables that it cannot read.

    Raises:
        UsageError: a variable holds what it cannot; the message names it.
    """
    for name in TIMEOUTS:
        text = os.environ.get(name)
        if text is not None and not (re.fullmatch(r"[0-9]{1,9}", text) and int(text) <= MAX_TIMEOUT):
            raise UsageError(f"{name} is {text!r}", hint=f"set it to whole seconds, 1 to {MAX_TIMEOUT:,}, or unset it")
    for name in FOLDERS:
        if os.environ.get(name) == "":
            raise UsageError(f"{name} is empty", hint="set it to a folder, or unset it")
    endpoint = os.environ.get("HF_ENDPOINT")
    if endpoint is not None and (wrong := web_fault(endpoint)):
        raise UsageError(f"HF_ENDPOINT is not a web address ({wrong})", hint="the default is https://huggingface.co")
    try:
        from huggingface_hub import constants
    except ValueError as error:
        raise UsageError(f"huggingface_hub cannot read its settings ({error})", hint="see the HF_ variables") from None
    return constants


def web_fault(url: str) -> str:
    """What is wrong with an http(s) address, in words; empty where nothing is."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        return str(error)
    faults = {
        "it does not begin with http:// or https://": parts.scheme not in ("http", "https"),
        "it contains a space or a control character": " " in url or not url.isprintable(),
        "it names no server": not host,
        "no server has such a name": not _is_host(host),
    }
    return next((fault for fault, found in faults.items() if found), "")


def _is_host(host: str) -> bool:
    """Whether a server may have this name; an IPv6 address, which has no labels, was looked at before."""
    labels = host.removesuffix(".").split(".")
    if ":" in host:
        return True
    try:
        host.encode("ascii" if host.isascii() else "idna")
    except UnicodeError:
        return False
    return len(host) <= MAX_HOST and all(LABEL.fullmatch(label) for label in labels)
