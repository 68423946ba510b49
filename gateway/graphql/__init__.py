"""The GraphQL API of the gateway and the page to explore it."""
