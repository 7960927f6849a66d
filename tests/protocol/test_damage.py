# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stores that are lost, damaged, or not the ones that they were: what is told, what is refused, what is had back."""

import os
import re
import shutil
import smtplib
import time

import pytest
from rookery_harness import BUILD, SLOW, wait_until
from rookery_snapshot import snapshot
from rookery_wire import ImapWire

HAS_MAIL = all((BUILD / f"plugins/{name}.la").exists() for name in ("imap", "lmtp", "storage-gdbm"))
pytestmark = pytest.mark.skipif(not HAS_MAIL, reason="built without mail")

USERS = ("alice", "bob")


def answer_of_delivery(server, user="alice"):
    """The code that a recipient, or the message, was answered with."""
    client = smtplib.LMTP()
    client.timeout = 30 * SLOW
    client.connect(str(server.path("lmtp")))
    try:
        refused = client.sendmail("sender@example.net", [user], "Subject: x\r\n\r\nx\r\n")
        return next(iter(refused.values()))[0] if refused else 250
    except smtplib.SMTPRecipientsRefused as error:
        return error.recipients[user][0]
    except smtplib.SMTPDataError as error:
        return error.smtp_code
    finally:
        client.close()


def copy_tree(server, source, target):
    """As the server's own files, whoever we are."""
    shutil.copytree(source, target)
    for path in (target, *target.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
        if os.geteuid() == 0:
            shutil.chown(path, server.user)


def make_empty(server, path):
    path.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(path, server.user)


def lose(directory, *patterns):
    """Files that match; at least one a pattern."""
    for pattern in patterns:
        found = list(directory.glob(pattern))
        assert found
        for path in found:
            path.unlink()


def put_back(server, place, older):
    shutil.rmtree(place)
    older.rename(place)
    server.start()


def numbers(server, user, mailbox="INBOX"):
    """UIDVALIDITY and UIDNEXT."""
    with ImapWire(server.port("imap")) as wire:
        wire.login(user)
        text = b"".join(wire.ok(f"STATUS {mailbox} (UIDVALIDITY UIDNEXT)"))
        return tuple(int(re.search(rb"%s (\d+)" % item, text).group(1)) for item in (b"UIDVALIDITY", b"UIDNEXT"))


def check_renewed(server, old):
    """bob's mailbox is numbered anew, and only once; alice's, which lies elsewhere, is not."""
    new = {user: numbers(server, user) for user in USERS}
    assert new["alice"] == old["alice"]
    assert new["bob"][0] > old["bob"][0]
    server.deliver("Subject: new\n\nnew\n", "bob")
    server.restart()
    assert numbers(server, "bob") == (new["bob"][0], new["bob"][1] + 1)
    check_whole(server)


def check_whole(server):
    server.ctl("store", "verify")
    server.ctl("mailbox", "verify", "--full")  # its status says whether there are faults


@pytest.fixture
def server(make_server):
    """alice on one partition, bob on another: names, rights, special uses, a mailbox that was renamed, one deleted."""
    one = make_server(start=False)
    one.prepare()
    settings = {"partition second": {"path": one.directory / "second"},
                "mailbox": {"autocreate": "delivery", "autocreate-folders": "Sent"}}
    one.configure(settings)
    one.start()
    for user in USERS:
        for number in range(3):
            one.deliver(f"Subject: {number} of {user}\n\n{'text ' * 200}\n", user)
        one.reload({**settings, "mailbox": {**settings["mailbox"], "default-partition": "second"}})
    with ImapWire(one.port("imap")) as wire:
        wire.login("alice")
        for command in ("CREATE old", "RENAME old new", "CREATE doomed"):
            wire.ok(command)
        for mailbox in ("INBOX", "new", "Sent", "doomed"):
            wire.append(mailbox, b"Subject: appended\r\n\r\nbody of " + mailbox.encode() + b"\r\n", "(\\Flagged $Kept)")
        wire.ok("DELETE doomed")
        wire.ok("SELECT INBOX")
        wire.ok("STORE 1 +FLAGS (\\Seen)")
        wire.ok("STORE 2 +FLAGS (\\Deleted)")
        wire.ok("EXPUNGE")
    return one


@pytest.fixture
def before(server):
    return snapshot(server, USERS)


def state_of(server):
    return server.state_directory / "mailboxes"


# --- the state store

def test_state_store_that_is_gone_is_made_of_what_partitions_know(server, before):
    server.stop()
    shutil.rmtree(state_of(server))
    server.start()
    server.wait_log(r"mail\.unavailable .*lost or damaged.*rookctl reconstruct --mailboxes")
    assert not state_of(server).exists() or not any(state_of(server).iterdir())
    assert answer_of_delivery(server) == 451
    with ImapWire(server.port("imap")) as wire:
        wire.login("alice")
        assert wire.command("SELECT INBOX")[1].startswith(b"NO [UNAVAILABLE]")
    told = server.ctl("reconstruct", "--mailboxes")
    assert f"{len(before['status'])} mailboxes and " in told and " of 2 partitions" in told
    assert "subscribed" in told
    server.reload()
    after = snapshot(server, USERS)
    assert after["status"] == before["status"]
    for user in USERS:
        assert after["users"][user]["mailboxes"] == before["users"][user]["mailboxes"]
        assert after["users"][user]["special"] == before["users"][user]["special"]
        own = {name for name in after["users"][user]["mailboxes"] if not name.startswith(('"Other', "Other"))}
        assert set(after["users"][user]["subscribed"]) == own
    check_whole(server)
    server.deliver("Subject: goes on\n\nx\n", "alice")
    with ImapWire(server.port("imap")) as wire:  # a name that comes again is another mailbox
        wire.login("alice")
        wire.ok("CREATE again")
        assert server.ctl("mailbox", "status", "user/alice/again", as_json=True)["uidvalidity"] > max(
            row["uidvalidity"] for row in before["status"].values())
    server.restart()
    check_whole(server)


def test_damaged_state_store_is_moved_aside(server, before):
    server.stop()
    lose(state_of(server), "table.0", "table.1", "log.0*")
    server.start()
    server.wait_log(r"mail\.unavailable ")
    told = server.ctl("reconstruct", "--mailboxes")
    assert "damaged state store is " in told and list(server.state_directory.glob("mailboxes.damaged-*"))
    server.reload()
    assert snapshot(server, USERS)["status"] == before["status"]


def test_reconstruction_needs_all_partitions_and_a_lost_state_store(server, before):
    done = server.ctl("reconstruct", "--mailboxes", check=False)
    assert done.returncode == 1 and "nothing to reconstruct" in done.stderr
    assert server.ctl("reconstruct", check=False).returncode == 1
    server.stop()
    shutil.rmtree(state_of(server))
    aside = server.directory / "aside"
    (server.directory / "second").rename(aside)
    server.start()
    for _ in range(2):
        done = server.ctl("reconstruct", "--mailboxes", check=False)
        assert done.returncode == 1 and "partition second can't be opened" in done.stderr
        assert answer_of_delivery(server) == 451
    done = server.reload(check=False)  # nor is it taken for whole, or for new
    assert done.returncode == 1
    shutil.rmtree(server.directory / "second", ignore_errors=True)
    aside.rename(server.directory / "second")
    server.ctl("reconstruct", "--mailboxes")
    server.reload()
    assert snapshot(server, USERS)["status"] == before["status"]


# --- partitions

def make_foreign(server, make_server, place):
    other = make_server()
    other.deliver("Subject: of another\n\nx\n", "alice")
    other.stop()
    copy_tree(server, other.spool, place)


@pytest.mark.parametrize("what", ["empty", "missing", "foreign", "older"])
def test_partition_that_is_not_what_it_was_is_unavailable(server, make_server, before, what):
    place, aside, snapshot_of = server.directory / "second", server.directory / "aside", server.directory / "snapshot"
    server.stop()
    copy_tree(server, place, snapshot_of)
    server.start()
    server.deliver("Subject: later\n\nlater\n", "bob")
    server.stop()
    place.rename(aside)
    if what == "empty":
        make_empty(server, place)
    elif what == "foreign":
        make_foreign(server, make_server, place)
    elif what == "older":
        copy_tree(server, snapshot_of, place)
    files = sorted(path.name for path in place.iterdir()) if place.exists() else []
    server.start()
    server.wait_log(r"mailbox\.partition-unavailable partition=second .*not the partition as it was.*rookctl store accept second")
    with ImapWire(server.port("imap")) as wire:
        wire.login("bob")
        assert wire.command("SELECT INBOX")[1].startswith(b"NO [UNAVAILABLE]")
        assert b"* LIST" in b"".join(wire.ok('LIST "" *'))  # which is the state store's to say
    assert answer_of_delivery(server, "bob") == 451
    assert answer_of_delivery(server, "alice") == 250
    left = sorted(path.name for path in place.iterdir()) if place.exists() else []
    assert [name for name in left if name != "lock"] == [name for name in files if name != "lock"]  # nothing was made
    shutil.rmtree(place, ignore_errors=True)
    aside.rename(place)
    server.reload()
    with ImapWire(server.port("imap")) as wire:
        wire.login("bob")
        assert b"* 4 EXISTS" in wire.ok("SELECT INBOX")
    check_whole(server)


def test_older_partition_is_taken_if_that_is_meant(server, before):
    place, older = server.directory / "second", server.directory / "older"
    old = {user: numbers(server, user) for user in USERS}
    server.stop()
    copy_tree(server, place, older)
    server.start()
    server.deliver("Subject: later\n\nlater\n", "bob")
    done = server.ctl("store", "accept", "second", check=False)
    assert done.returncode == 1 and "is open" in done.stderr
    server.stop()
    put_back(server, place, older)
    assert server.ctl("store", "accept", "nowhere", check=False).returncode == 1
    assert "rookctl reload" in server.ctl("store", "accept", "second")
    server.reload()
    assert snapshot(server, USERS)["users"]["bob"] == before["users"]["bob"]
    check_renewed(server, old)
    # What was moved away keeps the number that it got.
    new = numbers(server, "bob")
    with ImapWire(server.port("imap")) as wire:
        wire.login("admin")
        wire.ok("RENAME user/bob user/bob default")
    assert numbers(server, "bob") == new
    check_whole(server)


def test_partition_that_was_copied_while_it_was_in_use_is_older(server, before):
    place, older = server.directory / "second", server.directory / "older"
    copy_tree(server, place, older)
    time.sleep(1.1)  # how far a partition is, is noted by the first change of a second
    server.deliver("Subject: later\n\nlater\n", "bob")
    server.ctl("user", "list")  # the note, which nobody waits for, is of the same loop
    server.wait_log(r"delivery\.done")
    time.sleep(0.2)
    server.kill()
    put_back(server, place, older)
    server.wait_log(r"mailbox\.partition-unavailable .*older than")
    assert 400 <= answer_of_delivery(server, "bob") < 500
    assert answer_of_delivery(server, "alice") == 250


def test_backup_of_everything_was_put_back(server):
    old = {user: numbers(server, user) for user in USERS}
    assert server.ctl("store", "renew", "nowhere", check=False).returncode == 1
    said = server.ctl("store", "renew", "second")
    assert {user: numbers(server, user) for user in USERS} == old
    server.restart()
    assert str(numbers(server, "bob")[0]) in said
    check_renewed(server, old)


def test_last_log_of_a_partition_is_lost(server, before):
    old = {user: numbers(server, user) for user in USERS}
    server.restart()
    for _ in range(2):
        server.deliver("Subject: lost\n\nlost\n", "bob")
    server.kill()
    lose(server.directory / "second", max(path.name for path in (server.directory / "second").glob("log.0*")))
    server.start()
    server.wait_log(r"mailbox\.partition-renewed partition=second ")
    assert snapshot(server, USERS)["users"]["bob"] == before["users"]["bob"]
    check_renewed(server, old)


# --- the tables of a partition

def kill_and_lose_tables(server, place):
    server.kill()
    lose(place, "table.0", "table.1")


def test_tables_that_are_lost_are_read_from_a_whole_log(server, before):
    kill_and_lose_tables(server, server.spool)
    server.start()
    server.wait_log(r"store\.damaged .*the log, which goes back to the beginning")
    assert snapshot(server, USERS) == before
    check_whole(server)


def trim_log(server):
    """Until the log does not go back to the beginning any more."""
    for number in range(3):
        for name in (), ():
            server.ctl("store", "checkpoint", *name)
        server.deliver(f"Subject: after {number}\n\nx\n", "alice", "bob")
        server.restart()
    server.ctl("store", "checkpoint")
    server.ctl("store", "checkpoint")


def flags_by_uid(rows):
    return {uid: row[2] for row in rows for uid in range(row[0], row[1] + 1)}


def bodies_by_uid(rows):
    return {uid: row[3:] for row in rows for uid in range(row[0], row[1] + 1)}


def test_tables_that_are_lost_are_made_of_segments_and_log(server):
    trim_log(server)
    with ImapWire(server.port("imap")) as wire:
        wire.login("alice")
        wire.ok("SELECT INBOX")
        wire.ok("STORE 2 +FLAGS (\\Answered)")  # which the log still knows
        wire.ok("STORE 3 +FLAGS (\\Deleted)")
        wire.ok("EXPUNGE")
    before = snapshot(server, USERS)
    kill_and_lose_tables(server, server.spool)
    server.start()
    server.wait_log(r"store\.damaged .*made again of the segments and the log")
    server.wait_log(r"mailbox\.rebuilt mailbox=user/alice .*messages are there again.*uids go on at")
    after = snapshot(server, USERS)
    assert after["users"]["bob"] == before["users"]["bob"]  # whose partition is another
    mailboxes, wanted = after["users"]["alice"]["mailboxes"], before["users"]["alice"]["mailboxes"]
    for name, rows in wanted.items():  # what was expunged before the log begins is back: it was not purged yet
        back = {2} if name == "INBOX" else set()
        assert {uid: body for uid, body in bodies_by_uid(mailboxes[name]).items() if uid not in back} == bodies_by_uid(rows)
    flags = flags_by_uid(mailboxes["INBOX"])
    assert flags[3] == "\\Answered" and 4 not in flags and flags_by_uid(wanted["INBOX"])[3] == flags[3]
    for name in (row for row in before["status"] if row.startswith("user/alice")):
        was, now = before["status"][name], after["status"][name]
        assert (now["id"], now["uidvalidity"]) == (was["id"], was["uidvalidity"])
        assert now["uidnext"] >= was["uidnext"] and now["highest-modseq"] > was["highest-modseq"]
    check_whole(server)
    server.deliver("Subject: goes on\n\nx\n", "alice")
    server.restart()
    check_whole(server)
    assert len(list(server.spool.glob("table.*"))) == 2


def lost_of(server, mailbox):
    """What the log says is lost of it: uids or user, and the first word of why."""
    found = re.findall(rf"mailbox\.rebuilt (?:user=(\w+) )?mailbox={mailbox} \S+ \S+ (?:uid=(\S+) )?reason=\"(\w+)", server.log())
    return sorted((user or uids, why) for user, uids, why in found if user or uids)


def test_a_modseq_of_which_the_log_has_one_byte(make_server):
    server = make_server()
    with ImapWire(server.port("imap")) as wire:
        wire.login("alice")
        assert wire.append("INBOX", b"Subject: x\r\n\r\nx\r\n").startswith(b"OK")
    trim_log(server)
    with ImapWire(server.port("imap")) as wire:
        wire.login("alice")
        wire.ok("SELECT INBOX")
        first = server.ctl("mailbox", "status", "user/alice", as_json=True)["highest-modseq"]
        for number in range(255 - first):
            wire.ok(f"STORE 1 {'+-'[number % 2]}FLAGS.SILENT (\\Draft)")
        assert server.ctl("mailbox", "status", "user/alice", as_json=True)["highest-modseq"] == 255
        flags = wire.ok("UID FETCH 1 FLAGS")[0].replace(b" \\Recent", b"").replace(b"\\Recent", b"").split()
    kill_and_lose_tables(server, server.spool)
    server.start()
    with ImapWire(server.port("imap")) as wire:
        wire.login("alice")
        wire.ok("SELECT INBOX")
        assert wire.ok("UID FETCH 1 FLAGS")[0].split() == flags
    check_whole(server)


def test_what_a_rebuild_has_lost_is_said_by_uid_and_user(make_server):
    server = make_server({"mailbox": {"default-acl": "alice lrswit;bob lrs;carol lrs"}})
    with ImapWire(server.port("imap")) as wire:
        wire.login("admin")
        wire.ok("CREATE club")
    club = '"Shared Folders/club"'
    with ImapWire(server.port("imap")) as wire:
        wire.login("alice")
        for number in range(6):
            assert wire.append(club, b"Subject: %d\r\n\r\nx\r\n" % number, "(\\Flagged $Came)").startswith(b"OK")
        for number in range(3):
            assert wire.append("INBOX", b"Subject: %d\r\n\r\ny\r\n" % number).startswith(b"OK")
        wire.ok(f"SELECT {club}")
        wire.ok("STORE 1 +FLAGS (\\Answered)")
    for user in ("bob", "carol"):
        with ImapWire(server.port("imap")) as wire:
            wire.login(user)
            wire.ok(f"SELECT {club}")
            wire.ok("STORE 6 +FLAGS (\\Seen)")
    trim_log(server)
    with ImapWire(server.port("imap")) as wire:  # these the log still knows: flags of two, with and without names of keywords
        wire.login("alice")
        wire.ok(f"SELECT {club}")
        wire.ok("STORE 3 +FLAGS (\\Answered)")
        wire.ok("SELECT INBOX")
        wire.ok("STORE 2 +FLAGS (\\Answered $Late)")
    with ImapWire(server.port("imap")) as wire:
        wire.login("bob")
        wire.ok(f"SELECT {club}")
        wire.ok("STORE 3 +FLAGS (\\Seen)")
    kill_and_lose_tables(server, server.spool)
    server.start()
    server.wait_log(r"store\.repaired .*made again")
    # What bob sees anew moves the modseq of 3, and all that he has seen is in one value.
    assert lost_of(server, "club") == [("1:2,4:6", "flags"), ("3", "keywords"), ("alice", "what"), ("carol", "what")]
    assert [row for row in lost_of(server, "user/alice") if row[1] == "keywords"] == []
    with ImapWire(server.port("imap")) as wire:
        wire.login("alice")
        wire.ok("SELECT INBOX")
        assert b"$Late" in b"".join(wire.ok("UID FETCH 2 FLAGS"))
        wire.ok(f"SELECT {club}")
        assert b"(\\Answered \\Flagged)" in b"".join(wire.ok("UID FETCH 3 FLAGS"))
    with ImapWire(server.port("imap")) as wire:
        wire.login("bob")
        wire.ok(f"SELECT {club}")
        assert [b"\\Seen" in line for line in wire.ok("FETCH 1:6 FLAGS")] == [False, False, True, False, False, True]
    check_whole(server)


# --- a body

def test_bit_of_a_body_is_told_to_who_reads_it_and_to_nobody_else(server, before):
    server.stop()
    (path, at), = ((path, path.read_bytes().find(b"body of new")) for path in server.spool.glob("mail.*")
                   if b"body of new" in path.read_bytes())
    with open(path, "r+b") as segment:
        segment.seek(at)
        segment.write(b"c")
    server.start()
    with ImapWire(server.port("imap")) as wire:
        wire.login("alice")
        wire.ok("SELECT new")
        assert wire.command("FETCH 1 BODY.PEEK[TEXT]")[1].startswith(b"NO [CORRUPTION]")
        server.wait_log(r"mailbox\.damaged mailbox=user/alice/new .*uid=1 ")
        assert b"appended" in b"".join(wire.ok("FETCH 1 (FLAGS ENVELOPE)"))
        assert wire.append("new", b"Subject: next\r\n\r\nnext\r\n").startswith(b"OK")
        assert b"next\r\n" in b"".join(wire.ok("FETCH 2 BODY.PEEK[TEXT]"))
    done = server.ctl("mailbox", "verify", "--full", check=False)
    assert done.returncode == 1
    server.wait_log(r"mailbox\.fault mailbox=user/alice/new uid=1 ")
    after = snapshot(server, ("bob",))
    assert after["users"]["bob"] == before["users"]["bob"]


def test_log_and_tables_lost_together(server, before):
    trim_log(server)
    server.kill()
    lose(server.spool, "table.0", "table.1", "log.0*", "CURRENT")
    server.start()
    server.wait_log(r"mailbox\.rebuilt mailbox=user/alice ")
    after = snapshot(server, USERS)
    assert set(after["users"]["alice"]["mailboxes"]) == set(before["users"]["alice"]["mailboxes"])
    for name, rows in before["users"]["alice"]["mailboxes"].items():
        assert bodies_by_uid(rows).items() <= bodies_by_uid(after["users"]["alice"]["mailboxes"][name]).items()
    check_whole(server)


@pytest.mark.parametrize("copy", ["table.0", "table.1"])
def test_one_copy_is_deleted_under_a_running_server(server, before, copy):
    lose(server.spool, copy)
    server.deliver("Subject: meanwhile\n\nx\n", "bob")
    assert snapshot(server, ("alice",))["users"]["alice"] == before["users"]["alice"]
    server.ctl("store", "checkpoint")
    server.ctl("store", "checkpoint")
    server.wait_log(r"store\.repaired .*is made anew")
    assert (server.spool / copy).exists()
    assert snapshot(server, ("alice",))["users"]["alice"] == before["users"]["alice"]
    check_whole(server)
    server.restart()
    assert snapshot(server, ("alice",))["users"]["alice"] == before["users"]["alice"]
    check_whole(server)


def test_spoilt_structures_are_told_once_and_made_again(make_server):
    """The cache of messages' structures is not what counts: verify counts what does not read, and reading a message mends it."""
    server = make_server()
    for number in range(3):
        server.deliver(f"Subject: {number}\n\ntext {number}\n", "alice")

    def structures():
        with ImapWire(server.port("imap")) as wire:
            wire.login("alice")
            wire.ok("EXAMINE INBOX")
            return wire.ok("FETCH 1:3 (ENVELOPE BODYSTRUCTURE)")

    before = structures()
    server.stop()
    segment = next(server.spool.glob("cache.*"))
    data = bytearray(segment.read_bytes())
    at = -1
    while (at := data.find(b"RkM\2", at + 1)) >= 0:
        data[at + 16] ^= 4
    segment.write_bytes(data)
    server.start()
    assert "the cached structure of 3 messages is missing" in server.ctl("mailbox", "verify")
    assert structures() == before
    wait_until(lambda: "cached structure" not in server.ctl("mailbox", "verify"))
    assert structures() == before
    told = [line for line in server.log().splitlines() if "mailbox.structure-spoilt" in line]
    assert len(told) == 1 and "mailbox=user/alice" in told[0] and "uid=1" in told[0]
    server.restart()
    assert structures() == before
    assert "cached structure" not in server.ctl("mailbox", "verify")
    assert server.log().count("mailbox.structure-spoilt") == 1
