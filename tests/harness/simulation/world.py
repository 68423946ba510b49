"""The simulated world of one history: two gateways, Stripe, the application, and who restarts what has died."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx
import orjson

from gateway.billing.subscriptions.entitlements import Grant
from gateway.errors import DatabaseUnavailable, GatewayError, RateLimited, StripeUnavailable
from harness.simulation.chance import Troubles
from harness.simulation.crossings import Crossings
from harness.simulation.loop import Host, copy_context_outside
from harness.simulation.process import Died, Process
from harness.simulation.shop import FEATURE, Scene, Shop
from harness.simulation.stripe import Postman, SimulatedStripe
from harness.simulation.wire import SHOP, STRIPE

T = TypeVar("T")
NAMES = ("a", "b")
RESTART = (0.1, 3.0)
SKEW = 2.0
"""How many seconds the clocks of machines may be apart: the leases' margin is for that (`gateway/db/locks.py`)."""
TELLS = 0.5
"""In how many histories the application has an endpoint for our messages."""
CATCHES_UP = 0.2
"""In how many the gateways read Stripe's list of events again and again, beside its deliveries."""
THIN = 0.07
"""In how many events come without their objects."""
THIN_GENTLE = 0.5
"""In how many of those in which nothing fails: there they are all that tells of a purchase."""
OVERTAKES = 0.5
"""In how many a process begins several transactions at a time, as on PostgreSQL; otherwise one, as on SQLite."""
OUTLASTS = 0.04
"""In how many Stripe's time passes before what ends a history's last outage; where no delivery comes, in half."""
WRITERS = 5
PATIENCE = 6.0
"""After how many seconds of a history nobody asks again."""
WRONG = 900.0
"""How many seconds a clock may be off that nobody has set; where it is, one process serves alone."""
ANSWERING = (0.1, 1.5)
"""How long Stripe takes at times over its answer to what it has done. Its date is that of the answer."""
TRIES, PAUSES = 4, ((0.1, 0.5), (0.1, 0.5), (1.0, 2.5))
PASSING = (Died, StripeUnavailable, DatabaseUnavailable, RateLimited)
"""After which a client asks again for the same, under the same key."""


class World:
    """One world.

    Args:
        shop: what is sold in it.
        seed: decides everything.
        scene: what it begins with, where nothing is to go wrong; otherwise it is drawn.

    Attributes:
        scene: what it began with.
        dice: what happens when.
        troubles: what goes wrong how often.
        settings: of its gateways.
        stripe: the offline Stripe.
        taken: the messages that the application has taken: their ids and bodies, in the order of their first arrival.
        crashes: how many processes have died, or ended before their database had answered.
        committed_at: when anything was last written that may decide somebody's access, on the loop's clock.
        between: called when the last process has ended in good order, and before the next one starts.
        is_acting: whether anybody still does anything.
        writers: how many transactions a process begins at a time.
        outlasts: whether Stripe's time passes before the history's last outage is over.
        prices: what is sold by now, by the id of its price.
        story: what happened, for who looks for the reason of a failure.
    """

    def __init__(self, shop: Shop, seed: int, scene: Scene | None = None) -> None:
        self.shop, self.seed = shop, seed
        self.dice = random.Random(f"history {seed}")
        self.troubles = Troubles() if scene else Troubles.drawn(self.dice)
        self.scene = scene or self.dice.choice(shop.scenes)
        shop.database.renew(self.scene.name)
        self.stripe = SimulatedStripe(seed, self.scene.objects)
        is_thin = scene is None and self.dice.random() < (THIN_GENTLE if self.troubles.is_gentle else THIN)
        self.postman = Postman(self.stripe, self.dice, self.troubles, self.alive, is_thin=is_thin)
        tells, catches_up = scene is not None or self.dice.random() < TELLS, self.dice.random() < CATCHES_UP
        self.settings = shop.settings[tells, catches_up]
        self.taken = dict(self.scene.taken)
        self.crashes = 0
        self.committed_at = float("-inf")
        self.is_acting = True
        self.prices = dict(shop.prices)
        self.story: list[str] = []
        self._processes: dict[str, Process] = {}
        self._dead: list[Process] = []
        self._ending: dict[asyncio.Task[None], Process] = {}
        self._restarts = True
        self.between: Callable[[], None] = lambda: None
        self._observer: Process | None = None
        self.changed_time_at = float("-inf")
        self._moves = 2 if self.dice.random() < 0.25 else 0
        self.writers = WRITERS if self.dice.random() < OVERTAKES else 1
        self._pause = self.dice.choice(PAUSES)
        self.outlasts = self.dice.random() < (0.5 if self.troubles.event_lost == 1 else OUTLASTS)

    def tell(self, what: str) -> None:
        """Add to the story."""
        self.story.append(f"{asyncio.get_running_loop().time():9.3f} {what}")

    # Processes -------------------------------------------------------------------------------------------------

    def start(self, name: str, *, background: bool = True) -> Process:
        """Start a process, on a machine whose clock is not quite right."""
        host = Host(name)
        if self.troubles.clock_wrong:
            host.skew = self.dice.choice([-WRONG, WRONG])
        elif self.troubles.clocks:
            host.skew = self.dice.uniform(-SKEW, SKEW)
        crossings = _Crossings(self, host)
        servers = {STRIPE: self._stripe_server(), SHOP: self._application}
        process = self._processes[name] = Process(
            self.settings, crossings, servers, self.shop.database.engines, background=background
        )
        if not background:
            process.runtime.clock.follow(self.stripe.sandbox.clock.ahead)  # which it has no task to look for
        self.tell(f"{name} starts")
        return process

    def alive(self) -> list[Process]:
        """Return the processes that run."""
        return [each for each in self._processes.values() if each.host.alive]

    def crashed(self, host: Host) -> None:
        """Let a process die, and be started again a while later."""
        if self._processes.get(host.name, None) is None or self._processes[host.name].host is not host:
            return
        self.crashes += 1
        self.tell(f"{host.name} dies")
        self._dead.append(self._processes.pop(host.name))
        host.kill()
        loop = asyncio.get_running_loop()
        loop.call_later(self.dice.uniform(*RESTART), self._restart, host.name, context=copy_context_outside())

    def _restart(self, name: str) -> None:
        if self._restarts and name not in self._processes:
            self.start(name)

    async def deploy(self) -> None:
        """End a process in good order, and start another in its place."""
        if running := self.alive():
            await self._replace(self.dice.choice(running))

    def told_to_end(self, host: Host) -> None:
        """Have a process replaced in the middle of what it does."""
        process = self._processes.get(host.name)
        if process and process.host is host and self._restarts:
            self._replace(process)

    def _replace(self, process: Process) -> asyncio.Task[None]:
        """Send a process nothing more; the task that waits for its end, and starts another."""
        del self._processes[process.host.name]
        task = asyncio.get_running_loop().create_task(self._succeed(process), context=copy_context_outside())
        self._ending[task] = process
        return task

    async def _succeed(self, process: Process) -> None:
        name, me = process.host.name, asyncio.current_task()
        await self._end(process)
        if not self._processes and all(task is me or task.done() for task in self._ending):
            self.between()
        if self._restarts and name not in self._processes:
            self.start(name)

    async def stop(self) -> None:
        """End the processes in good order."""
        self._restarts = False
        await asyncio.gather(*self._ending)
        for process in list(self._processes.values()):
            await self._end(process)
        self._processes.clear()

    async def _end(self, process: Process) -> None:
        """End a process; one whose database takes too long leaves behind what it held, as one that dies does."""
        in_time = await process.stop()
        self.crashes += not in_time
        self.tell(f"{process.host.name} ends{'' if in_time else ' before its database has answered'}")

    async def end(self) -> None:
        """Let go of everything, also of what the dead had open."""
        self._restarts = False
        everything = [*self._processes.values(), *self._ending.values(), *self._dead, self._observer]
        for process in filter(None, everything):
            process.host.kill()
            await process.stop()
        self.stripe.close()
        await asyncio.sleep(0)

    # What clients do -------------------------------------------------------------------------------------------

    async def ask(self, what: str, work: Callable[[Process], Awaitable[T]], *, tries: int = TRIES) -> T | None:
        """Ask a process for something, and another one again when it is not known what became of it.

        Returns:
            the answer; None when all tries were in vain.

        Raises:
            GatewayError: a refusal.
        """
        for tried in range(tries if asyncio.get_running_loop().time() < PATIENCE else 1):
            if alive := self.alive():
                process = self.dice.choice(alive)
                try:
                    found = await process.ask(work)
                except PASSING as error:
                    self.tell(f"{what} by {process.host.name}: {type(error).__name__}")
                except GatewayError as error:
                    self.tell(f"{what} by {process.host.name}: {type(error).__name__} {error}")
                    raise
                else:
                    self.tell(f"{what} by {process.host.name}: done")
                    return found
            await asyncio.sleep(self.dice.uniform(*self._pause) * (tried + 1))
        return None

    async def pass_time(self, seconds: int) -> None:
        """Let Stripe's time pass; the processes that run look at its clock."""
        self.stripe.advance(seconds)
        self.changed_time_at = asyncio.get_running_loop().time()
        self.tell(f"{seconds} s pass")
        for process in self.alive():
            process.services.stripe.offline_time.note({"offline-stripe-ahead": str(self.stripe.sandbox.clock.ahead)})

    def may_pass_time(self) -> bool:
        """Return whether Stripe's time passes once more: in most histories it does not, because that costs much."""
        self._moves -= 1
        return self._moves >= 0

    @property
    def is_quiet(self) -> bool:
        """Whether Stripe answers at all times."""
        refuses = self.troubles.stripe_away or self.troubles.stripe_refuses
        return not (self.troubles.stripe_slow or refuses or self.troubles.stripe_answer_lost)

    async def truth(self, user: str, observer: Process | None = None) -> Grant | None:
        """Return what the database says of a user's access; None when it was written to meanwhile.

        Args:
            user: who.
            observer: a process that hears nothing of the others; by default one for this alone.
        """
        before = self.committed_at
        if observer is None and self._observer is None:
            crossings = Crossings(Host("observer"), self.dice, Troubles())
            servers, engines = {STRIPE: self.stripe.serve}, self.shop.database.engines
            self._observer = Process(self.settings, crossings, servers, engines, background=False)
        asked = observer or self._observer
        asked.runtime.clock.follow(self.stripe.sandbox.clock.ahead)
        found = await asked.ask(lambda it: it.access.grant(user, FEATURE))
        return found if self.committed_at == before else None

    # Who is asked by processes ---------------------------------------------------------------------------------

    def _stripe_server(self) -> Callable[[httpx.Request], Awaitable[httpx.Response]]:
        """Return Stripe's server. It tells its time once, if that was moved: to look each second costs too much."""
        looks = iter((True,))

        async def serve(request: httpx.Request) -> httpx.Response:
            if request.url.path == "/_sandbox/clock" and not (self.stripe.sandbox.clock.ahead and next(looks, False)):
                return httpx.Response(404, request=request)
            response = await self.stripe.serve(request)
            if self.dice.random() < self.troubles.stripe_slow:
                await asyncio.sleep(self.dice.uniform(*ANSWERING))
                response.headers.update(self.stripe.time_headers())
            return response

        return serve

    async def _application(self, request: httpx.Request) -> httpx.Response:
        """Take a message of ours."""
        body = orjson.loads(await request.aread())
        name = request.headers["webhook-id"]
        self.tell(f"told {body['type']} {name[-6:]}{' again' if name in self.taken else ''}")
        self.taken.setdefault(name, body)
        return httpx.Response(200, stream=httpx.ByteStream(b""), request=request)


class _Crossings(Crossings):
    """Crossings that tell the world."""

    def __init__(self, world: World, host: Host) -> None:
        super().__init__(host, world.dice, world.troubles, world.crashed, world.told_to_end)
        self._world, self.writers = world, world.writers

    def note_commit(self) -> None:
        if self._world.shop.database.tells_of_access():
            self._world.committed_at = asyncio.get_running_loop().time()
