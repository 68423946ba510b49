"""The billing gateway: a GraphQL service between a web application and Stripe."""

__version__ = "0.1.0"
