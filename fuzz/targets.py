"""The targets by name; each is imported when it is asked for."""

from __future__ import annotations

from fuzz.case import Target

NAMES = ("readers", "commands", "hub", "processes")


def target_of(name: str) -> Target:
    """A target, not yet prepared."""
    if name == "readers":
        from fuzz.readers import Readers

        return Readers()
    if name == "commands":
        from fuzz.commands import Commands

        return Commands()
    if name == "processes":
        from fuzz.processes import Processes

        return Processes()
    from fuzz.servers import Servers

    return Servers()
