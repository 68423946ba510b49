"""The offline Stripe: CPU of ordinary calls, the renewal of 1,000 subscriptions, and the time to start.

A test suite that stands on it feels every one of these. The state is in a file, as with `gateway sandbox --state`.
These limits are absolute: a machine that is busy otherwise misses them.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

import httpx
from runner import Server, cpu_seconds, family, free_port, line, measure, median, request, verdict

SUBSCRIPTIONS = 1_000
CALLS = 200
MONTH = 32 * 24 * 3600
KEY = {"Authorization": "Bearer sk_test_bench"}


def sandbox():
    """What uvicorn serves."""
    from gateway.sandbox import SandboxOptions, create_sandbox  # noqa: PLC0415 - only in the server's process

    return create_sandbox(SandboxOptions(path=Path(os.environ["BENCH_STATE"]), allowed_hosts=("bench",)))


def post(path: str, **fields: object) -> bytes:
    """A form as the SDKs send it."""
    headers = {**KEY, "Content-Type": "application/x-www-form-urlencoded", "Stripe-Version": "2026-10-28.endive"}
    return request(path, urlencode(fields).encode(), headers)


def read(path: str) -> bytes:
    return request(path, headers=KEY, method="GET")


def subscription(customer: str, price: str) -> bytes:
    return post("/v1/subscriptions", customer=customer, **{"items[0][price]": price})


def calls(price: str, customers: list[str], subscribed: str) -> dict[str, list[bytes]]:
    """The ordinary calls, each with its requests."""
    item = {"line_items[0][price]": price, "line_items[0][quantity]": 1}
    expanding = "/v1/subscriptions?limit=10&expand[]=data.customer&expand[]=data.latest_invoice"
    return {
        "retrieve a subscription": [read(f"/v1/subscriptions/{subscribed}")] * CALLS,
        "list 10 prices with products": [read("/v1/prices?limit=10&expand[]=data.product")] * CALLS,
        "list 10 subscriptions, expanded": [read(expanding)] * CALLS,
        "search customers": [read("/v1/customers/search?query=email:'7@bench.example'")] * CALLS,
        "create a product": [post("/v1/products", name=f"Tea {number}") for number in range(CALLS)],
        "create a checkout session": [
            post("/v1/checkout/sessions", mode="subscription", success_url="https://shop.example/", **item)
            for _ in range(CALLS)
        ],
        "preview an invoice": [post("/v1/invoices/create_preview", subscription=subscribed)] * CALLS,
        "create and charge a subscription": [subscription(customer, price) for customer in customers[:CALLS]],
    }


def scene(api: httpx.Client) -> tuple[str, list[str]]:
    """A monthly price, and customers with a card that pays."""
    price = api.post(
        "/v1/prices",
        data={
            "currency": "usd",
            "unit_amount": 1200,
            "recurring[interval]": "month",
            "product_data[name]": "Tea",
        },
    ).json()["id"]
    card = {"payment_method": "pm_card_visa", "invoice_settings[default_payment_method]": "pm_card_visa"}
    customers = [
        api.post("/v1/customers", data={"email": f"{number}@bench.example", **card}).json()["id"]
        for number in range(SUBSCRIPTIONS)
    ]
    return price, customers


def memory(server: Server) -> float:
    """Kilobytes that a server has in memory."""
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1000


def renewals(server: Server, api: httpx.Client) -> tuple[float, float]:
    """Seconds and CPU seconds of a jump over one renewal of every subscription."""
    before, started = server.used()[0], time.monotonic()
    api.post("/_sandbox/clock/advance", json={"by": MONTH}, timeout=300).raise_for_status()
    return time.monotonic() - started, server.used()[0] - before


def start(folder: str) -> float:
    """CPU seconds from the command to its first answer."""
    port = free_port()
    command = [sys.executable, "-m", "gateway", "sandbox", "--port", str(port), "--state", f"{folder}/start.db"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/_sandbox/state")
            except httpx.TransportError:
                time.sleep(0.01)
            else:
                return cpu_seconds(family(process.pid))
    finally:
        process.terminate()
        process.wait(10)


def main() -> int:
    """Print the report; 0 when every limit is met."""
    good = True
    with tempfile.TemporaryDirectory() as folder:
        good &= verdict("gateway sandbox, start, CPU s", median([start(folder) for _ in range(5)]), 2)
        server = Server("offline Stripe", "bench_sandbox:sandbox", {"BENCH_STATE": f"{folder}/state.db"}, True)
        with server.running(), httpx.Client(base_url=f"http://127.0.0.1:{server.port}", headers=KEY) as api:
            empty = memory(server)
            price, customers = scene(api)
            requests = [subscription(customer, price) for customer in customers]
            measure(server, requests, connections=4)
            objects = sum(api.get("/_sandbox/state").json()["objects"].values())
            good &= verdict(f"memory of each of {objects:,} objects, KB", (memory(server) - empty) / objects, 4)
            subscribed = api.get("/v1/subscriptions?limit=1").json()["data"][0]["id"]
            for name, each in calls(price, customers, subscribed).items():
                result = measure(server, each, connections=4)
                good &= verdict(f"{name}, CPU ms", result.cpu / 1000, 5)
            seconds, cpu = renewals(server, api)
            paid = api.get("/_sandbox/state").json()["objects"]["invoice"]
            line("renewals", f"{paid - len(requests) - CALLS} bills", f"{cpu:.1f} s CPU")
            good &= verdict(f"{SUBSCRIPTIONS:,} subscriptions renewed, s", seconds, 30)
            nothing = measure(server, [read("/v1/events?type=nothing.there")] * CALLS, connections=4)
            good &= verdict("a filter that finds nothing, CPU ms", nothing.cpu / 1000, 5)
        documents = f"{folder}/start.db"
        Path(documents).write_bytes(Path(f"{folder}/state.db").read_bytes())
        good &= verdict("start from that state, CPU s", median([start(folder) for _ in range(3)]), 2)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
