# SPDX-License-Identifier: LGPL-2.1-or-later
"""The example plugin: its protocol, its verb, its metric."""

import pytest
from rookery_harness import BUILD, free_port
from rookery_wire import Wire


@pytest.fixture(scope="module")
def notify_port():
    return free_port()


@pytest.fixture(scope="module")
def server(notify_port):
    from rookery_harness import Server

    config = {"plugin example": {}, "listener notify": {"protocol": "notify", "address": f"127.0.0.1:{notify_port}"}}
    with Server(config=config) as running:
        yield running


@pytest.fixture
def wire(server, notify_port):
    with Wire(notify_port) as connection:
        connection.expect(r"\+OK \S+ notify")
        yield connection


def test_commands_are_answered_in_order(wire):
    wire.send(b"PING\r\nwatch\r\nWATCH\r\nUNWATCH\r\nunwatch\r\nNONSENSE\r\nQUIT\r\n")
    for answer in (b"+OK", b"+OK", b"+OK", b"+OK", b"+OK", b"-ERR no such command", b"+OK"):
        wire.expect(answer)
    wire.expect_close()


def test_long_line_and_nul_are_refused(wire):
    wire.send(b"X" * 100000 + b"\r\n")
    wire.expect(b"-ERR no such line")
    wire.send(b"PI\0NG\r\n")
    wire.expect(b"-ERR no such line")


def test_watchers_are_counted(server, wire):
    before = server.ctl("notify", "status", as_json=True)["watchers"]
    wire.send("WATCH")
    wire.expect(b"+OK")
    assert server.ctl("notify", "status", as_json=True)["watchers"] == before + 1
    wire.send("UNWATCH")
    wire.expect(b"+OK")
    assert server.ctl("notify", "status", as_json=True)["watchers"] == before


@pytest.mark.skipif(not (BUILD / "plugins/lmtp.la").exists(), reason="built without LMTP")
def test_new_message_is_told(server, wire):
    wire.send("WATCH")
    wire.expect(b"+OK")
    before = server.ctl("notify", "status", as_json=True)["messages"]
    server.deliver("Subject: one\n\nHello\n", "alice", "bob")
    told = sorted(wire.line() for _ in range(2))
    assert [line.rsplit(b" ", 1)[0] for line in told] == [b"* MessageNew user/alice", b"* MessageNew user/bob"]
    assert server.ctl("notify", "status", as_json=True)["messages"] == before + 2
