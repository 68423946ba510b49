"""What assistants get of the gateway, by `gateway mcp` (Model Context Protocol). It imports nothing of the server."""
