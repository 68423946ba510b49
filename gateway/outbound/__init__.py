"""Our own webhooks: what the outbox holds is posted to the application's endpoints."""
