# SPDX-License-Identifier: LGPL-2.1-or-later
"""Another plugin adds a command and a capability to IMAP (imap/1), and takes them away again."""

import pytest

from rookery_harness import Server


@pytest.fixture(scope="module")
def server():
    one = Server()
    one.settings_of_test = {"server": {"plugin-directory": one.add_module("imap-extra")}, "plugin imap-extra": {}}
    one.configure(one.settings_of_test)
    with one:
        yield one


def capabilities(wire):
    return wire.ok("CAPABILITY")[0].split()


def test_command_and_capability_are_there(imap):
    wire = imap(None)
    assert b"XECHO" not in capabilities(wire)
    assert wire.command("XECHO x")[1] == b"BAD Log in first"
    wire.login()
    assert b"XECHO" in capabilities(wire)
    assert wire.command("xecho {3}", (b"a b", "")) == ([b'* XECHO "a b"'], b"OK [XDONE] Echoed")
    assert wire.command("XECHO")[1] == b"BAD Missing argument"
    assert wire.command("XECHO a b")[1].startswith(b"BAD ")


def test_capability_is_listed_while_it_is_offered(imap):
    wire = imap()
    assert b"XSELECTED" not in capabilities(wire)
    wire.ok("SELECT INBOX")
    assert b"XSELECTED" in capabilities(wire)
    wire.ok("UNSELECT")
    assert b"XSELECTED" not in capabilities(wire)


def test_mailbox_names_come_in_their_internal_form(imap):
    wire = imap()
    assert wire.command("XBOX INBOX")[1].startswith(b"OK user/")
    assert wire.command("XBOX M&APw-ll")[1].endswith("Müll".encode())
    assert wire.command("XBOX a&")[1].split()[0] in (b"BAD", b"NO")


def test_registering_after_init_is_refused(imap):
    wire = imap()
    assert wire.command("XLATE")[1].startswith(b"NO [CANNOT] ")
    assert wire.command("XLATER")[1] == b"BAD Unknown command"


def test_commands_run_one_at_a_time_in_their_order(imap):
    wire = imap()
    wire.send(b"a1 XECHO one\r\na2 XECHO two\r\na3 NOOP\r\n")
    assert [wire.line() for _ in range(4)] == [b'* XECHO "one"', b"a1 OK [XDONE] Echoed", b'* XECHO "two"',
                                               b"a2 OK [XDONE] Echoed"]
    assert wire.line().startswith(b"a3 OK")


def test_a_client_that_has_gone_meanwhile_harms_nobody(imap):
    for _ in range(20):
        wire = imap()
        wire.begin("XECHO x")
        wire.close()
    imap().ok("XECHO x")


def test_both_go_with_their_plugin(server, imap):
    wire = imap()
    wire.ok("XECHO x")
    server.reload({**server.settings_of_test, "plugin imap-extra": None})
    assert b"XECHO" not in capabilities(wire)
    assert wire.command("XECHO x")[1] == b"BAD Unknown command"
    wire.ok("NOOP")
    server.reload(server.settings_of_test)
    wire.ok("XECHO x")
