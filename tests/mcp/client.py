"""A client of the official SDK, and our server as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters, stdio_client
from mcp_types import CallToolResult, Tool

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
START = ["-c", "from weightscope.cli import run; run()", "mcp"]
Call = tuple[str, dict[str, Any]]


def surroundings(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    return kept | {"PYTHONPATH": str(ROOT)} | more


def server(*options: str, **environment: str) -> StdioServerParameters:
    return StdioServerParameters(command=sys.executable, args=[*START, *options], env=surroundings(**environment))


def ask(calls: Iterable[Call], *options: str, **environment: str) -> list[CallToolResult]:
    """The answers of one server to some calls, one after another."""

    async def session() -> list[CallToolResult]:
        async with Client(stdio_client(server(*options, **environment))) as client:
            return [await client.call_tool(tool, arguments) for tool, arguments in calls]

    return anyio.run(session)


def introduced(*options: str) -> tuple[str, list[Tool]]:
    """The instructions and the tools of a server."""

    async def session() -> tuple[str, list[Tool]]:
        async with Client(stdio_client(server(*options))) as client:
            return client.instructions or "", (await client.list_tools()).tools

    return anyio.run(session)


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert content.type == "text"
    return content.text


def refusal(result: CallToolResult) -> str:
    """The one line of an answer that is an error."""
    assert result.is_error
    assert result.structured_content is None
    line = text_of(result)
    assert line
    assert "\n" not in line
    assert "Traceback" not in line
    return line


def command_line(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    code = "from weightscope.cli import run; run()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True, text=True, check=False, env=surroundings(**environment), timeout=120,
    )  # fmt: skip
