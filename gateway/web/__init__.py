"""The package for browsers: a typed client of the GraphQL API, and elements that sell plans and show accounts.

`src/` is plain JavaScript with types in JSDoc: it is served as it is, published at npm, and needs no build.
"""
