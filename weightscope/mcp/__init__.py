"""The MCP server: some commands as read-only tools for coding agents, over folders that the user allows."""
