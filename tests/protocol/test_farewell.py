# SPDX-License-Identifier: LGPL-2.1-or-later
"""How sessions are ended, and what clients are told of it: by the administrator, with their plugin, with the server."""

import pytest

from rookery_harness import Server
from rookery_wire import ImapWire, Wire


@pytest.fixture(scope="module")
def running():
    with Server() as one:
        yield one


def only_id(server, protocol):
    rows = [row for row in server.ctl("connection", "list", as_json=True) if row["protocol"] == protocol]
    assert len(rows) == 1, rows
    return rows[0]["id"]


@pytest.mark.parametrize("idle", [False, True])
def test_imap_connection_that_is_closed_is_told(running, idle):
    with ImapWire(running.port("imaps"), tls=running.certificate) as wire:
        wire.login("alice")
        if idle:
            wire.begin("IDLE")
            wire.expect(r"\+ .*")
        running.ctl("connection", "close", only_id(running, "imap"))
        wire.expect(b"* BYE [UNAVAILABLE] Closed by the administrator")
        wire.socket.suppress_ragged_eofs = False
        assert wire.socket.recv(100) == b""  # else: EOF occurred in violation of protocol
    running.wait_log(r'imap\.closed .*reason="closed by the administrator"')


def test_lmtp_connection_that_is_closed_is_told(running):
    with Wire(running.path("lmtp")) as wire:
        wire.line()
        running.ctl("connection", "close", only_id(running, "lmtp"))
        wire.expect(b"421 4.3.2 Closed by the administrator")
        wire.expect_close()


def test_imap_says_why_it_ends():
    with Server() as server:
        with ImapWire(server.port("imap")) as wire:
            wire.login("alice")
            server.ctl("plugin", "disable", "imap")
            wire.expect(b"* BYE [UNAVAILABLE] This service is being switched off")
            wire.expect_close()
        with Wire(server.path("lmtp")) as wire:
            wire.line()
            server.ctl("plugin", "disable", "lmtp")
            wire.expect(b"421 4.3.2 This service is being switched off")
        server.ctl("reload")
        with ImapWire(server.port("imap")) as wire, Wire(server.path("lmtp")) as other:
            wire.login("alice")
            other.line()
            server.stop()
            wire.expect(b"* BYE [UNAVAILABLE] Server is going down")
            other.expect(b"421 4.3.2 Server is going down")
