"""The GraphiQL page and its vendored assets."""
