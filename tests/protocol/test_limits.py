# SPDX-License-Identifier: LGPL-2.1-or-later
"""The limits of [limits] that bind all protocols alike, crossed in IMAP and in LMTP: how many connections, how fast."""

import base64
import select
import time

import pytest

from rookery_harness import SANITIZED, free_port
from rookery_wire import ImapWire, Wire

NOBODY = "192.0.2.0/24"  # in place of loopback, which is exempt by default


@pytest.fixture
def limited(make_server):
    """A server with these [limits] that also speaks LMTP over TCP, at `server.lmtp_port`."""
    def start(**limits):
        port = free_port()
        server = make_server({
            "limits": {key.replace("_", "-"): value for key, value in limits.items()},
            "listener lmtp-tcp": {"protocol": "lmtp", "address": f"127.0.0.1:{port}", "tls": "none"}})
        server.lmtp_port = port
        return server
    return start


def greeted_lmtp(where):
    wire = Wire(where)
    wire.expect("220 .*")
    wire.send("LHLO client.example.net")
    while not wire.line().startswith(b"250 "):
        pass
    return wire


def refused(where, text):
    with Wire(where) as wire:
        wire.expect(text)
        wire.expect_close()


def until_greeted(where, greeting):
    """The place of a connection that has just ended is free soon, not at once."""
    for _ in range(100):
        with Wire(where) as wire:
            if wire.line().startswith(greeting):
                return
        time.sleep(0.05)
    raise AssertionError(f"port {where} has no place for anybody")


def test_connections_of_an_address(limited):
    server = limited(connections_per_address=2, exempt_addresses=NOBODY)
    with ImapWire(server.port("imap")) as first, greeted_lmtp(server.lmtp_port) as second:
        refused(server.port("imap"), b"* BYE [LIMIT] Too many connections from your address")
        refused(server.lmtp_port, b"421 4.7.0 Too many connections")
        with greeted_lmtp(server.path("lmtp")):  # has no address
            pass
        first.login()  # those that are there are left alone
        second.send("NOOP")
        second.expect("250 .*")
    until_greeted(server.port("imap"), b"* OK")
    until_greeted(server.lmtp_port, b"220 ")


def test_connections_of_an_exempt_address(limited):
    server = limited(connections_per_address=1)
    with ImapWire(server.port("imap")), ImapWire(server.port("imap")) as second, greeted_lmtp(server.lmtp_port):
        second.login()


def test_connections_in_all(limited):
    server = limited(connections=2)
    with ImapWire(server.port("imap")) as first, greeted_lmtp(server.path("lmtp")) as second:
        refused(server.port("imap"), b"* BYE [UNAVAILABLE] Too many connections")
        refused(server.lmtp_port, b"421 4.7.0 Too many connections")
        refused(server.path("lmtp"), b"421 4.7.0 Too many connections")
        first.login()
        second.send("NOOP")
        second.expect("250 .*")
    until_greeted(server.port("imap"), b"* OK")
    until_greeted(server.path("lmtp"), b"220 ")


def test_connections_of_a_user(limited):
    server = limited(connections_per_user=1)
    with ImapWire(server.port("imap")) as first, ImapWire(server.port("imap")) as second:
        first.login("alice")
        assert second.command("LOGIN alice pass") == ([], b"NO [LIMIT] Too many connections")
        second.login("bob")  # the connection goes on, and another user has a place
        first.ok("NOOP")
    for _ in range(100):
        with ImapWire(server.port("imap")) as wire:
            if wire.command("LOGIN alice pass")[1].startswith(b"OK"):
                return
        time.sleep(0.05)
    raise AssertionError("alice's place is still taken")


def test_connections_of_a_user_by_lmtp(limited):
    server = limited(connections_per_user=1)
    auth = "AUTH PLAIN " + base64.b64encode(b"\0admin\0pass").decode()
    with greeted_lmtp(server.lmtp_port) as first, greeted_lmtp(server.lmtp_port) as second:
        first.send(auth)
        first.expect("235 .*")
        second.send(auth)
        second.expect(b"454 4.7.0 Too many connections")
        second.send("NOOP")
        second.expect("250 .*")


def in_time(wire, count, answer):
    """How long `count` commands sent at once take to be answered, each as it would be without a limit."""
    start = time.monotonic()
    wire.send(b"x NOOP\r\n" * count if isinstance(wire, ImapWire) else b"NOOP\r\n" * count)
    for _ in range(count):
        wire.expect(answer)
    return time.monotonic() - start


@pytest.mark.parametrize("protocol", ["imap", "lmtp"])
def test_command_rate(limited, protocol):
    """Two seconds' worth is free, what is above it waits: 100 commands at 25 a second take two seconds."""
    server = limited(commands_per_second=25)

    def connect():
        if protocol == "lmtp":
            return greeted_lmtp(server.path("lmtp"))
        wire = ImapWire(server.port("imap"))
        wire.login()
        return wire

    answer = "x OK .*" if protocol == "imap" else "250 .*"
    with connect() as hasty, connect() as other:
        assert in_time(hasty, 100, answer) > 1.5
        assert in_time(other, 10, answer) < 1


def settled(server):
    """Memory in use, once it does not change any more."""
    seen = [server.resident_kib()]
    while len(seen) < 10 or len(set(seen[-10:])) > 1:
        time.sleep(0.05)
        seen.append(server.resident_kib())
    return seen[-1]


def pour(sock, data):
    """Sends what is taken of it without reading anything. Returns how much."""
    sent, stuck = 0, 0
    sock.setblocking(False)
    while sent < len(data) and stuck < 50:
        try:
            sent += sock.send(data[sent:])
            stuck = 0
        except BlockingIOError:
            stuck += 1
            time.sleep(0.02)
    return sent


def finish_pouring(sock, data, expected):
    """Sends the rest and reads so many bytes. Returns the last of them."""
    got, tail = 0, b""
    while got < expected:
        readable, writable, _ = select.select([sock], [sock] if data else [], [], 60)
        assert readable or writable, f"{expected - got} bytes do not come"
        if writable:
            data = data[sock.send(data[:65536]):]
        if readable:
            piece = sock.recv(1 << 20)
            assert piece, f"closed with {expected - got} bytes to come"
            got += len(piece)
            tail = (tail + piece)[-100:]
    assert got == expected
    return tail


@pytest.mark.parametrize("protocol", ["imap", "lmtp"])
def test_answers_that_nobody_reads(limited, protocol):
    """4 MB of questions have 40 MB of answers or more, but cost no more memory than output-buffer and one's input; and all
    of them are there once they are read."""
    server = limited(commands_per_second=0)
    if protocol == "lmtp":
        wire, line = greeted_lmtp(server.path("lmtp")), b"LHLO client.example.net\r\n"
    else:
        wire, line = ImapWire(server.port("imap")), b"x CAPABILITY\r\n"
        wire.login()
    with wire:
        wire.send(line)
        answer = wire.line() + b"\r\n"
        while not answer.splitlines()[-1].startswith((b"x OK", b"250 ")):
            answer += wire.line() + b"\r\n"
        questions = line * ((4 << 20) // len(line))
        before = settled(server)
        sent = pour(wire.socket, questions)
        assert SANITIZED or settled(server) - before < 12 * 1024  # a sanitizer keeps what was freed
        tail = finish_pouring(wire.socket, questions[sent:], len(answer) * (len(questions) // len(line)))
        assert tail.endswith(answer[-100:])
