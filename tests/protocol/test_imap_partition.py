# SPDX-License-Identifier: LGPL-2.1-or-later
"""RENAME with a partition, as cyradm's renm sends it: an administrator moves mailboxes to another partition while they are used."""

import re
import shutil

import pytest

from rookery_harness import SLOW, wait_until
from rookery_wire import ImapWire

N = 150  # messages: three pages


@pytest.fixture
def two(make_server):
    """A server with a second partition, in its own directory."""
    server = make_server(start=False)
    server.prepare()
    server.configure({"partition second": {"path": server.directory / "second"}})
    return server.start()


def connect(server, user):
    wire = ImapWire(server.port("imap"), timeout=60 * SLOW)
    wire.login(user)
    return wire


def text_of(n):
    return f"Subject: {n}\r\n\r\nbody {n}\r\n".encode()


def fill(wire, name, count=N):
    for n in range(1, count + 1):
        text = text_of(n)
        assert wire.command(f"APPEND {name} {{{len(text)}}}", (text, b""))[1].startswith(b"OK")


def bodies(wire):
    """uid to text of all messages."""
    found = {}
    for line in wire.ok("UID FETCH 1:* (BODY.PEEK[])"):
        match = re.match(rb"\* \d+ FETCH \(UID (\d+) BODY\[\] \{(\d+)\}\r\n", line)
        assert match, line[:100]
        found[int(match.group(1))] = line[match.end():match.end() + int(match.group(2))]
    return found


def status(wire):
    return [line for line in wire.ok("STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)") if line.startswith(b"* STATUS")]


def is_cleared(server):
    said = server.ctl("mailbox", "verify")
    assert said.startswith("no faults in ")
    return "which lies elsewhere" not in said


def test_mailbox_is_moved_under_its_sessions(two):
    with connect(two, "alice") as wire, connect(two, "admin") as admin, connect(two, "alice") as other:
        fill(wire, "INBOX")
        wire.ok("CREATE Work")
        fill(wire, "Work", 3)
        wire.ok("SELECT INBOX")
        other.ok("SELECT INBOX")
        wire.ok("STORE 2 +FLAGS.SILENT (\\Flagged work)")
        other.ok("STORE 5 +FLAGS.SILENT (\\Deleted)")
        other.ok("EXPUNGE")
        before = status(wire)
        admin.ok("RENAME user/alice user/alice second")
        assert status(wire) == before
        assert bodies(wire) == {n: text_of(n) for n in range(1, N + 1) if n != 5}
        assert wire.command("STORE 3 +FLAGS.SILENT (\\Seen)")[1].startswith(b"OK")
        fill(other, "INBOX", 1)
        assert any(b"EXISTS" in line for line in wire.ok("NOOP"))
        wait_until(lambda: is_cleared(two))  # what a move leaves goes by itself
        assert two.ctl("mailbox", "verify", "--full").startswith("no faults in ")
    two.stop()
    two.start()
    with connect(two, "alice") as wire:
        wire.ok("SELECT INBOX")
        assert {uid: text for uid, text in bodies(wire).items() if uid <= N} == {n: text_of(n) for n in range(1, N + 1) if n != 5}
        assert b"\\Flagged work" in wire.ok("UID FETCH 2 (FLAGS)")[0]
        wire.ok("SELECT Work")
        assert len(bodies(wire)) == 3


def test_messages_go_from_partition_to_partition(two):
    with connect(two, "alice") as wire, connect(two, "admin") as admin:
        wire.ok("CREATE There")
        fill(wire, "INBOX", 20)
        admin.ok("RENAME user/alice/There user/alice/There second")
        wire.ok("SELECT INBOX")
        wire.ok("UID COPY 1:10 There")
        wire.ok("UID MOVE 11:20 There")
        assert sorted(bodies(wire).values()) == sorted(text_of(n) for n in range(1, 11))
        wire.ok("SELECT There")
        assert sorted(bodies(wire).values()) == sorted(text_of(n) for n in range(1, 21))
        wire.ok("UID MOVE 1:20 INBOX")
        wire.ok("SELECT INBOX")
        assert len(bodies(wire)) == 30
        assert two.ctl("mailbox", "verify", "--full").startswith("no faults in ")


def test_only_administrators_choose_partitions(two):
    with connect(two, "alice") as wire, connect(two, "admin") as admin:
        wire.ok("CREATE a")
        assert wire.command("RENAME a a second")[1].startswith(b"NO ")
        assert wire.command("RENAME a b second")[1].startswith(b"NO ")
        assert admin.command("RENAME user/alice/a user/alice/a nowhere")[1].startswith(b"NO ")
        assert admin.command("RENAME user/alice/a user/alice/a second more")[1].startswith(b"BAD ")
        assert admin.command("RENAME user/alice/a user/alice/a")[1].startswith(b"NO [ALREADYEXISTS]")
        admin.ok("RENAME user/alice/a user/alice/b second")
        wire.ok("SELECT b")


def test_partition_that_is_not_there_is_named(two):
    with connect(two, "alice") as wire, connect(two, "admin") as admin:
        for line in ("RENAME user/alice user/alice nowhere", "RENAME user/alice user/al nowhere", "CREATE team nowhere"):
            assert admin.command(line)[1] == b"NO [CANNOT] There is no partition nowhere"
        assert admin.command('CREATE team "a\x07b"')[1] == b"NO [CANNOT] There is no partition a\\007b"
        assert wire.command("CREATE folder second")[1].startswith(b"NO [NOPERM]")


def test_mailbox_is_made_on_the_partition_that_is_named(two):
    with connect(two, "admin") as admin:
        admin.ok("CREATE team second")
        admin.ok('CREATE "team/sub"')
        admin.ok("CREATE team/back default")
        assert admin.command("CREATE other second more")[1].startswith(b"BAD ")
    rows = {row["name"]: row["partition"] for row in two.ctl("mailbox", "list", as_json=True)}
    assert (rows["team"], rows["team/sub"], rows["team/back"]) == ("second", "second", "default")


def test_partition_that_is_back_is_told_by_the_reload(two):
    second = two.directory / "second"
    two.stop()
    second.rename(two.directory / "away")
    two.start()
    shutil.rmtree(second, ignore_errors=True)
    (two.directory / "away").rename(second)
    assert two.ctl("reload") == "changes: opened partition second\n"
    assert two.ctl("reload") == "changes: none\n"
