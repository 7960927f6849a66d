# SPDX-License-Identifier: LGPL-2.1-or-later
"""LMTP sessions: commands, replies, limits."""

import base64
import configparser
import re
import time

import pytest

from rookery_harness import SOURCE, Server, free_port
from rookery_wire import ImapWire, Wire

MESSAGE = b"Subject: hello\r\nMessage-ID: <%d@test>\r\n\r\nbody\r\n"


@pytest.fixture(scope="module")
def server():
    with Server(config={"mailbox": {"autocreate": "delivery"}, "plugin lmtp": {
            "message-limit": "100K", "line-limit": "1K", "recipient-limit": 100, "bad-command-limit": 5}}) as one:
        yield one


def reply(wire):
    """A whole reply: its lines."""
    lines = [wire.line().decode()]
    while lines[-1][3:4] == "-":
        lines.append(wire.line().decode())
    return lines


def say(wire, line, code):
    wire.send(line)
    lines = reply(wire)
    assert lines[-1].startswith(code), f"{line!r}: {lines}"
    return lines


@pytest.fixture
def peer(lmtp):
    """A connection after LHLO."""
    wire = lmtp()
    assert reply(wire)[0].startswith("220 ")
    say(wire, "LHLO client.example.net", "250 ")
    return wire


def begin(wire, *recipients):
    say(wire, "MAIL FROM:<sender@example.net>", "250 2.1.0")
    for recipient in recipients:
        say(wire, f"RCPT TO:<{recipient}>", "250 2.1.5")


def rcpt_code(server, address):
    with Wire(server.path("lmtp")) as wire:
        reply(wire)
        say(wire, "LHLO x", "250 ")
        say(wire, "MAIL FROM:<>", "250 ")
        wire.send(f"RCPT TO:<{address}>")
        return reply(wire)[-1][:9]


def test_any_domain_is_taken_unless_told(server):
    assert rcpt_code(server, "alice@anything.example") == "250 2.1.5"


def test_local_domains():
    """Whoever sends for a domain that is not ours finds out."""
    config = {"auth": {"realms": ["two.example"]}, "mailbox": {"autocreate": "login"},
              "delivery": {"local-domains": ["Mail.Example.NET", "example.com"]}}
    with Server(config=config, users=("alice", "bob")) as server:
        server.ctl("user", "add", "carol", stdin="x\n")
        server.ctl("user", "add", "carol@two.example", stdin="x\n")
        server.ctl("user", "add", "dora", stdin="x\n")
        for domain in ("mail.example.net", "EXAMPLE.com", "example.org"):
            assert rcpt_code(server, f"dora@{domain}") == "250 2.1.5", domain
        assert rcpt_code(server, "dora") == "250 2.1.5"
        assert rcpt_code(server, "dora@elsewhere.example") == "550 5.1.1"
        assert rcpt_code(server, "carol@two.example") == "250 2.1.5"
        assert rcpt_code(server, "dora@two.example") == "550 5.1.1"
        server.deliver("Subject: theirs\n\nx\n", "carol@two.example")
        with ImapWire(server.port("imap")) as wire:
            wire.login("carol", "x")
            assert b"* 0 EXISTS" in wire.ok("SELECT INBOX")


def test_virtual_domains_are_part_of_the_name():
    """The user of that name in another domain is somebody else, who has no claim to the mail."""
    config = {"auth": {"virtual-domains": True}, "mailbox": {"autocreate": "login"}}
    with Server(config=config) as server:
        server.ctl("user", "add", "dora", stdin="x\n")
        server.ctl("user", "add", "dora@a.example", stdin="x\n")
        assert rcpt_code(server, "dora@b.example") == "550 5.1.1"
        server.deliver("Subject: at a\n\nx\n", "dora@A.example")
        for name, count in (("dora", 0), ("dora@a.example", 1)):
            with ImapWire(server.port("imap")) as wire:
                wire.login(name, "x")
                assert b"* %d EXISTS" % count in wire.ok("SELECT INBOX")


def test_lhlo_lists_extensions(lmtp):
    wire = lmtp()
    reply(wire)
    lines = [line[4:] for line in say(wire, "LHLO x", "250 ")]
    assert {"8BITMIME", "ENHANCEDSTATUSCODES", "PIPELINING", "SIZE 102400", "IGNOREQUOTA"} <= set(lines)


def test_a_whole_session(peer, imap):
    begin(peer, "alice")
    say(peer, "DATA", "354 ")
    peer.send(b"Subject: one\r\n\r\n..dots\r\n.\r\n")
    assert reply(peer)[0].startswith("250 2.1.5")
    say(peer, "QUIT", "221 2.0.0")
    peer.expect_close()
    wire = imap("alice")
    wire.ok("SELECT INBOX")
    fetched = wire.ok("FETCH * BODY.PEEK[]")[0].split(b"\r\n", 1)[1]
    assert fetched.startswith(b"Return-Path: <sender@example.net>\r\nReceived: from client.example.net ([unix])\r\n\tby ")
    assert b"\r\nSubject: one\r\n" in fetched and fetched.endswith(b"\r\n\r\n.dots\r\n)")


def test_one_reply_a_recipient_in_order(peer):
    say(peer, "MAIL FROM:<>", "250 ")
    say(peer, "RCPT TO:<alice@example.org>", "250 ")
    say(peer, "RCPT TO:<nobody-here+a/b@>", "5")
    say(peer, "RCPT TO:<bob>", "250 ")
    say(peer, "RCPT TO:<carol+folder>", "250 ")
    say(peer, "DATA", "354 ")
    peer.send(b"Subject: many\r\n\r\nx\r\n.\r\n")
    for _ in range(3):
        assert reply(peer)[0].startswith("250 2.1.5")
    say(peer, "NOOP", "250 2.0.0")


def test_pipelining(peer):
    peer.send(b"MAIL FROM:<a@b>\r\nRCPT TO:<alice>\r\nRCPT TO:<bob>\r\nDATA\r\n"
              b"Subject: piped\r\n\r\nx\r\n.\r\nMAIL FROM:<a@b>\r\nRSET\r\nQUIT\r\n")
    codes = [reply(peer)[0][:3] for _ in range(9)]
    assert codes == ["250", "250", "250", "354", "250", "250", "250", "250", "221"]


def test_many_messages_on_one_connection(peer):
    for number in range(50):
        begin(peer, "alice")
        say(peer, "DATA", "354 ")
        peer.send(MESSAGE % number + b".\r\n")
        assert reply(peer)[0].startswith("250 2.1.5")


def test_data_without_recipients_leaves_the_mail_open(peer):
    say(peer, "MAIL FROM:<a@b>", "250 ")
    say(peer, "DATA", "503 5.5.1")
    say(peer, "MAIL FROM:<a@b>", "503 5.5.1")
    say(peer, "RSET", "250 2.0.0")
    say(peer, "MAIL FROM:<a@b>", "250 ")


@pytest.mark.parametrize("line, code", [
    ("HELO x", "500 5.5.2"), ("EHLO x", "500 5.5.2"), ("EXPN x", "500 5.5.2"), ("FOO", "500 5.5.2"), ("", "500 5.5.2"),
    ("LHLO", "501 5.5.4"), ("VRFY alice", "252 "), ("RCPT TO:<alice>", "503 5.5.1"), ("DATA", "503 5.5.1"),
    ("MAIL", "501 5.5.4"), ("MAIL FROM:a@b", "501 5.5.4"), ("MAIL FROM:<a@b> FOO=1", "501 5.5.4"),
    ("MAIL FROM:<a@b> BODY=8BITMIME SIZE=1000", "250 2.1.0"), ("MAIL FROM:<a@b> SIZE=102401", "552 5.2.3"),
    ("STARTTLS", "454 4.7.0"), ("AUTH", "501 "), ("AUTH FOO", "504 "),
])
def test_replies(peer, line, code):
    say(peer, line, code)


def test_lhlo_comes_first(lmtp):
    wire = lmtp()
    reply(wire)
    say(wire, "MAIL FROM:<a@b>", "503 5.5.1")
    say(wire, "NOOP", "250 ")


def test_lhlo_again_forgets_the_transaction(peer):
    begin(peer, "alice")
    say(peer, "LHLO x", "250 ")
    say(peer, "RCPT TO:<alice>", "503 5.5.1")


@pytest.mark.parametrize("message, code", [
    (b"Subject: nul\r\n\r\na\0b\r\n", "554 5.6.0"),
    (b"Subject: bare\r\n\r\na\nb\r\n", "554 5.6.0"),
    (b"no header\r\n\r\nbody\r\n", "554 5.6.0"),
    (b"Subject: big\r\n\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 998 + b"\r\n") * 110, "552 5.2.3"),
])
def test_messages_that_are_refused(peer, message, code):
    begin(peer, "alice", "bob")
    say(peer, "DATA", "354 ")
    peer.send(message + b".\r\n")
    for _ in range(2):
        assert reply(peer)[0].startswith(code)
    say(peer, "NOOP", "250 ")


def test_a_message_without_end_is_given_up(peer):
    """Beyond the limit it is thrown away for a while, then refused and the connection closed."""
    begin(peer, "alice", "bob")
    say(peer, "DATA", "354 ")
    line = (b"y" * 998 + b"\r\n") * 1000
    sent = 0
    with pytest.raises(OSError):
        while sent < 200 << 20:
            peer.send(line)
            sent += len(line)
    assert 64 << 20 < sent < 80 << 20
    for _ in range(2):
        assert reply(peer)[0].startswith("552 5.2.3")
    assert reply(peer)[0].startswith("421 4.7.0")
    peer.expect_close()


@pytest.mark.parametrize("end", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r\n"])
def test_only_crlf_dot_crlf_ends_a_message(peer, end):
    """SMTP smuggling: what follows is still the message, not a command."""
    begin(peer, "alice")
    say(peer, "DATA", "354 ")
    peer.send(b"Subject: x\r\n\r\nfirst" + end + b"MAIL FROM:<evil@b>\r\n.\r\n")
    assert reply(peer)[0].startswith("554 5.6.0")
    say(peer, "NOOP", "250 2.0.0")


def test_line_limit(peer):
    say(peer, "NOOP " + "x" * 2000, "500 5.5.2")
    say(peer, "NOOP", "250 ")


def test_nul_and_bare_lf_in_commands(peer):
    peer.send(b"NO\0OP\r\n")
    assert reply(peer)[0].startswith("500 5.5.2")
    peer.send(b"NOOP\n")
    assert reply(peer)[0].startswith("500 5.5.2")
    say(peer, "NOOP", "250 ")


def test_recipient_limit(peer):
    say(peer, "MAIL FROM:<a@b>", "250 ")
    for _ in range(100):
        say(peer, "RCPT TO:<alice>", "250 ")
    say(peer, "RCPT TO:<bob>", "452 4.5.3")


def test_bad_command_limit(peer):
    for _ in range(5):
        say(peer, "FOO", "500 ")
    say(peer, "FOO", "500 ")
    assert reply(peer)[0].startswith("421 ")
    peer.expect_close()


def test_client_that_vanishes_inside_data_leaves_nothing(peer, imap):
    begin(peer, "carol+vanished")
    say(peer, "DATA", "354 ")
    peer.send(b"Subject: vanished\r\n\r\nhalf")
    peer.close()
    wire = imap("carol")
    wire.ok("SELECT INBOX")
    assert wire.ok("SEARCH SUBJECT vanished") == [b"* SEARCH"]


def test_strangers_must_authenticate(make_server):
    port = free_port()
    server = make_server({
        "plugin lmtp": {"trusted-networks": "192.0.2.1"}, "mailbox": {"autocreate": "delivery"},
        "listener lmtp": {"address": f"127.0.0.1:{port}", "tls": "starttls"}})

    def auth(wire, user, code):
        response = base64.b64encode(f"\0{user}\0pass".encode()).decode()
        say(wire, f"AUTH PLAIN {response}", code)

    with Wire(port) as wire:
        reply(wire)
        lines = say(wire, "LHLO x", "250 ")
        assert any(re.match(r"250-AUTH .*PLAIN", line) for line in lines) and "250-STARTTLS" in lines
        say(wire, "MAIL FROM:<a@b>", "430 4.7.0")
        auth(wire, "alice", "501 5.5.4")
        auth(wire, "nobody", "535 5.7.8")
        say(wire, "STARTTLS", "220 2.0.0")
        wire.start_tls(server.certificate)
        say(wire, "MAIL FROM:<a@b>", "503 ")
        assert not any("STARTTLS" in line for line in say(wire, "LHLO x", "250 "))
        auth(wire, "admin", "235 2.7.0")
        begin(wire, "alice")
        say(wire, "DATA", "354 ")
        wire.send(b"Subject: secured\r\n\r\n.\r\n")
        assert reply(wire)[0].startswith("250 ")


def test_what_is_pipelined_before_tls_is_thrown_away(make_server):
    port = free_port()
    server = make_server({"listener lmtp": {"address": f"127.0.0.1:{port}", "tls": "starttls"}})
    with Wire(port) as wire:
        reply(wire)
        say(wire, "LHLO x", "250 ")
        wire.send(b"STARTTLS\r\nLHLO evil\r\nMAIL FROM:<evil@b>\r\n")
        assert reply(wire)[0].startswith("220 ")
        wire.start_tls(server.certificate)
        say(wire, "RCPT TO:<alice>", "503 5.5.1 Say LHLO first")


def test_unknown_user(make_server):
    server = make_server({"mailbox": {"autocreate": "never"}})
    with Wire(server.path("lmtp")) as wire:
        reply(wire)
        say(wire, "LHLO x", "250 ")
        say(wire, "MAIL FROM:<a@b>", "250 ")
        say(wire, "RCPT TO:<unknown>", "550 5.1.1")


def test_duplicates_are_stored_once(peer, imap):
    message = b"Subject: twice\r\nMessage-ID: <twice@test>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\nx\r\n.\r\n"
    for _ in range(2):
        begin(peer, "bob")
        say(peer, "DATA", "354 ")
        peer.send(message)
        assert reply(peer)[0].startswith("250 ")
    wire = imap("bob")
    wire.ok("SELECT INBOX")
    assert len(wire.ok("SEARCH SUBJECT twice")[0].split()) == 3


def test_idle_timeout(make_server):
    server = make_server({"plugin lmtp": {"idle-timeout": "1s"}})
    with Wire(server.path("lmtp")) as wire:
        reply(wire)
        wire.expect("421 4.4.1 .*")
        wire.expect_close()


@pytest.mark.parametrize("lines", [
    [("AUTH PLAIN", "334")], [("AUTH LOGIN", "334")],
    [("MAIL FROM:<a@b>", "250 ")], [("MAIL FROM:<a@b>", "250 "), ("RCPT TO:<alice>", "250 ")],
])
def test_a_client_that_waits_does_not_hold_the_server(make_server, lines):
    """Inside AUTH and before DATA nothing is at work that a stop should wait for."""
    server = make_server()
    with Wire(server.path("lmtp")) as wire:
        reply(wire)
        say(wire, "LHLO x", "250 ")
        for line, code in lines:
            say(wire, line, code)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 10
        wire.expect("421 4.3.2 .*")
        wire.expect_close()


def test_a_message_in_hand_is_taken_before_the_server_stops(make_server):
    server = make_server()
    with Wire(server.path("lmtp")) as wire:
        reply(wire)
        say(wire, "LHLO x", "250 ")
        begin(wire, "alice")
        say(wire, "DATA", "354 ")
        server.process.terminate()
        server.wait_log("server.stopping", 10)
        wire.send(b"Subject: late\r\n\r\nx\r\n.\r\n")
        assert reply(wire)[0].startswith("250 2.1.5")
        wire.expect("421 4.3.2 .*")
        wire.expect_close()


def test_the_packaged_socket_is_its_groups_alone():
    config = configparser.ConfigParser()
    config.read(SOURCE / "data/conf.d/lmtp.conf")
    assert int(config["listener lmtp"]["socket-mode"], 8) & 0o007 == 0
    assert "adduser --quiet postfix rookery" in (SOURCE / "debian/rookery-core.postinst").read_text()


def test_who_may_say_whom_a_message_is_from(make_server):
    """AUTH= of MAIL gives its user's right to post: only administrators and auth-networks have a say in it."""
    port = free_port()
    server = make_server({"listener tcp": {"protocol": "lmtp", "address": f"127.0.0.1:{port}", "tls": "none"}})
    imap = ImapWire(server.port("imap")).login("alice", "pass")
    imap.ok("CREATE Work")

    def count(mailbox):
        return int(re.search(rb"MESSAGES (\d+)", imap.ok(f"STATUS {mailbox} (MESSAGES)")[0]).group(1))

    def deliver(where, authenticate=False):
        before = count("Work"), count("INBOX")
        with Wire(where) as wire:
            reply(wire)
            say(wire, "LHLO x", "250 ")
            if authenticate:
                say(wire, "AUTH PLAIN " + base64.b64encode(b"\0admin\0pass").decode(), "235 ")
            say(wire, "MAIL FROM:<alice@example.org> AUTH=alice", "250 ")
            say(wire, "RCPT TO:<alice+Work>", "250 ")
            say(wire, "DATA", "354 ")
            wire.send(b"Subject: mine\r\n\r\nx\r\n.\r\n")
            assert reply(wire)[0].startswith("250 ")
        return count("Work") - before[0], count("INBOX") - before[1]

    with imap:
        assert deliver(server.path("lmtp")) == (0, 1)
        assert deliver(port) == (0, 1)
        assert deliver(port, authenticate=True) == (1, 0)
        server.reload({"plugin lmtp": {"auth-networks": ["unix"]}, **server.changes})
        assert deliver(server.path("lmtp")) == (1, 0)
        assert deliver(port) == (0, 1)
