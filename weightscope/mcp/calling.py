"""One call of a tool is one process, so that a time limit ends it and its memory is given back."""

from __future__ import annotations

import subprocess
import sys

import anyio
import msgspec

from weightscope.interrupt import cleaning
from weightscope.mcp.child import Answer, Request

# Neither the working directory nor bytecode files are touched.
COMMAND = [sys.executable, "-P", "-B", "-m", "weightscope.mcp.child"]


async def call(request: Request) -> Answer:
    """The child's answer, or one line on why there is none."""
    with anyio.move_on_after(request.seconds):
        # Where this is cancelled, the process is killed.
        async with await anyio.open_process(COMMAND, stderr=subprocess.DEVNULL) as process:
            with cleaning(process.kill):
                assert process.stdin
                assert process.stdout
                await process.stdin.send(msgspec.json.encode(request))
                await process.stdin.aclose()
                reply = b"".join([part async for part in process.stdout])
                await process.wait()
        try:
            return msgspec.json.decode(reply, type=Answer)
        except msgspec.DecodeError:
            return Answer(error=f"internal error (the tool ended with {process.returncode}); please report it")
    return Answer(error=f"took more than {request.seconds:,} seconds; the user can allow more with --timeout")
