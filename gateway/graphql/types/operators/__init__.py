"""GraphQL's fields for operators: one below `Query.operator`, and the mutations that begin with `operator`."""
