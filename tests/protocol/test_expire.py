# SPDX-License-Identifier: LGPL-2.1-or-later
"""The job `expire`: bodies of messages that were expunged long enough ago are given back, and nothing else."""

import pytest

from rookery_harness import Server
from rookery_wire import ImapWire

BODY = b"Subject: kept\r\n\r\n" + b"0123456789abcdef\r\n" * 3000
GONE = b"Subject: gone\r\n\r\n" + b"fedcba9876543210\r\n" * 3000


@pytest.fixture
def server():
    one = Server()
    with one:
        yield one


def live_bytes(server):
    return next(row for row in server.ctl("store", "list", as_json=True) if row["name"] == "default")["segment-bytes-live"]


def expire(server):
    """What the job says that it did."""
    server.ctl("job", "run", "expire")
    return str(next(row for row in server.ctl("job", "list", as_json=True) if row["name"] == "expire"))


def fill(wire, mailbox, count, body):
    for _ in range(count):
        assert wire.append(mailbox, body).startswith(b"OK")


def expunge(wire, mailbox, messages):
    wire.ok(f"SELECT {mailbox}")
    wire.ok(f"STORE {messages} +FLAGS.SILENT (\\Deleted)")
    wire.ok("EXPUNGE")
    wire.ok("UNSELECT")


def at_once(server, pin="1h"):
    server.reload({"mailbox": {"keep-expunged": "0s", "pin-limit": pin}})


def test_what_was_expunged_lately_is_kept(server):
    with ImapWire(server.port("imap")) as wire:
        wire.login()
        fill(wire, "INBOX", 5, GONE)
        before = live_bytes(server)
        expunge(wire, "INBOX", "1:*")
        assert "0 messages purged in 0 mailboxes" in expire(server)
        assert live_bytes(server) == before


def test_bodies_are_given_back_and_the_rest_is_left_alone(server):
    with ImapWire(server.port("imap")) as wire:
        wire.login()
        wire.ok("CREATE other")
        fill(wire, "INBOX", 3, BODY)
        fill(wire, "INBOX", 300, GONE)  # several pages, several slices
        fill(wire, "other", 2, GONE)
        wire.ok("CREATE untouched")
        fill(wire, "untouched", 2, BODY)
        expunge(wire, "INBOX", "4:*")
        expunge(wire, "other", "1")
        before = live_bytes(server)
        at_once(server)
        assert "301 messages purged in 2 mailboxes" in expire(server)
        assert live_bytes(server) < before - len(GONE)
        assert "0 messages purged in 0 mailboxes" in expire(server)
        server.ctl("store", "verify")
    server.restart()
    with ImapWire(server.port("imap")) as wire:
        wire.login()
        assert b"* 3 EXISTS" in wire.ok("SELECT INBOX")
        assert wire.append("INBOX", BODY).startswith(b"OK [APPENDUID")
        for line in wire.ok("FETCH 1:* BODY.PEEK[]"):
            assert b" EXISTS" in line or b" RECENT" in line or BODY in line
        assert b"* 1 EXISTS" in wire.ok("SELECT other")
        assert GONE in wire.ok("FETCH 1 BODY.PEEK[]")[0]
        expunge(wire, "INBOX", "1")
        assert "1 messages purged in 1 mailboxes" in expire(server)


def test_session_that_was_not_told_yet_can_fetch_for_a_while(server):
    with ImapWire(server.port("imap")) as wire, ImapWire(server.port("imap")) as other:
        wire.login()
        other.login()
        fill(wire, "INBOX", 3, GONE)
        other.ok("SELECT INBOX")
        expunge(wire, "INBOX", "1:2")
        at_once(server)
        assert "0 messages purged" in expire(server)
        assert sum(GONE in line for line in other.ok("FETCH 1:3 BODY.PEEK[]")) == 3
        at_once(server, pin="0s")
        assert "2 messages purged" in expire(server)
        _, tagged = other.command("FETCH 1:3 BODY.PEEK[]")
        assert tagged.startswith(b"NO [EXPUNGEISSUED]")
        assert any(line.endswith(b"EXPUNGE") for line in other.ok("NOOP"))
        assert GONE in other.ok("FETCH 1 BODY.PEEK[]")[0]


def test_copies_share_a_body_that_outlives_the_first_of_them(server):
    with ImapWire(server.port("imap")) as wire:
        wire.login()
        wire.ok("CREATE other")
        fill(wire, "INBOX", 1, GONE)
        wire.ok("SELECT INBOX")
        wire.ok("COPY 1 other")
        expunge(wire, "INBOX", "1")
        at_once(server)
        assert "1 messages purged" in expire(server)
        server.ctl("store", "compact")
        wire.ok("SELECT other")
        assert GONE in wire.ok("FETCH 1 BODY.PEEK[]")[0]


def test_mail_goes_on_while_it_is_purged_and_the_server_may_stop(server):
    with ImapWire(server.port("imap")) as wire:
        wire.login()
        at_once(server)
        for _ in range(3):
            fill(wire, "INBOX", 70, b"Subject: x\r\n\r\nx\r\n")
            tag = wire.begin("SELECT INBOX")
            wire.finish(tag)
            expunge(wire, "INBOX", "1:*")
            server.ctl("job", "run", "expire")
        assert b"* 0 EXISTS" in wire.ok("SELECT INBOX")
    server.kill()
    server.start()
    server.ctl("store", "verify")
