"""The billing gateway: a GraphQL service between a web application and Stripe."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("billing-gateway")
    """The git tag that it was built from, and how far behind it is; see decision 0018."""
except PackageNotFoundError:  # run from its source, without being installed
    __version__ = "0+unknown"
