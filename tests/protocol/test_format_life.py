# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stores that earlier servers left (tests/format/): each is opened, is what it was, and goes on."""

import json
import os
import shutil
import tarfile

import pytest

from rookery_harness import SOURCE
from rookery_snapshot import snapshot
from rookery_wire import ImapWire

STORES = sorted((SOURCE / "tests" / "format").glob("*.json"))
FOR_EVER = "30000d"
CONFIG = {
    "server": {"hostname": "mail.example.org"}, "job expire": {"when": "never"},
    "mailbox": {"autocreate": "delivery", "autocreate-folders": "Sent;Trash", "keep-expunged": FOR_EVER,
                "duplicate-lifetime": FOR_EVER},
}


def settings(server, expected, **mailbox):
    """With the partitions that it had beside the first."""
    others = {f"partition {name}": {"path": server.directory / name} for name in expected.get("partitions", [])}
    return {**CONFIG, **others, "mailbox": {**CONFIG["mailbox"], **mailbox}}


def unpack(archive, server, partitions):
    """As the server's own files, whoever we are."""
    with tarfile.open(archive) as tar:
        tar.extractall(server.directory)
    for folder in (server.state_directory, server.spool, *(server.directory / name for name in partitions)):
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)
            if os.geteuid() == 0:
                shutil.chown(path, server.user)


def check_whole(server):
    server.ctl("store", "verify")
    server.ctl("mailbox", "verify", "--full")  # its status says whether there are faults


@pytest.fixture(params=STORES, ids=lambda path: path.stem)
def expected(request):
    return json.loads(request.param.read_text())


@pytest.fixture
def server(request, expected, make_server):
    archive = request.node.callspec.params["expected"].with_suffix(".tar.xz")
    one = make_server(CONFIG, start=False)
    one.prepare()
    one.configure(settings(one, expected))
    unpack(archive, one, expected.get("partitions", []))
    return one.start()


@pytest.fixture
def wire(server):
    with ImapWire(server.port("imap")) as one:
        yield one.login()


def test_there_are_stores():
    assert STORES


def test_all_is_as_it_was(server, expected):
    assert snapshot(server) == expected["snapshot"]
    check_whole(server)
    server.restart()
    assert snapshot(server) == expected["snapshot"]


def test_it_goes_on(server, expected, wire):
    server.deliver("Subject: new\n\nnew\n", "alice")
    wire.append("many", b"Subject: new\r\n\r\nnew\r\n", "(\\Flagged another)")
    wire.ok("SELECT many")
    wire.ok("STORE 1,70:80,1600:1620 +FLAGS.SILENT (\\Answered)")
    wire.ok("UID STORE 7 +FLAGS.SILENT (\\Deleted)")
    wire.ok("UID EXPUNGE 7")
    wire.ok("COPY 1:3 INBOX")
    wire.ok("RENAME newest older")
    changed = snapshot(server)
    before, after = expected["snapshot"]["users"]["alice"]["mailboxes"], changed["users"]["alice"]["mailboxes"]
    inbox, many = expected["snapshot"]["status"]["user/alice"], expected["snapshot"]["status"]["user/alice/many"]
    assert after["INBOX"][:len(before["INBOX"])] == before["INBOX"]
    assert after["INBOX"][len(before["INBOX"])][0] == inbox["uidnext"] and after["INBOX"][-1][1] == inbox["uidnext"] + 3
    assert after["older"] == before["newest"]
    assert after["many"][-1][:3] == [many["uidnext"], many["uidnext"], "\\Flagged another"]
    assert changed["status"]["user/alice/many"]["messages"] == many["messages"]
    assert changed["users"]["bob"] == expected["snapshot"]["users"]["bob"]
    check_whole(server)
    server.restart()
    assert snapshot(server) == changed
    check_whole(server)


def test_limits_and_usage_are_as_they_were(server, expected):
    if "quota" not in expected:
        pytest.skip("it has none")
    with ImapWire(server.port("imap")) as admin:
        admin.login("admin")
        assert [line.decode() for user in ("alice", "bob") for line in admin.ok(f"GETQUOTA user/{user}")] == expected["quota"]


def test_deliveries_are_remembered(server, expected):
    server.deliver(expected["delivered"], "alice", "bob")
    assert snapshot(server) == expected["snapshot"]


def test_rights_are_those_that_were_given(server, wire):
    """Everybody reads the board, and bob writes on it too."""
    for user, may in ((wire, False), (ImapWire(server.port("imap")), True)):
        if may:
            user.login("bob")
        user.ok('SELECT "Shared Folders/board"')
        user.command("STORE 1 +FLAGS.SILENT (\\Flagged)")
        assert user.ok("SEARCH FLAGGED") == [b"* SEARCH 1" if may else b"* SEARCH"]
    user.close()


def test_a_name_that_was_deleted_is_another_mailbox(server, expected, wire):
    assert wire.append(expected["deleted"], b"Subject: x\r\n\r\n").startswith(b"NO [TRYCREATE]")
    wire.ok(f"CREATE {expected['deleted']}")
    made = server.ctl("mailbox", "status", f"user/alice/{expected['deleted']}", as_json=True)
    assert made["uidvalidity"] > max(row["uidvalidity"] for row in expected["snapshot"]["status"].values())


def test_upkeep_finds_what_was_left_for_it(server, expected):
    server.reload(settings(server, expected, **{"keep-expunged": "0s"}))
    server.ctl("job", "run", "expire")
    job = next(row for row in server.ctl("job", "list", as_json=True) if row["name"] == "expire")
    assert f"{expected['expunged-and-kept']} messages purged" in str(job)
    for verb in ("checkpoint", "compact"):
        server.ctl("store", verb)
    check_whole(server)
    assert snapshot(server)["users"] == expected["snapshot"]["users"]
