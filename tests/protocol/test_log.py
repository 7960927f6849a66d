# SPDX-License-Identifier: LGPL-2.1-or-later
"""The log as an administrator reads it: one line an event, in the words of doc/log.md."""

import os
import re
import shlex
import time

import pytest
from rookery_harness import REALM, SLOW, SOURCE, Server
from rookery_wire import ImapWire, Wire


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


def session(server, *lines):
    """An LMTP session: the codes that it was answered, one a line."""
    with Wire(server.path("lmtp")) as wire:
        codes = [wire.line()[:9].decode()]
        for line in ("LHLO client.example.net", *lines):
            wire.send(line)
            answer = wire.line()
            while answer[3:4] == b"-":
                answer = wire.line()
            codes.append(answer[:9].decode())
    return codes[2:]


def answered(server, result):
    """How many recipients were answered so."""
    rows = server.ctl("stats", "delivery.recipients", as_json=True)
    return sum(row["count"] for row in rows if row["of"] == result)


@pytest.fixture(scope="module")
def refusing():
    """A server with a user over quota, and a shared mailbox that is seen and may not be posted to."""
    config = {"mailbox": {"autocreate": "login", "default-acl": ["anyone l"]}, "plugin lmtp": {"message-limit": "10K"}}
    with Server(config=config) as server:
        for user in ("alice", "bob"):
            with ImapWire(server.port("imap")) as wire:
                wire.login(user)
        server.deliver("Subject: one\n\nx\n", f"bob@{REALM}")
        with ImapWire(server.port("imap")) as wire:
            wire.login("admin")
            wire.ok("SETQUOTA user/bob (MESSAGE 0)")
            wire.ok("CREATE closed")
        yield server


@pytest.mark.parametrize("address, result, mailbox", [
    (f"nobody.such@{REALM}", "unknown-user", None), (f"+closed@{REALM}", "no-permission", "closed"),
    (f"bob@{REALM}", "over-quota", "user/bob"), ("@", "bad-address", None)])
def test_refusal_at_rcpt_is_logged_and_counted(address, result, mailbox, refusing):
    before = answered(refusing, result)
    codes = session(refusing, "MAIL FROM:<sender@example.net>", f"RCPT TO:<{address}>")
    assert codes[0] == "250 2.1.0" and codes[1][0] in "45", codes
    logged = wait_for(refusing, "delivery.done", result=result)
    assert answered(refusing, result) == before + 1
    assert (logged["recipient"], logged["sender"], logged.get("mailbox")) == (address, "sender@example.net", mailbox)
    wait_for(refusing, "lmtp.closed", conn=logged["conn"], protocol=logged["protocol"])


def data(server, *lines):
    """One message to alice: what it was answered."""
    with Wire(server.path("lmtp")) as wire:
        for line in ("LHLO x", "MAIL FROM:<sender@example.net>", f"RCPT TO:<alice@{REALM}>", "DATA"):
            wire.send(line)
        while not wire.line().startswith(b"354"):
            pass
        for line in (*lines, "."):
            wire.send(line)
        return wire.line().decode()


@pytest.mark.parametrize("lines, result", [(["no header"], "bad-message"), (["x: y", "", "long " * 100] * 30, "too-big")])
def test_message_that_is_none_is_logged_and_counted(lines, result, refusing):
    before = answered(refusing, result)
    answer = data(refusing, *lines)
    logged = wait_for(refusing, "delivery.done", result=result)
    assert answered(refusing, result) == before + 1
    assert (logged["recipient"], logged["sender"]) == (f"alice@{REALM}", "sender@example.net")
    assert answer[:1] == "5" and answer[10:] == logged["reply"]


def test_delivery_says_why_it_is_in_the_inbox(server):
    with ImapWire(server.port("imap")) as wire:
        wire.login("carol")
        wire.ok("CREATE Sent")
    for detail, reason in (("Sent", "the sender may not post there (right p)"), ("none", "there is no such folder")):
        server.deliver("Subject: x\n\nx\n", f"carol+{detail}@{REALM}")
        logged = wait_for(server, "delivery.done", recipient=f"carol+{detail}@{REALM}")
        assert (logged["mailbox"], logged["reason"]) == ("user/carol", reason)


def test_delivery_says_where_a_filter_filed_it():
    one = Server()
    modules = one.add_module("filter-file")
    one.configure({"server": {"plugin-directory": modules}, "plugin filter-file": {}})
    with one:
        with ImapWire(one.port("imap")) as wire:
            wire.login("alice")
            wire.ok("CREATE Archive")
        for subject, mailbox, reason in (("archive", "user/alice/Archive", None),
                                         ("both", "user/alice/Archive, user/alice", None),
                                         ("missing", "user/alice", "user/alice/missing: no such mailbox"),
                                         ("discard", None, "discarded by a filter")):
            one.deliver(f"Message-ID: <{subject}@x>\nSubject: {subject}\n\nx\n", f"alice@{REALM}")
            logged = wait_for(one, "delivery.done", **{"message-id": f"<{subject}@x>"})
            assert (logged["result"], logged.get("mailbox"), logged.get("reason")) == ("ok", mailbox, reason)


def test_store_is_named_once_in_the_line_about_it(server):
    logged = wait_for(server, "store.recovered")
    assert logged["path"].startswith("/") and logged["path"] not in logged["message"]


def test_users_of_sasldb_are_named_as_everywhere(server):
    server.ctl("user", "add", f"Erna@{REALM.upper()}", stdin="pass\n")
    wait_for(server, "auth.user-added", user="erna")


def test_job_that_finds_nothing_to_do_is_no_news():
    with Server() as one:
        one.ctl("job", "run", "make-room")
        one.ctl("job", "run", "checkpoint")
        wait_for(one, "job.done", job="checkpoint")
        assert not [fields for event, fields in lines(one) if event == "job.done" and fields["job"] == "make-room"]


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
