"""What every test shares: the running gateway, the catalogue, checkout steps, the OIDC provider, databases."""
