"""A proxy that stands in for an HTTPS host, for clients whose address cannot be changed.

It takes ``CONNECT host:443``, ends TLS with a certificate of its own authority, and passes each
request on to the sandbox in the clear. Give a child process the environment that it yields.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import trustme

SECONDS = 30.0
HEAD_ENDS = b"\r\n\r\n"


@contextmanager
def tls_proxy(target: str, host: str, folder: Path) -> Iterator[dict[str, str]]:
    """Serve `target` (a base URL) as ``https://host``; the authority lies in `folder`."""
    authority = trustme.CA()
    bundle = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as door:
        proxy = _Proxy(door, target, host, context, [])
        thread = threading.Thread(target=proxy.serve, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{door.getsockname()[1]}"
        certificate = str(bundle)
        try:
            yield {"HTTPS_PROXY": address, "REQUESTS_CA_BUNDLE": certificate, "NO_PROXY": ""}
        finally:
            with contextlib.suppress(OSError):
                door.shutdown(socket.SHUT_RDWR)
            thread.join(SECONDS)
            for guest in proxy.guests:
                guest.join(SECONDS)


@dataclass
class _Proxy:
    door: socket.socket
    target: str
    host: str
    context: ssl.SSLContext
    guests: list[threading.Thread]

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.door.accept()
            except OSError:
                return
            guest = threading.Thread(target=self._guest, args=(client,), daemon=True)
            self.guests.append(guest)
            guest.start()

    def _guest(self, client: socket.socket) -> None:
        client.settimeout(SECONDS)
        with client, contextlib.suppress(OSError):
            asked = _head(client).split(b" ")[1].decode()
            if asked != f"{self.host}:443":
                client.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
                return
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with self.context.wrap_socket(client, server_side=True) as inside:
                self._pass_on(inside)

    def _pass_on(self, inside: ssl.SSLSocket) -> None:
        lines = _head(inside).decode().split("\r\n")
        target = urlsplit(self.target)
        headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        headers["Connection"] = "close"
        path = target.path + lines[0].split(" ")[1]
        link = http.client.HTTPConnection(target.hostname or "", target.port, timeout=SECONDS)
        with contextlib.closing(link):
            link.request("GET", path, headers=headers)
            answer = link.getresponse()
            body = answer.read()
            told = [f"HTTP/1.1 {answer.status} {answer.reason}", "Connection: close"]
            told += [
                f"{name}: {text}" for name, text in answer.getheaders() if name != "Connection"
            ]
            inside.sendall("\r\n".join([*told, "", ""]).encode() + body)


def _head(link: socket.socket) -> bytes:
    head = b""
    while HEAD_ENDS not in head:
        more = link.recv(4096)
        if not more:
            raise OSError("the client left")
        head += more
    return head


def child_environment(proxy: dict[str, str]) -> dict[str, str]:
    """The environment of a child process that goes through the proxy."""
    lower = {name.lower(): text for name, text in proxy.items() if "PROXY" in name}
    return {**os.environ, **proxy, **lower}
