"""The billing gateway: a GraphQL service between a web application and Stripe."""
