# SPDX-License-Identifier: LGPL-2.1-or-later
"""The log as an administrator reads it: one line an event, in the words of doc/log.md."""

import os
import re
import shlex
import time

import pytest
from rookery_harness import REALM, SLOW, SOURCE, Server
from rookery_wire import ImapWire


@pytest.fixture(scope="module")
def server():
    with Server(config={"log": {"level": "debug"}}) as running:
        yield running


def lines(server):
    """Every event so far: its name, and its fields."""
    for line in server.log(10**8).splitlines():
        match = re.match(r"\S+Z (error|warning|notice|info|debug) (\S+) ?(.*)$", line)
        if match:
            yield match.group(2), dict(pair.split("=", 1) for pair in shlex.split(match.group(3)))


def wait_for(server, event, **fields):
    """The fields of the first such event."""
    deadline = time.monotonic() + 30 * SLOW
    while True:
        for name, logged in lines(server):
            if name == event and fields.items() <= logged.items():
                return logged
        assert time.monotonic() < deadline, f"{event} {fields}\n{server.log()}"
        time.sleep(0.02)


def test_what_a_session_does_says_who_it_was(server):
    with ImapWire(server.port("imap")) as wire:
        wire.login("alice")
        wire.ok("CREATE one")
        wire.ok("RENAME one two")
        wire.ok("DELETE two")
    logged_in = wait_for(server, "auth.ok", user="alice")
    who = {name: logged_in[name] for name in ("conn", "protocol", "user")}
    assert who["protocol"] == "imap"
    for event in ("imap.login", "mailbox.created", "mailbox.renamed", "mailbox.deleted", "imap.closed", "net.closed"):
        wait_for(server, event, **who)


def test_refused_login_says_by_which_connection_and_protocol(server):
    with ImapWire(server.port("imap")) as wire:
        wire.command('LOGIN "alice" "wrong"')
    refused = wait_for(server, "auth.failed", protocol="imap")
    wait_for(server, "net.closed", conn=refused["conn"])


def test_delivery_says_by_which_connection_and_protocol(server):
    server.deliver(b"Subject: logged\r\n\r\n", f"bob@{REALM}")
    done = wait_for(server, "delivery.done", protocol="lmtp", result="ok")
    wait_for(server, "lmtp.closed", conn=done["conn"], protocol="lmtp")


def test_nothing_is_logged_that_the_table_does_not_have(server):
    """The sources are compared with it by tests/unit/check-log.sh; this is what really comes out."""
    table = (SOURCE / "doc" / "log.md").read_text()
    told = {event: set(re.findall(r"`([a-z-]+)`", fields))
            for event, fields in re.findall(r"^\| `([a-z.-]+\.[a-z-]+)` \| [^|]* \| ([^|]*) \|", table, re.M)}
    for event, fields in lines(server):
        assert set(fields) <= told[event], event


@pytest.mark.skipif(os.path.exists("/run/systemd/journal/socket"), reason="needs a machine without journald")
def test_journal_that_is_not_there_loses_no_line():
    with Server(config={"log": {"target": "journal"}}) as server:
        wait_for(server, "log.no-journal", path="/run/systemd/journal/socket")
        wait_for(server, "server.started")
        server.ctl("reload")
        wait_for(server, "server.reloaded")
