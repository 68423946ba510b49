"""Reverse proxies in front of a server, as their manuals set them up: the distribution's own nginx and HAProxy."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from harness.waiting import eventually, free_port

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  upstream gateway {{ server 127.0.0.1:{target}; keepalive 4; }}
  server {{
    listen 127.0.0.1:{port};
    client_max_body_size 8m;
    location / {{
      proxy_pass http://gateway;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_request_buffering {buffering};
    }}
  }}
}}
"""
HAPROXY = """
global
  maxconn 512
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  timeout tunnel 60s
  option forwardfor
  http-reuse always
frontend public
  bind 127.0.0.1:{port}
  default_backend gateway
backend gateway
  server gateway 127.0.0.1:{target} pool-max-conn 4
"""
FRONTS = {
    "nginx": ("nginx", NGINX, {"buffering": "on"}),
    "nginx that streams": ("nginx", NGINX, {"buffering": "off"}),
    "HAProxy": ("haproxy", HAPROXY, {}),
}


@contextlib.contextmanager
def front_of(name: str, target: int) -> Iterator[int]:
    """Run a reverse proxy in front of a local port; the port where it listens.

    Args:
        name: one of `FRONTS`.
        target: the server's port.
    """
    program, template, options = FRONTS[name]
    with _running(program, partial(template.format, target=target, **options)) as port:
        yield port


@contextlib.contextmanager
def nginx_with(directives: str, **upstreams: int) -> Iterator[int]:
    """Run nginx with what stands in its server, and upstreams by names and ports; the port where it listens."""
    named = "".join(f"upstream {name} {{{{ server 127.0.0.1:{port}; }}}}\n" for name, port in upstreams.items())
    within = directives.replace("{", "{{").replace("}", "}}")
    head, _, _ = NGINX.partition("  map $http")
    text = f"{head}{named}server {{{{ listen 127.0.0.1:{{port}};\n{within}\n}}}} }}}}"
    with _running("nginx", text.format) as port:
        yield port


@contextlib.contextmanager
def _running(program: str, configured: Callable[..., str]) -> Iterator[int]:
    path = installed(program)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="gateway-front-") as folder:
        Path(folder).chmod(0o755)
        configuration = Path(folder) / "front.conf"
        configuration.write_text(configured(folder=folder, port=port))
        flag = "-c" if program == "nginx" else "-f"
        process = subprocess.Popen([path, flag, str(configuration)], stderr=subprocess.PIPE, start_new_session=True)
        try:
            wait_for(port, process)
            yield port
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.communicate(timeout=10)


def installed(program: str) -> str:
    """Return where a program of the distribution's is; without it a test is skipped, and in CI it fails."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path is None:
        missing = f"{program} is not installed: .ci/packages installs it, or your system's package"
        if "CI" in os.environ:
            pytest.fail(missing)
        pytest.skip(missing)
    return path


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a process listens on a port."""

    def listens() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"the proxy did not start: {process.communicate()[1].decode()}")
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
        return False

    eventually(listens)
