"""Posting to an address that somebody typed in: never into our own network, and never for long.

The name is looked up once, all addresses it has are judged, and the connection goes to one of these: a name that means
something else a moment later leads nowhere. Redirects are not followed. A clock ends whatever takes longer, however
slowly the other side speaks.
"""

import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

TIMEOUT = 10.0  # seconds, for all of it but the looking up
MOST_READ = 64 * 1024
PORTS = {"http": 80, "https": 443}
TRANSLATED = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))  # IPv4 behind a gateway: who knows which


class NotSent(Exception):
    """Nothing came back that is an answer. The message says why."""


@dataclass(frozen=True)
class Answer:
    status: int
    text: str


def address_problem(url: str) -> str:
    """What is wrong with an address, as a code: `ascii`, `scheme`, `host`, `user`. Empty where nothing is."""
    if not re.fullmatch("[!-~]+", url):
        return "ascii"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "host"
    if parts.scheme not in PORTS:
        return "scheme"
    if not parts.hostname or port == 0:
        return "host"
    return "user" if "@" in parts.netloc else ""


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is somebody's on the internet. An IPv6 address that carries an IPv4 one in it is not."""
    if isinstance(address, IPv6Address) and (
        address.ipv4_mapped or address.sixtofour or address.teredo or any(address in network for network in TRANSLATED)
    ):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def post(url: str, body: bytes, headers: Mapping[str, str], *, private: bool) -> Answer:
    """Send it. With `private`, addresses of our own network are allowed too. Raises NotSent."""
    if problem := address_problem(url):
        raise NotSent(f"This address cannot be posted to ({problem}).")
    parts = urlsplit(url)
    port = parts.port or PORTS[parts.scheme]
    addresses = _judged(str(parts.hostname), port, private=private)
    deadline = time.monotonic() + TIMEOUT
    with _ended_at(deadline) as (hold, is_over):
        try:
            sock = hold(_connected(addresses, port, deadline))
            if parts.scheme == "https":
                context = ssl.create_default_context()
                tls = context.wrap_socket(sock, server_hostname=parts.hostname, do_handshake_on_connect=False)
                hold(tls).do_handshake()
                sock = tls
            answer = _exchange(sock, parts, body, headers)
        except (OSError, HTTPException) as error:
            late = is_over() or isinstance(error, TimeoutError)
            why = f"No answer within {TIMEOUT:g} seconds." if late else f"{type(error).__name__}: {error}"
            raise NotSent(why) from error
        if is_over():
            raise NotSent(f"The answer took longer than {TIMEOUT:g} seconds.")
        return answer


def _judged(host: str, port: int, *, private: bool) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotSent(f"The name {host} cannot be looked up: {error}") from error
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    if not private and not all(is_public(ip_address(one)) for one in addresses):
        raise NotSent(f"{host} lies in a private network, or is this machine itself. Nothing was sent.")
    return addresses


def _connected(addresses: list[str], port: int, deadline: float) -> socket.socket:
    """Connected to the first that takes it."""
    failed: OSError = TimeoutError()
    for address in addresses:
        if (left := deadline - time.monotonic()) <= 0:
            break
        try:
            return socket.create_connection((address, port), timeout=left)
        except OSError as error:
            failed = error
    raise failed


def _exchange(sock: socket.socket, parts: SplitResult, body: bytes, headers: Mapping[str, str]) -> Answer:
    connection = HTTPConnection(str(parts.hostname))
    connection.sock = sock  # so it connects to nothing by itself
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.request("POST", target, body, {"Host": parts.netloc, "Accept-Encoding": "identity", **headers})
    response = connection.getresponse()
    return Answer(response.status, response.read(MOST_READ).decode("utf-8", "replace"))


@contextmanager
def _ended_at(deadline: float) -> Iterator:
    """Gives `hold(socket)`, which has the socket shut down at that time and closed at the end, and `is_over()`."""
    held: list[socket.socket] = []
    over = threading.Event()

    def hold(sock: socket.socket) -> socket.socket:
        held.append(sock)
        if over.is_set():
            raise TimeoutError
        return sock

    def end() -> None:
        over.set()
        for sock in held:
            with suppress(OSError):  # of TLS too this closes the connection beneath, whatever is going on in it
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    clock = threading.Timer(max(0.0, deadline - time.monotonic()), end)
    clock.daemon = True
    clock.start()
    try:
        yield hold, over.is_set
    finally:
        clock.cancel()
        for sock in held:
            sock.close()
