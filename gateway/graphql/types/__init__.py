"""The GraphQL types: one file for each noun, with its inputs and mutations."""
