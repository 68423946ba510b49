"""One module per Stripe resource; being imported registers its kinds and routes."""
