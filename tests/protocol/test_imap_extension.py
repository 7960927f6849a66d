# SPDX-License-Identifier: LGPL-2.1-or-later
"""Another plugin adds a command and a capability to IMAP (imap/1), and takes them away again."""

import pytest

from rookery_harness import Server
from rookery_wire import ImapWire


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
