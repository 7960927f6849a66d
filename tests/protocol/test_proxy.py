# SPDX-License-Identifier: LGPL-2.1-or-later
"""Connections from a load balancer: whom a PROXY header makes of them, in IMAP and in LMTP, and who is trusted."""

import socket
import struct

import pytest
from rookery_harness import Server, free_port
from rookery_wire import ImapWire, Wire

V2 = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command, family, data=b""):
    return V2 + bytes([0x20 | command, family]) + struct.pack(">H", len(data)) + data


def v2_tcp4(peer):
    return v2(1, 0x11, socket.inet_aton(peer) + socket.inet_aton("198.51.100.2") + struct.pack(">HH", 5, 143))


# Whoever is behind these is nobody's neighbour, though the balancer itself sits on loopback.
NAMELESS = {
    "v1-unknown": b"PROXY UNKNOWN\r\n",
    "v1-unknown-with-addresses": b"PROXY UNKNOWN 127.0.0.1 127.0.0.1 1 2\r\n",
    "v1-loopback": b"PROXY TCP4 127.0.0.1 127.0.0.1 5 143\r\n",
    "v1-loopback-6": b"PROXY TCP6 ::1 ::1 5 143\r\n",
    "v1-mapped-loopback": b"PROXY TCP6 ::ffff:127.0.0.1 ::1 5 143\r\n",
    "v2-local": v2(0, 0),
    "v2-local-with-addresses": v2(0, 0x11, socket.inet_aton("127.0.0.1") * 2 + b"\0\1\0\2"),
    "v2-unspecified": v2(1, 0),
    "v2-loopback": v2_tcp4("127.0.0.1"),
    "v2-unix": v2(1, 0x31, bytes(216)),
}
NAMED = {"v1": b"PROXY TCP4 192.0.2.1 198.51.100.2 5 143\r\n", "v2": v2_tcp4("192.0.2.1")}


def each(headers):
    return pytest.mark.parametrize("header", list(headers.values()), ids=list(headers))


@pytest.fixture(scope="module")
def server():
    lmtp, imap = free_port(), free_port()
    with Server(config={
            "limits": {"connections-per-address": 2},
            "plugin lmtp": {"trusted-networks": ["unix", "127.0.0.0/8", "::1", "192.0.2.0/24"]},
            "listener behind": {"protocol": "imap", "address": f"127.0.0.1:{imap}", "tls": "starttls",
                                "proxy-from": "127.0.0.0/8"},
            "listener lmtp-behind": {"protocol": "lmtp", "address": f"127.0.0.1:{lmtp}", "proxy-from": "127.0.0.0/8"},
    }) as one:
        one.imap_behind, one.lmtp_behind = imap, lmtp
        yield one


def connect(port, header):
    wire = Wire(port)
    wire.send(header)
    return wire


def until_over(server):
    """The connections of the test before are still counted for a moment."""
    while server.ctl("connection", "list", as_json=True):
        pass


def imap_behind(server, header):
    until_over(server)
    wire = ImapWire(server.imap_behind, greeting=False)
    wire.send(header)
    assert wire.response().startswith(b"* OK")
    return wire


@each(NAMELESS)
def test_nameless_imap_client_may_not_log_in_in_clear(server, header):
    with imap_behind(server, header) as wire:
        assert wire.command("LOGIN alice pass")[1].startswith(b"NO [PRIVACYREQUIRED]")
        row, = server.ctl("connection", "list", as_json=True)
        assert row["address"] == "unknown"
        wire.ok("STARTTLS")  # a client like any other: with TLS it may
        wire.start_tls(server.certificate)
        wire.login()


@each(NAMED)
def test_named_imap_client_is_taken_for_who_it_is(server, header):
    with imap_behind(server, header) as wire:
        assert wire.command("LOGIN alice pass")[1].startswith(b"NO [PRIVACYREQUIRED]")
        row, = server.ctl("connection", "list", as_json=True)
        assert row["address"] == "192.0.2.1"


def lmtp_behind(server, header):
    until_over(server)
    wire = connect(server.lmtp_behind, header)
    wire.expect("220 .*")
    wire.send("LHLO client.example.net")
    while not wire.line().startswith(b"250 "):
        pass
    return wire


@each(NAMELESS)
def test_nameless_lmtp_client_is_not_trusted(server, header):
    with lmtp_behind(server, header) as wire:
        wire.send("MAIL FROM:<sender@example.net>")
        wire.expect("430 4.7.0 Authentication required")


@each(NAMED)
def test_named_lmtp_client_is_trusted_if_its_network_is(server, header):
    with lmtp_behind(server, header) as wire:
        wire.send("MAIL FROM:<sender@example.net>")
        wire.expect("250 .*")


def test_nameless_clients_have_the_limit_of_one_address(server):
    until_over(server)
    first, second = (connect(server.imap_behind, NAMELESS[name]) for name in ("v2-local", "v1-unknown"))
    with first, second:
        first.expect(r"\* OK .*")
        second.expect(r"\* OK .*")
        with connect(server.lmtp_behind, NAMELESS["v1-loopback"]) as third:
            third.expect(b"421 4.7.0 Too many connections")
            third.expect_close()
        with connect(server.lmtp_behind, NAMED["v1"]) as other:
            other.expect("220 .*")


@pytest.mark.parametrize("garbage", [b"a LOGIN alice pass\r\n", b"PROXY TCP5 1 2 3 4\r\n", V2[:11] + b"X", V2 + b"\x21\x11\xff\xff",
                                     b"PROXY TCP4 " + b"1" * 200, b"\x16\x03\x01\x02\0\x01", b"PROXY \0\r\n"])
def test_garbage_for_a_header_is_refused(server, garbage):
    until_over(server)
    with connect(server.imap_behind, garbage) as wire:
        wire.expect(r"\* BYE .*")
        wire.expect_close()
    with connect(server.lmtp_behind, garbage) as wire:
        wire.expect(r"421 .*")
        wire.expect_close()
