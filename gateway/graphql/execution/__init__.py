"""From a GraphQL request to its result, the same for HTTP and WebSocket."""
