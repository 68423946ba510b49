"""The billing engine: what happens to money and subscriptions, whoever asks for it (API, hosted page or clock)."""
