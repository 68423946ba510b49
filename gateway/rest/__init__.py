"""The routes for operators and reverse proxies, described by `/openapi.json`."""
