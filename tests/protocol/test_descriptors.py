# SPDX-License-Identifier: LGPL-2.1-or-later
"""More connections than descriptors: newcomers are turned away, and whoever is there is served as ever."""

import contextlib
import re

import pytest
from rookery_harness import BUILD, free_port
from rookery_wire import ImapWire, Wire

FILES = 400
MESSAGE = b"Subject: in the storm\r\nMessage-ID: <%d@test>\r\n\r\nbody %s\r\n"

pytestmark = pytest.mark.skipif(not (BUILD / "plugins/storage-gdbm.la").exists(), reason="built without a store")


@pytest.fixture
def small(make_server):
    """A server with few descriptors that also speaks LMTP by TCP."""
    port = free_port()
    server = make_server({"server": {"max-open-files": FILES}, "limits": {"login-timeout": "1h"},
                          "listener lmtp-tcp": {"protocol": "lmtp", "address": f"127.0.0.1:{port}"}})
    server.ports["lmtp-tcp"] = port
    return server


def lmtp_session(server):
    wire = Wire(server.path("lmtp"))
    wire.expect("220 .*")
    wire.send("LHLO client.example.net")
    while not wire.line().startswith(b"250 "):
        pass
    return wire


def deliver(wire, message, user):
    for line, code in (("MAIL FROM:<sender@example.net>", "250 .*"), (f"RCPT TO:<{user}>", "250 .*"), ("DATA", "354 .*")):
        wire.send(line)
        wire.expect(code)
    wire.send(message + b".\r\n")
    wire.expect("250 .*")


def storm(server, stack):
    """Comes with as many connections as there is room for, until one is turned away. Returns how many there were."""
    for count in range(FILES):
        wire = stack.enter_context(Wire(server.port("imap")))
        line = wire.line()
        if not line.startswith(b"* OK"):
            assert line == b"* BYE [UNAVAILABLE] Too many connections"
            wire.expect_close()
            return count
    raise AssertionError("nobody was turned away")


def test_storm_of_connections_leaves_the_store_its_descriptors(small):
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(ImapWire(small.port("imap"))).login(user) for user in ("alice", "bob")]
        mta = stack.enter_context(lmtp_session(small))
        deliver(mta, MESSAGE % (0, b"small"), "alice")
        with contextlib.ExitStack() as crowd:
            assert storm(small, crowd) > 50
            for where, text in ((small.port("lmtp-tcp"), b"421 4.7.0 Too many connections"),
                                (small.path("lmtp"), b"421 4.7.0 Too many connections")):
                with Wire(where) as wire:
                    wire.expect(text)
                    wire.expect_close()
            # Everything that opens a file, or may: a first mailbox of a user, big bodies, copies.
            for number in range(1, 21):
                body = b"x" * 70 + b"\r\n"
                deliver(mta, MESSAGE % (number, body * (40000 if number % 10 == 0 else 1)), "alice")
                deliver(mta, MESSAGE % (number, body), "bob")
            for wire in sessions:
                wire.ok("SELECT INBOX")
                untagged = wire.ok("FETCH 1:* (UID BODY.PEEK[])")
                assert len(untagged) == (21 if wire is sessions[0] else 20)
                wire.ok("CREATE Storm")
                wire.ok("MOVE 1:10 Storm")
                wire.ok("STORE 1:* +FLAGS (\\Deleted)")
                assert wire.append("Storm", MESSAGE % (99, b"appended")).startswith(b"OK")
                wire.ok("SELECT Storm")
                assert len(wire.ok("FETCH 1:* FLAGS")) == 11
            small.ctl("status")
            assert small.open_descriptors() < FILES - 5
        for _ in range(500):  # the places of those who left are free soon
            with Wire(small.port("imap")) as wire:
                if wire.line().startswith(b"* OK"):
                    break
        else:
            raise AssertionError("nobody gets in after the storm")
        deliver(stack.enter_context(lmtp_session(small)), MESSAGE % (100, b"after"), "carol")
    log = small.log(tail=10**8)
    assert re.search(r"net\.no-descriptors", log)
    assert not re.search(r"store\.(failed|damaged)|Too many open files", log)


def test_start_says_that_limits_and_descriptors_do_not_fit(make_server):
    server = make_server({"server": {"max-open-files": FILES}})
    found = server.wait_log(r"net\.few-descriptors.*limits/connections is 20000.*server/max-open-files.*Allow (\d+)")
    assert int(found.group(1)) > 20000
    server.reload({"server": {"max-open-files": FILES}, "log": {"level": "debug"}})
    assert len(re.findall(r"net\.few-descriptors", server.log())) == 1  # nothing new to say
    server.reload({"server": {"max-open-files": FILES}, "limits": {"connections": 100}})
    assert len(re.findall(r"net\.few-descriptors", server.log())) == 1  # that fits


def test_start_says_nothing_where_they_fit(make_server):
    server = make_server({"server": {"max-open-files": FILES}, "limits": {"connections": 100}})
    server.ctl("status")
    assert "net.few-descriptors" not in server.log()
