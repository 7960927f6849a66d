# SPDX-License-Identifier: LGPL-2.1-or-later
"""A disk that is full, which headroom makes of any: what is refused, in which words, what still works, and that it passes."""

import os
import smtplib

import pytest
from rookery_harness import BUILD, SLOW
from rookery_wire import ImapWire

HAS_MAIL = all((BUILD / f"plugins/{name}.la").exists() for name in ("imap", "lmtp", "storage-gdbm"))
pytestmark = pytest.mark.skipif(not HAS_MAIL, reason="built without mail")

TERABYTE = 1 << 40
FULL = b"NO [UNAVAILABLE] No space left on the server"


def deliver(server, user="alice"):
    """What LMTP answers for the recipient."""
    client = smtplib.LMTP()
    client.timeout = 30 * SLOW
    client.connect(str(server.path("lmtp")))
    with client:
        client.ehlo_or_helo_if_needed()
        client.mail("sender@example.net")
        assert client.rcpt(user)[0] == 250
        code, text = client.data("Subject: x\r\n\r\nx\r\n")
        return f"{code} {text.decode()}"


@pytest.fixture
def server(make_server):
    """With three messages, whose disk then has less room than it is to keep."""
    one = make_server({"mailbox": {"pin-limit": "0s"}})
    info = os.statvfs(one.spool)
    if info.f_bavail * info.f_frsize > TERABYTE:
        pytest.skip("more space than headroom can be")
    with ImapWire(one.port("imap")) as wire:
        wire.login()
        wire.ok("CREATE other")
        for number in range(3):
            assert wire.append("INBOX", b"Subject: %d\r\n\r\nx\r\n" % number).startswith(b"OK")
    one.stop()
    one.configure({"mailbox": {"pin-limit": "0s"}, "plugin storage-gdbm": {"headroom": str(TERABYTE)}})
    one.start()
    return one


def test_what_takes_room_is_refused_for_now_and_what_gives_room_is_not(server):
    assert deliver(server) == "452 4.3.1 Insufficient system storage"
    server.wait_log(r"delivery\.done .*result=full")
    with ImapWire(server.port("imap")) as wire:
        wire.login()
        assert wire.append("INBOX", b"Subject: no\r\n\r\nx\r\n").startswith(FULL)
        wire.ok("SELECT INBOX")
        for command in ("COPY 1 other", "MOVE 1 other", "STORE 1 +FLAGS (\\Flagged)", "CREATE another"):
            assert wire.command(command)[-1].startswith(FULL), command
        assert b"x\r\n" in b"".join(wire.ok("FETCH 1 BODY.PEEK[TEXT]"))
        wire.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        wire.ok("EXPUNGE")
        wire.ok("DELETE other")


def test_a_refusal_has_room_made_at_once(server):
    with ImapWire(server.port("imap")) as wire:
        wire.login()
        wire.ok("SELECT INBOX")
        wire.ok("STORE 1:3 +FLAGS.SILENT (\\Deleted)")
        wire.ok("EXPUNGE")
    assert deliver(server).startswith("452 ")
    server.wait_log(r"mailbox\.purged-early .*messages=3")


def test_it_passes(server):
    assert deliver(server).startswith("452 ")
    server.stop()
    server.configure({"plugin storage-gdbm": {"headroom": "64M"}})
    server.start()
    assert deliver(server).startswith("250 ")
    assert "no faults" in server.ctl("store", "verify")
