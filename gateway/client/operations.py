"""What can be asked: a document that becomes a request, with the types of what is sent and of what is answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

Sent = TypeVar("Sent")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Request(Generic[Answer]):
    """Something to ask.

    Attributes:
        text: the document, with one field at its root.
        variables: of the document.
    """

    text: str
    variables: Mapping[str, Any]


@dataclass(frozen=True)
class Query(Generic[Sent, Answer]):
    """Something to read.

    Attributes:
        text: the document, with one field at its root.
    """

    text: str

    def __call__(self, sent: Sent) -> Request[Answer]:
        """Return the request with these variables."""
        return Request(self.text, cast("Mapping[str, Any]", sent))


@dataclass(frozen=True)
class Mutation(Generic[Sent, Answer]):
    """Something to do.

    Attributes:
        text: the document, with one field at its root and one variable, its `input`.
    """

    text: str

    def __call__(self, sent: Sent) -> Request[Answer]:
        """Return the request with this input."""
        return Request(self.text, {"input": sent})
