# SPDX-License-Identifier: LGPL-2.1-or-later
"""Crowds of clients that mean no good: whoever behaves is served meanwhile, and afterwards nothing is left of them."""

import random
import re
import resource
import socket
import ssl
import struct
import time

import pytest
from rookery_harness import BUILD, SANITIZED, SLOW, free_port
from rookery_wire import ImapWire, Wire

pytestmark = pytest.mark.skipif(
    not all((BUILD / f"plugins/{name}.la").exists() for name in ("imap", "lmtp", "storage-gdbm")), reason="built without mail")
CROWD = 60 if SANITIZED else 300
LIMITS = {"limits": {"login-timeout": "1h", "connections-per-address": 0}}
V2 = b"\r\n\r\n\0\r\nQUIT\n"


@pytest.fixture(scope="module", autouse=True)
def descriptors():
    """Of this process, for the crowds."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[1], 8192), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def target(make_server):
    lmtp, behind = free_port(), free_port()
    server = make_server({
        **LIMITS,
        "listener lmtp-tcp": {"protocol": "lmtp", "address": f"127.0.0.1:{lmtp}", "tls": "starttls"},
        "listener behind": {"protocol": "imap", "address": f"127.0.0.1:{behind}", "proxy-from": "127.0.0.0/8"}})
    server.ports.update({"lmtp-tcp": lmtp, "behind": behind})
    return server


def client_hello(server_name="localhost"):
    """The first flight of a TLS client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    side = context.wrap_bio(incoming, outgoing, server_hostname=server_name)
    with pytest.raises(ssl.SSLWantReadError):
        side.do_handshake()
    return outgoing.read()


class Crowd:
    """Connections that are opened together, and closed together."""

    def __init__(self, server, listener, count=CROWD):
        self.where = ("127.0.0.1", server.port(listener))
        self.count, self.sockets = count, []

    def __enter__(self):
        for _ in range(self.count):
            one = socket.create_connection(self.where, timeout=60 * SLOW)
            self.sockets.append(one)
        return self

    def __exit__(self, *ignored):
        for one in self.sockets:
            one.close()

    def each(self, act):
        """What each does; that it is cut off is one of the answers."""
        for number, one in enumerate(self.sockets):
            try:
                act(one, number)
            except OSError:
                pass

    def send(self, data):
        self.each(lambda one, number: one.sendall(data))


class Behaved:
    """Somebody with mail to read, and an MTA with mail to bring, who were there before."""

    def __init__(self, server):
        self.server, self.mails = server, 0
        self.reader = ImapWire(server.port("imap")).login()
        self.deliver()  # which makes the mailbox
        self.reader.ok("SELECT INBOX")

    def deliver(self):
        self.mails += 1
        self.server.deliver(f"Subject: {self.mails}\nMessage-ID: <{self.mails}@x>\n\nbody\n", "alice")

    def check(self):
        """Both are served as ever, and so is somebody who comes now."""
        self.deliver()
        untagged = self.reader.ok("NOOP")
        assert b"* %d EXISTS" % self.mails in untagged
        assert len(self.reader.ok("FETCH 1:* (FLAGS BODY.PEEK[])")) == self.mails
        with ImapWire(self.server.port("imaps"), tls=self.server.certificate) as wire:
            wire.login("bob")


def until_alone(server, descriptors):
    """Until the crowd has gone from the server too."""
    deadline = time.monotonic() + 60 * SLOW
    while time.monotonic() < deadline:
        if len(server.ctl("connection", "list", as_json=True)) == 1 and server.open_descriptors() <= descriptors + 8:
            return
        time.sleep(0.05)
    raise AssertionError(f"{server.open_descriptors()} descriptors, {descriptors} before; "
                         f"{server.ctl('connection', 'list')}")


def hello_half_way(crowd):
    hello = client_hello()
    crowd.each(lambda one, number: one.sendall(hello[:1 + number % (len(hello) - 1)]))


def hello_then_silence(crowd):
    crowd.send(client_hello())


def hello_then_half_close(crowd):
    hello = client_hello()

    def act(one, number):
        one.sendall(hello[:len(hello) // (1 + number % 3)])
        one.shutdown(socket.SHUT_WR)
    crowd.each(act)


def hello_then_garbage(crowd):
    hello, rng = client_hello(), random.Random(5)
    crowd.each(lambda one, number: one.sendall(hello + rng.randbytes(2000)))


def garbage(crowd):
    rng = random.Random(7)
    crowd.each(lambda one, number: one.sendall(rng.randbytes(1 + number * 20)))


def endless_line(crowd):
    def act(one, number):
        one.settimeout(0.2)
        one.sendall(b"x" * 300000)
    crowd.each(act)


def endless_literal(crowd):
    def act(one, number):
        one.settimeout(0.2)
        one.sendall(b"a LOGIN {%d+}\r\n" % (10 ** (1 + number % 12)) + b"x" * 200000)
    crowd.each(act)


def half_close(crowd):
    def act(one, number):
        one.sendall((b"a CAPABILITY\r\n", b"a LOGIN alice", b"a LOGIN {5}\r\n", b"")[number % 4])
        one.shutdown(socket.SHUT_WR)
    crowd.each(act)


def reset(crowd):
    def act(one, number):
        one.sendall((b"a CAPABILITY\r\n", b"a LOGIN alice pass\r\n", b"a STARTTLS\r\n", b"a AUTHENTICATE PLAIN\r\n")[number % 4])
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()
    crowd.each(act)


def slow_reader(crowd):
    """Asks for more than the buffers hold and reads none of it."""
    def act(one, number):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.setblocking(False)
        one.sendall(b"a CAPABILITY\r\n" * 4000)
    crowd.each(act)


def starttls_injection(crowd):
    hello = client_hello()
    crowd.send(b"a STARTTLS\r\nb LOGIN alice pass\r\n" + hello)


def starttls_half_way(crowd):
    hello = client_hello()

    def act(one, number):
        one.sendall(b"a STARTTLS\r\n")
        while b"a OK" not in one.recv(4096):
            pass
        one.sendall(hello[:1 + number % (len(hello) - 1)])
    crowd.each(act)


def broken_headers(crowd):
    headers = (b"PROXY TCP4 1.2.3.4", b"PROXY TCP4 " + b"9" * 90, V2, V2 + b"\x21\x11\x0f\xff" + b"x" * 100, V2[:5], b"\0" * 300,
               V2 + b"\x21\x31\0\x01\0", b"PROXY UNKNOWN\r\n" * 1000, b"PROXY")
    crowd.each(lambda one, number: one.sendall(headers[number % len(headers)]))


def lmtp_nonsense(crowd):
    lines = (b"LHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<alice>\r\nDATA\r\n" + b"x" * 50000,
             b"LHLO x\r\nSTARTTLS\r\nNOOP\r\n" + b"\x16\x03",
             b"LHLO x\r\nMAIL FROM:<" + b"a" * 20000, b"DATA\r\n" * 5000, b"LHLO x\r\nBDAT 99999999999999999999\r\n" + b"y" * 5000)
    crowd.each(lambda one, number: one.sendall(lines[number % len(lines)]))


ACTS = [(hello_half_way, "imaps"), (hello_then_silence, "imaps"), (hello_then_half_close, "imaps"), (hello_then_garbage, "imaps"),
        (garbage, "imaps"), (garbage, "imap"), (garbage, "lmtp-tcp"), (endless_line, "imap"), (endless_line, "imaps"),
        (endless_line, "behind"), (endless_literal, "imap"), (half_close, "imap"), (half_close, "lmtp-tcp"), (reset, "imap"),
        (reset, "imaps"), (slow_reader, "imap"), (starttls_injection, "imap"), (starttls_half_way, "imap"),
        (broken_headers, "behind"), (lmtp_nonsense, "lmtp-tcp")]


@pytest.mark.parametrize("act,listener", ACTS, ids=[f"{act.__name__}-{listener}" for act, listener in ACTS])
def test_crowd_disturbs_nobody_and_leaves_nothing(target, act, listener):
    behaved = Behaved(target)
    behaved.check()
    descriptors = target.open_descriptors()
    with Crowd(target, listener) as crowd:
        act(crowd)
        behaved.check()
        if not SANITIZED:
            assert target.resident_kib() < 400 * 1024
    behaved.check()
    until_alone(target, descriptors)


def test_injected_command_is_not_carried_out_under_tls(target):
    with Wire(target.port("imap")) as wire:
        wire.expect(r"\* OK .*")
        wire.send(b"a STARTTLS\r\nb CAPABILITY\r\n")
        wire.expect("a OK .*")
        wire.start_tls(target.certificate)
        wire.send("c NOOP")
        wire.expect("c OK .*")  # and no answer to b


def test_pipelined_commands_of_a_client_that_half_closes_are_answered(target):
    """As `printf ... | nc` does."""
    target.deliver("Subject: one\n\n" + "x" * 70 + "\n" * 20000, "alice")
    with Wire(target.port("imap")) as wire:
        wire.expect(r"\* OK .*")
        wire.send(b"a LOGIN alice pass\r\nb SELECT INBOX\r\nc FETCH 1 BODY.PEEK[]\r\nd LOGOUT\r\n")
        wire.socket.shutdown(socket.SHUT_WR)
        whole = b""
        while data := wire.socket.recv(65536):
            whole += data
        for tag in (b"a OK", b"b OK", b"c OK", b"d OK"):
            assert re.search(rb"^" + tag, whole, re.M), whole[:500]


@pytest.mark.skipif(SANITIZED, reason="too many for a sanitizer")
def test_thousands_who_come_and_go(target):
    behaved = Behaved(target)
    behaved.check()
    descriptors = target.open_descriptors()
    hello = client_hello()
    for listener, data in (("imap", b"a LOGIN alice"), ("imaps", hello), ("behind", b"PROXY"), ("lmtp-tcp", b"LHLO x\r\nDATA")):
        with Crowd(target, listener, 1500) as crowd:
            crowd.send(data)
            behaved.check()
    until_alone(target, descriptors)
    behaved.check()
