"""Every setting of the gateway: an environment variable, documented once, checked at the start."""

from gateway.settings.load import Settings

__all__ = ["Settings"]
