# SPDX-License-Identifier: LGPL-2.1-or-later
"""A directory that a plugin provides: what protocols answer for mailboxes that are elsewhere, or nobody knows where."""

import pytest

from rookery_harness import Server
from rookery_wire import ImapWire, Wire

AWAY = b"NO [UNAVAILABLE] Mailbox is on another server"
LOST = b"NO [UNAVAILABLE] Not available now"
GONE = b"NO [NONEXISTENT] Mailbox does not exist"


@pytest.fixture(scope="module")
def server():
    one = Server()
    one.modules = one.add_module("directory-map")
    one.base = {"server": {"plugin-directory": one.modules}}
    one.configure(one.base)
    with one:
        for name in ("away", "lost", "none", "late", "lateaway"):  # a second one here must not be what is opened
            with ImapWire(one.port("imap")) as wire:
                wire.login()
                wire.ok(f"CREATE {name}")
        one.reload({**one.base, "plugin directory-map": {}})
        yield one


@pytest.fixture
def wire(server):
    with ImapWire(server.port("imap")) as one:
        one.login()
        yield one


@pytest.mark.parametrize("command", ["SELECT {}", "EXAMINE {}", "STATUS {} (MESSAGES)", "APPEND {} {{3+}}\r\nx\r\n"])
def test_command_asks_where_the_mailbox_is(wire, command):
    for name, answer in (("away", AWAY), ("lost", LOST)):
        assert wire.command(command.format(name)) == ([], answer), name
    assert wire.command(command.format("none"))[1].startswith(b"OK")


def test_refused_select_leaves_nothing_selected(wire):
    wire.ok("SELECT INBOX")
    assert wire.command("SELECT away")[1] == AWAY
    assert wire.command("FETCH 1 FLAGS")[1] == b"BAD Select a mailbox first"


@pytest.mark.parametrize("command", ["COPY", "MOVE"])
def test_messages_are_not_copied_to_where_they_do_not_belong(server, wire, command):
    server.deliver("Subject: one\n\nx\n")
    wire.ok("SELECT INBOX")
    assert wire.command(f"{command} 1 away")[1] == AWAY
    assert wire.command(f"{command} 1 lost")[1] == LOST
    assert wire.command(f"{command} 1 nowhere")[1] == b"NO [TRYCREATE] Mailbox does not exist"
    assert wire.command("FETCH 1 UID")[1].startswith(b"OK")  # still here


def test_commands_behind_one_that_asks_wait_for_it(wire):
    wire.send(b"a SELECT away\r\nb SELECT none\r\nc NOOP\r\n")
    assert wire.finish("a") == ([], AWAY)
    assert wire.finish("b")[1].startswith(b"OK [READ-WRITE]")
    assert wire.finish("c")[1].startswith(b"OK")


def test_client_that_leaves_while_the_directory_is_asked_disturbs_nobody(server, wire):
    for command in (b"SELECT late", b"SELECT lateaway", b"STATUS late (MESSAGES)", b"APPEND late {1+}\r\nx", b"COPY 1 late",
                    b"MOVE 1 late", b"EXAMINE lateaway"):
        for _ in range(3):
            with ImapWire(server.port("imap")) as other:
                other.login()
                other.ok("SELECT INBOX")
                other.send(b"a " + command + b"\r\n")
    assert wire.command("SELECT lateaway")[1] == AWAY  # later than all of theirs
    wire.ok("NOOP")


def test_directory_that_does_not_answer(server, wire):
    server.reload({**server.base, "plugin directory-map": {}, "directory": {"answer-timeout": "1s"}})
    wire.ok("CREATE silent")
    wire.ok("CREATE wake")
    for command in ("SELECT silent", "STATUS silent (MESSAGES)"):
        assert wire.command(command) == ([], LOST)
    with Wire(server.path("lmtp")) as lmtp:
        lmtp.expect("220 .*")
        lmtp.send("LHLO x")
        while lmtp.line()[3:4] == b"-":
            pass
        lmtp.send("MAIL FROM:<a@example.org>")
        lmtp.expect("250 .*")
        lmtp.send("RCPT TO:<silent@example.org>")
        lmtp.expect("451 .*")
    wire.ok("SELECT wake")  # now it has answered all of them, and nobody is told twice
    wire.ok("NOOP")
    server.reload({**server.base, "plugin directory-map": {}})


def test_directory_may_refuse_a_change(wire):
    assert wire.command("CREATE taken")[1].startswith(b"NO ")
    assert wire.command("SELECT taken")[1] == GONE
    wire.ok("CREATE free")


def test_mail_for_elsewhere_is_to_be_sent_again(server):
    """An MTA keeps it: the way there is the proxy's, not ours to refuse."""
    with Wire(server.path("lmtp")) as wire:
        wire.expect("220 .*")
        wire.send("LHLO x")
        while wire.line()[3:4] == b"-":
            pass
        wire.send("MAIL FROM:<a@example.org>")
        wire.expect("250 .*")
        wire.send("RCPT TO:<keepaway@example.org>")
        wire.expect(b"451 4.2.1 the mailbox lives on another server")
        wire.send("RCPT TO:<lost@example.org>")
        wire.expect("451 .*")


def test_without_its_plugin_nobody_can_say(server):
    """Runs last: it stops the plugin, which stays configured."""
    server.stop()
    (server.modules / "directory-map.so").unlink()
    server.start()
    with ImapWire(server.port("imap")) as wire:
        wire.login()
        assert wire.command("SELECT INBOX")[1] == LOST
        server.reload(server.base)
        wire.ok("SELECT INBOX")
