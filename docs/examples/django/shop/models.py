"""What was heard."""

from django.db import models


class Message(models.Model):
    """A message of the gateway's that was heard; its id is the same when it comes again."""

    id = models.CharField(primary_key=True, max_length=100)
