# SPDX-License-Identifier: LGPL-2.1-or-later
"""Users whom an administrator renames and deletes: what is theirs stays theirs, and no newcomer of the name has it."""

import re
import threading

import pytest

from rookery_wire import ImapWire

CONFIG = {"mailbox": {"default-acl": "anyone lrsip", "alt-namespace": "false", "separator": "/", "max-subscriptions": "3"}}
MESSAGE = b"Subject: x\r\n\r\nx\r\n"


@pytest.fixture
def server(make_server):
    return make_server(CONFIG)


@pytest.fixture
def login(server):
    """A function that opens a session of a user, who is made if there is none."""
    wires = []

    def connect(user):
        if user not in ("admin", "alice", "bob") and user not in connect.made:
            server.add_user(user)
        connect.made.add(user)
        wires.append(ImapWire(server.port("imap")))
        return wires[-1].login(user)

    connect.made = set()
    yield connect
    for wire in wires:
        wire.close()


def unseen(wire):
    """Uids of what the session has not seen in `shared`."""
    wire.ok("SELECT shared")
    answer, = wire.ok("SEARCH UNSEEN")
    return answer.split()[2:]


def subscribed(wire):
    return sorted(re.sub(rb'.*"/" ', b"", line) for line in wire.ok('LSUB "" "*"'))


@pytest.fixture
def admin(login):
    admin = login("admin")
    admin.ok("CREATE shared")
    for _ in range(2):
        admin.append("shared", MESSAGE)
    return admin


@pytest.fixture
def user(login, admin):
    user = login("user0001")
    user.ok("CREATE INBOX/Sent")
    for name in ("INBOX", "INBOX/Sent", "shared"):
        user.ok(f"SUBSCRIBE {name}")
    user.ok("SELECT shared")
    user.ok("STORE 1 +FLAGS (\\Seen)")
    return user


def check_renamed(login):
    renamed, newcomer = login("user0009"), login("user0001")
    assert unseen(renamed) == [b"2"]
    assert subscribed(renamed) == [b"INBOX", b"INBOX/Sent", b"shared"]
    assert unseen(newcomer) == [b"1", b"2"]
    assert subscribed(newcomer) == [b"INBOX"]


def test_renamed_user_keeps_what_was_theirs(server, login, admin, user):
    admin.ok("RENAME user/user0001 user/user0009")
    check_renamed(login)
    server.kill()
    server.start()
    check_renamed(login)
    server.ctl("store", "verify")
    server.ctl("mailbox", "verify", "--full")


def test_deleted_user_leaves_nothing(server, login, admin, user):
    admin.ok("DELETE user/user0001")
    for _ in range(2):
        newcomer = login("user0001")
        assert unseen(newcomer) == [b"1", b"2"]
        assert subscribed(newcomer) == [b"INBOX"]
        server.kill()
        server.start()
    server.ctl("job", "run", "forget-users")
    newcomer = login("user0001")
    newcomer.ok("SELECT shared")
    newcomer.ok("STORE 2 +FLAGS (\\Seen)")
    assert unseen(newcomer) == [b"1"]
    server.ctl("mailbox", "verify", "--full")


def test_limit_of_subscriptions(user):
    assert user.command("SUBSCRIBE another")[1] == b"NO [LIMIT] Limit reached"
    user.ok("SUBSCRIBE shared")
    user.ok("UNSUBSCRIBE shared")
    user.ok("SUBSCRIBE another")


def test_sessions_that_race_leave_what_a_restart_finds(server, login):
    """Subscriptions in memory and those on disk are the same, in whatever order answers came."""
    server.reload({"mailbox": {**CONFIG["mailbox"], "max-subscriptions": "100"}})
    wires = [login("bob") for _ in range(6)]
    done = []

    def change(number):
        for step in range(60):
            verb = "SUBSCRIBE" if (number + step) % 2 else "UNSUBSCRIBE"
            wires[number].ok(f"{verb} race{step // 20}")
        done.append(number)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(len(wires))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == len(wires)
    before = subscribed(wires[0])
    server.restart()
    assert subscribed(login("bob")) == before
