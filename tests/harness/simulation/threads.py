"""The database's threads, simulated: what they would do is done at one moment, drawn from the seed.

Each reading and each transaction is a crossing: before it and after it the process may die, the database may be slow,
refuse it, or do it and lose the answer. A process with several writers, as on PostgreSQL, begins several transactions
at a time, so that one overtakes another.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Any, TypeVar

from gateway.db.worker_threads import Piece, Result, WorkerThreads, result_of
from gateway.errors import DatabaseUnavailable
from harness.simulation.crossings import Crossings, Pace

T = TypeVar("T")
PACE = Pace((0.0001, 0.002), (0.005, 0.3), (1.0, 12.0))
LOST = None, DatabaseUnavailable("the connection to the database ended")


class SimulatedThreads(WorkerThreads):
    """Does pieces of work on the simulated loop, as many at a time as there would be threads.

    Args:
        crossings: what becomes of each.
        count: how many threads there would be.
        name: `read` or `transaction`.
        together: does all pieces that wait at a time, and returns the result of each.
        most: how many those may be.
    """

    def __init__(
        self,
        crossings: Crossings,
        count: int,
        name: str,
        *,
        together: Callable[[Sequence[Piece[Any]]], Sequence[Result]] | None = None,
        most: int = 1,
    ) -> None:
        if name == "transaction" and crossings.writers > 1:
            count, most = crossings.writers, 1
        self._crossings, self._idle, self._kind = crossings, count, name
        self._do_pieces = together or (lambda pieces: [result_of(piece) for piece in pieces])
        self._most_pieces = most
        self._pieces: deque[Piece[Any]] = deque()

    def run(self, work: Callable[[], T]) -> Piece[T]:
        loop = asyncio.get_running_loop()
        piece: Piece[T] = Piece(loop.create_future(), copy_context(), work)
        self._crossings.unfinished += 1
        piece.done.add_done_callback(self._ended)
        if not self._crossings.host.alive:
            piece.done.cancel()
            return piece
        self._pieces.append(piece)
        self._begin()
        return piece

    def _ended(self, _: "asyncio.Future[Any]") -> None:
        self._crossings.unfinished -= 1

    def _begin(self) -> None:
        if self._pieces and self._idle:
            self._idle -= 1
            self._after(self._delay(), self._do)

    def _after(self, seconds: float, do: Callable[..., None], *args: Any) -> None:
        asyncio.get_running_loop().call_later(seconds, do, *args)

    def _delay(self) -> float:
        troubles = self._crossings.troubles
        return self._crossings.delay(PACE, troubles.database_slow)

    def _do(self) -> None:
        if not self._crossings.survived():
            self._drop()
            return
        waiting = [self._pieces.popleft() for _ in range(min(len(self._pieces), self._most_pieces))]
        pieces = [each for each in waiting if not each.done.cancelled() and each.claim()]
        troubles = self._crossings.troubles
        away = self._crossings.is_away("database", troubles.database_away)
        fails = away or self._crossings.happens(troubles.database_fails)
        is_done = not fails or (not away and self._crossings.happens(0.5))
        results = self._do_pieces(pieces) if pieces and is_done else []
        if self._kind == "transaction" and results:
            self._crossings.note_commit()
        answer = [LOST] * len(pieces) if fails else results
        if self._kind == "read" and not self._crossings.happens(troubles.database_slow):
            self._answer(pieces, answer)
        else:
            self._after(self._delay(), self._answer, pieces, answer)

    def _answer(self, pieces: Sequence[Piece[Any]], results: Sequence[Result]) -> None:
        if not self._crossings.survived():
            for each in pieces:
                each.done.cancel()
            self._drop()
            return
        self._idle += 1
        self._begin()
        for piece, (outcome, failure) in zip(pieces, results, strict=True):
            if piece.done.cancelled():
                continue
            if failure is None:
                piece.done.set_result(outcome)
            else:
                piece.done.set_exception(failure)

    def _drop(self) -> None:
        """Leave undone what a dead process waits for."""
        for piece in self._pieces:
            piece.done.cancel()
        self._pieces.clear()

    def close(self) -> None:
        """Do nothing: whoever ends the process has waited for what was under way."""
