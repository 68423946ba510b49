"""Tokens as identity providers write them, by their documentation."""

PROVIDERS = {
    "Auth0": (
        "RS256",
        {"sub": "auth0|1", "aud": ["https://billing.example.com", "https://TENANT.eu.auth0.com/userinfo"]},
    ),
    "Clerk": ("RS256", {"sub": "user_1", "aud": None, "azp": "https://app.example.com", "sts": "active"}),
    "Supabase": ("ES256", {"sub": "6b1", "aud": "authenticated", "role": "authenticated", "email": "ada@example.com"}),
    "better-auth": ("EdDSA", {"sub": "1", "aud": "https://app.example.com", "email": "ada@example.com"}),
    "Keycloak": ("RS256", {"sub": "f:1:ada", "aud": ["billing", "account"], "typ": "Bearer", "azp": "shop"}),
}
"""What each provider signs with, and claims, by its documentation."""
