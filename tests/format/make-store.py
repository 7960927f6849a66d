#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes a store for ever: NAME.tar.xz, what a server wrote until it was killed, and NAME.json, what was in it then.

    ROOKERY_BUILD_DIR=build tests/format/make-store.py NAME

Only when the format has changed, under a new name: those that are there show that what was written then is still read.
For the new one this file may be changed as well: it says how the latest was made.
"""

import json
import re
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
sys.dont_write_bytecode = True

from rookery_harness import SOURCE, Server  # noqa: E402
from rookery_snapshot import snapshot  # noqa: E402
from rookery_wire import ImapWire  # noqa: E402

SMALL = {"log-size": "64K", "segment-size": "1M"}
CONFIG = {"server": {"hostname": "mail.example.org"}, "plugin storage-gdbm": SMALL, "job expire": {"when": "never"},
          "mailbox": {"autocreate": "delivery", "autocreate-folders": "Sent;Trash", "keep-expunged": "0s",
                      "default-acl": "anyone lrsi;bob lrswite"}}
SECOND = "second"  # the other partition, beside the first
COPIES = b"Subject: one of many\r\nFrom: a@example.net\r\n\r\nmany\r\n"
KEPT = 32  # of all messages that are expunged below, those that are not purged
DELIVERED = """From: sender@example.net
Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=
Message-ID: <delivered@example.net>
Date: Fri, 27 Nov 2026 10:00:00 +0000

Once, however often it comes.
"""


def samples():
    """A MIME message of each kind, 8-bit text, a header without a body, one that is not small."""
    for path in sorted((SOURCE / "data" / "messages").glob("*.eml")):
        yield path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    yield "Subject: grüße\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nÄÖÜ\r\n".encode()
    yield b"Subject: latin\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n\xe4\xf6\xfc\r\n"
    yield b"Subject: nothing more\r\n\r\n"
    yield b"Subject: long\r\n\r\n" + b"".join(b"line %d\r\n" % number for number in range(15000))


def settings(server, **mailbox):
    return {**CONFIG, f"partition {SECOND}": {"path": server.directory / SECOND}, "mailbox": {**CONFIG["mailbox"], **mailbox}}


def append(wire, mailbox, message, arguments=""):
    answer = wire.append(mailbox, message, arguments)
    assert answer.startswith(b"OK"), answer


def expunge(wire, uids):
    wire.ok(f"UID STORE {uids} +FLAGS.SILENT (\\Deleted)")
    wire.ok(f"UID EXPUNGE {uids}")


def fill_inbox(server, wire):
    flags = ["", "(\\Seen)", "(\\Answered \\Seen)", "(\\Flagged $Label1)", "(\\Draft)", "($Forwarded important)", "(\\Deleted)"]
    for number, message in enumerate(samples()):
        date = f'"{number + 1:2}-Nov-2026 10:20:{number:02} +0{number % 10}30"'
        append(wire, "INBOX", message, f"{flags[number % len(flags)]} {date}".strip())
    server.deliver(DELIVERED, "alice", "bob")
    for number in range(4):
        append(wire, "INBOX", b"Subject: to be purged %d\r\n\r\nx\r\n" % number)
    wire.ok("SELECT INBOX")
    expunge(wire, "12:13")
    server.ctl("job", "run", "expire")
    server.reload(settings(server, **{"keep-expunged": "30000d"}))
    expunge(wire, "3,14")


def fill_names(server, wire):
    for name in ("Entw&APw-rfe", "a.b^c/deep/er", "old", "gone"):
        wire.ok(f"CREATE {name}")
        append(wire, name, b"Subject: in %s\r\n\r\nx\r\n" % name.encode())
    wire.ok("SUBSCRIBE a.b^c/deep")
    wire.ok("SUBSCRIBE not-there")
    wire.ok("RENAME old new")
    wire.ok("RENAME new newest")
    wire.ok("DELETE gone")
    with ImapWire(server.port("imap")) as admin:
        admin.login("admin")
        admin.ok("CREATE board")
        for number in range(6):
            append(admin, "board", b"Subject: notice %d\r\n\r\nx\r\n" % number)
        fill_users(server, admin)
        fill_second(admin, wire)


def fill_second(admin, wire):
    """The other partition: a mailbox that was made there, one that was moved there with what others have seen, one that came back."""
    for name in ("there", "moved", "back"):
        admin.ok(f"CREATE user/alice/{name}" + (f" {SECOND}" if name == "there" else ""))
        for number in range(3):
            append(wire, name, b"Subject: %s %d\r\n\r\nx\r\n" % (name.encode(), number), "(\\Flagged)" if number else "")
    admin.ok(f"RENAME user/alice/moved user/alice/moved {SECOND}")
    admin.ok(f"RENAME user/alice/back user/alice/back {SECOND}")
    admin.ok("RENAME user/alice/back user/alice/back default")
    admin.ok("SETQUOTA user/alice (STORAGE 100000 MESSAGE 5000)")
    admin.ok("SETQUOTA user/bob (MAILBOX 20)")


def fill_users(server, admin):
    """carol, who had another name, and was subscribed to another's by that; and one who is gone."""
    for user in ("dora", "emil"):
        server.add_user(user)
        read_board(server, user, "2,6")
    admin.ok("RENAME user/dora user/carol")
    admin.ok("DELETE user/emil")


def fill_many(wire):
    """More than have their summaries beside the header."""
    wire.ok("CREATE many")
    for _ in range(13):
        append(wire, "many", COPIES, '"27-Nov-2026 10:20:30 +0000"')
    wire.ok("SELECT many")
    for _ in range(7):
        wire.ok("COPY 1:* many")
        wire.ok("NOOP")
    wire.ok("STORE 5,100:200,1600 +FLAGS.SILENT (\\Seen last)")
    expunge(wire, "64:90,1000,1640")


def read_board(server, user, messages):
    with ImapWire(server.port("imap")) as wire:
        wire.login(user)
        wire.ok('SELECT "Shared Folders/board"')
        wire.ok(f"STORE {messages} +FLAGS.SILENT (\\Seen)")


def change_at_last(server, wire):
    """Only the log has these."""
    wire.ok("SELECT INBOX")
    wire.ok("STORE 2 -FLAGS.SILENT (\\Seen)")
    wire.ok("STORE 4 +FLAGS.SILENT (late \\Deleted)")
    append(wire, "INBOX", b"Subject: in the log\r\n\r\nx\r\n")
    expunge(wire, "1")
    wire.ok("SELECT many")
    wire.ok("STORE 1630 +FLAGS.SILENT (\\Flagged)")
    wire.ok("CREATE late")
    wire.ok("SUBSCRIBE late")
    read_board(server, "alice", "2:3,5")


def fill(server):
    with ImapWire(server.port("imap")) as wire:
        wire.login("alice")
        fill_inbox(server, wire)
        fill_names(server, wire)
        read_board(server, "bob", "1,4:6")
        server.ctl("store", "checkpoint")
        fill_many(wire)
        server.ctl("store", "checkpoint")
        change_at_last(server, wire)


def quotas(server):
    with ImapWire(server.port("imap")) as admin:
        admin.login("admin")
        return [line.decode() for user in ("alice", "bob") for line in admin.ok(f"GETQUOTA user/{user}")]


def pack(server, path):
    """Only what is the server's own, and nothing of who and where we are."""
    def plain(member):
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = ""
        member.mode = 0o700 if member.isdir() else 0o600
        return None if member.name.endswith("/lock") else member

    with tarfile.open(path, "w:xz", format=tarfile.USTAR_FORMAT, preset=9) as archive:
        for folder in (server.state_directory, server.spool, server.directory / SECOND):
            archive.add(folder, folder.name, filter=plain)


def write(path, found):
    """A message a line."""
    text = json.dumps(found, indent=1, sort_keys=True)
    row = re.compile(r"\[\s+(\d+),\s+(\d+),\s+(\"[^\"]*\"),\s+(\"[^\"]*\"),\s+(\d+),\s+(\"[^\"]*\")\s+\]")
    path.write_text(row.sub(r"[\1, \2, \3, \4, \5, \6]", text) + "\n")


def main():
    base = HERE / sys.argv[1]
    if base.with_suffix(".json").exists():
        sys.exit(f"{base}.json is there: a store is never made anew")
    server = Server(config=CONFIG)
    try:
        server.prepare()
        server.configure(settings(server))
        server.start()
        server.ctl("store", "renew", SECOND)
        server.restart()
        fill(server)
        found = {"snapshot": snapshot(server), "delivered": DELIVERED, "deleted": "gone",
                 "expunged-and-kept": KEPT, "partitions": [SECOND], "quota": quotas(server)}
        server.kill()
        pack(server, base.with_suffix(".tar.xz"))
    finally:
        server.cleanup()
    write(base.with_suffix(".json"), found)


if __name__ == "__main__":
    main()
