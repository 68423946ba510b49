"""The HTTP client under the SDK: whom it believes, and how many calls go at once."""

import asyncio
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import stripe
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.stripe_api import sdk
from harness.waiting import eventually


@pytest.fixture
def server():
    """Answers everything with its client's port; `peers` are the connections, `most` how many calls it had at once."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            made.peers.add(self.client_address)
            with made.lock:
                made.now += 1
                made.most = max(made.most, made.now)
            made.gate.wait(10)
            with made.lock:
                made.now -= 1
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    made.peers, made.now, made.most, made.lock, made.gate = set(), 0, 0, threading.Lock(), threading.Event()
    made.gate.set()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


def signed_by_itself(folder) -> ssl.SSLContext:
    """TLS as anybody can have it who is not Stripe."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "api.stripe.com")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    (folder / "certificate").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate", folder / "key")
    return context


async def test_who_only_says_that_it_is_stripe_is_told_nothing(server, tmp_path):
    server.socket = signed_by_itself(tmp_path).wrap_socket(server.socket, server_side=True)
    client = sdk._Http(timeout=5, verify=True)
    with pytest.raises(stripe.APIConnectionError) as raised:
        await client.request_async("get", f"https://127.0.0.1:{server.server_port}/v1/products", {})
    assert "CERTIFICATE_VERIFY_FAILED" in str(raised.value.__cause__)
    await client.close_async()


async def test_calls_one_after_the_other_share_a_connection_and_many_wait_for_a_free_one(server):
    client, url = (
        sdk._Http(timeout=10, verify=False, connections=3),
        f"http://127.0.0.1:{server.server_port}/v1/products",
    )
    for _ in range(3):
        assert (await client.request_async("get", url, {}))[:2] == (b"{}", 200)
    assert len(server.peers) == 1
    server.gate.clear()
    asking = asyncio.gather(*(client.request_async("get", url, {}) for _ in range(10)))
    await asyncio.to_thread(eventually, lambda: server.now, 3)
    server.gate.set()
    await asking
    assert (server.most, len(server.peers)) == (3, 3)
    await client.close_async()


async def test_a_request_under_way_while_the_client_is_closed_leaves_no_connection(server):
    client, url = sdk._Http(timeout=10, verify=False), f"http://127.0.0.1:{server.server_port}/v1/products"
    server.gate.clear()
    under_way = asyncio.create_task(client.request_async("get", url, {}))
    await asyncio.to_thread(eventually, lambda: server.now, 1)
    await client.close_async()
    server.gate.set()
    await under_way
    assert [each.is_closed for each in client._idle] == [True]
