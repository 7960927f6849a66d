# SPDX-License-Identifier: LGPL-2.1-or-later
"""All that a server says of its mail, as plain data: what two servers, or two starts of one, can be compared by."""

import hashlib
import re

from rookery_wire import ImapWire

ITEMS = re.compile(rb"\* \d+ FETCH \(FLAGS \(([^)]*)\) INTERNALDATE \"([^\"]+)\" RFC822.SIZE (\d+) UID (\d+) "
                   rb"BODY\[\] \{\d+\}\r\n(.*)\)", re.S)
STATUS = ("id", "uidvalidity", "uidnext", "messages", "recent", "unseen", "deleted", "highest-modseq", "size")
SPECIAL = (b"\\Sent", b"\\Trash")


def messages(wire, mailbox):
    """Rows of [first uid, last uid, flags, internal date, size, SHA-1 of the body]: neighbours that are alike share one."""
    rows = []
    wire.ok(b"EXAMINE " + mailbox)  # takes nobody's \Recent away
    for response in wire.ok("UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE UID BODY.PEEK[])"):
        flags, date, size, uid, body = ITEMS.fullmatch(response).groups()
        row = [int(uid), int(uid), " ".join(sorted(flags.decode().split())), date.decode(), int(size),
               hashlib.sha1(body).hexdigest()]
        if rows and rows[-1][1] == row[0] - 1 and rows[-1][2:] == row[2:]:
            rows[-1][1] = row[1]
        else:
            rows.append(row)
    wire.ok("UNSELECT")
    return rows


def listed(wire, command):
    """What LIST or LSUB answers: each mailbox, as it is to be sent back, and its special use."""
    found = {}
    for response in wire.ok(command):
        attributes, name = re.fullmatch(rb'\* L\w+ \(([^)]*)\) "/" (.*)', response).groups()
        found[name] = [word.decode() for word in attributes.split() if word in SPECIAL]
    return found


def of_user(server, user):
    with ImapWire(server.port("imap")) as wire:
        wire.login(user)
        found = listed(wire, 'LIST "" *')
        return {
            "mailboxes": {name.decode(): messages(wire, name) for name in found},
            "special": {name.decode(): use for name, use in found.items() if use},
            "subscribed": sorted(name.decode() for name in listed(wire, 'LSUB "" *')),
        }


def status(server, name):
    row = server.ctl("mailbox", "status", name, as_json=True)
    return {key: row[key] for key in STATUS}


def snapshot(server, users=("alice", "bob", "carol")):
    return {
        "status": {row["name"]: status(server, row["name"]) for row in server.ctl("mailbox", "list", as_json=True)},
        "users": {user: of_user(server, user) for user in users},
    }
