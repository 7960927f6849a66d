# SPDX-License-Identifier: LGPL-2.1-or-later
"""Quota as clients and mail servers see it: RFC 9208's commands, [OVERQUOTA], and what LMTP answers."""

import pytest

from rookery_wire import ImapWire, Wire


def message(size):
    head = b"Subject: x\r\n\r\n"
    return head + b"x" * (size - len(head) - 2) + b"\r\n"


@pytest.fixture
def admin(imap):
    return imap("admin")


@pytest.fixture
def user(server, admin, request):
    """A user of this test's own, and their session."""
    name = request.node.name.replace("[", "-").strip("]").replace("_", "-")[:40]
    server.add_user(name)
    with ImapWire(server.port("imap")) as wire:
        wire.login(name)
        wire.name = name
        yield wire


def test_capabilities_are_told_after_login(imap):
    words = set(imap().ok("CAPABILITY")[0].decode().split())
    assert {"QUOTA", "QUOTASET", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE", "QUOTA=RES-MAILBOX"} <= words
    assert b"QUOTA" not in imap(None).ok("CAPABILITY")[0]


def test_set_and_get(admin, user):
    root = f"user/{user.name}".encode()
    assert admin.ok(f"SETQUOTA user/{user.name} (STORAGE 512)") == [b"* QUOTA %s (STORAGE 0 512)" % root]
    assert admin.ok(f'GETQUOTA "user/{user.name}"') == [b"* QUOTA %s (STORAGE 0 512)" % root]
    assert user.append("INBOX", message(3000)).startswith(b"OK ")
    assert admin.ok(f"SETQUOTA user/{user.name} (message 5 storage 10 MAILBOX 3)") == [
        b"* QUOTA %s (STORAGE 2 10 MESSAGE 1 5 MAILBOX 1 3)" % root]
    assert user.ok("GETQUOTAROOT INBOX") == [b"* QUOTAROOT INBOX INBOX",
                                             b"* QUOTA INBOX (STORAGE 2 10 MESSAGE 1 5 MAILBOX 1 3)"]
    user.ok("CREATE a")
    assert user.ok("GETQUOTAROOT a") == [b"* QUOTAROOT a INBOX", b"* QUOTA INBOX (STORAGE 2 10 MESSAGE 1 5 MAILBOX 2 3)"]
    assert admin.ok(f"SETQUOTA user/{user.name} ()") == [b"* QUOTA %s ()" % root]
    assert user.ok("GETQUOTAROOT a") == [b"* QUOTAROOT a INBOX", b"* QUOTA INBOX ()"]


def test_names_of_cyrus_and_limits_that_are_none(admin, user):
    root = f"user/{user.name}".encode()
    assert admin.ok(f"SETQUOTA user/{user.name} (X-NUM-FOLDERS 7 X-ANNOTATION-STORAGE 5 STORAGE -1)") == [
        b"* QUOTA %s (MAILBOX 1 7 ANNOTATION-STORAGE 0 5)" % root]
    # As cyradm writes two resources.
    assert admin.ok(f"SETQUOTA user/{user.name} (MESSAGE 50STORAGE 2000 )") == [
        b"* QUOTA %s (STORAGE 0 2000 MESSAGE 0 50)" % root]


def test_who_may_ask(admin, user, imap):
    mine = f"user/{user.name}"
    assert user.ok("GETQUOTAROOT INBOX") == [b"* QUOTAROOT INBOX"]
    assert admin.command(f"GETQUOTA {mine}")[1] == b"NO [NONEXISTENT] Quota root does not exist"
    admin.ok(f"SETQUOTA {mine} (STORAGE 1)")
    assert user.command("SETQUOTA INBOX (STORAGE 1000)")[1].startswith(b"NO [NOPERM]")
    assert user.ok("GETQUOTA INBOX") == user.ok("GETQUOTAROOT INBOX")[1:] == [b"* QUOTA INBOX (STORAGE 0 1)"]
    admin.ok(f"CREATE shared-{user.name}")
    admin.ok(f"SETQUOTA shared-{user.name} (STORAGE 1)")
    assert user.command(f'GETQUOTA "Shared Folders/shared-{user.name}"')[1].startswith(b"NO [NOPERM]")
    bob = imap("bob")
    assert bob.command(f'GETQUOTAROOT "Other Users/{user.name}"')[1].startswith(b"NO [NONEXISTENT]")
    assert bob.command(f'GETQUOTA "Other Users/{user.name}"')[1].startswith(b"NO [NONEXISTENT]")
    assert bob.command(f'SETQUOTA "Other Users/{user.name}" ()')[1].startswith(b"NO [NONEXISTENT]")
    assert admin.command("SETQUOTA user/nobody-here (STORAGE 1)")[1].startswith(b"NO [NONEXISTENT]")


@pytest.mark.parametrize("arguments, answer", [
    ("", b"BAD "),
    (" INBOX", b"BAD "),
    (" INBOX STORAGE 1", b"BAD "),
    (" INBOX (STORAGE)", b"BAD "),
    (" INBOX (STORAGE x)", b"BAD "),
    (" INBOX (STORAGE -2)", b"BAD "),
    (" INBOX (STORAGE 1", b"BAD "),
    (" INBOX (STORAGE 1) x", b"BAD "),
    (" INBOX (STORAGE 9223372036854775808)", b"BAD "),
    (" INBOX (NONSENSE 1)", b"NO [CANNOT] Unsupported quota resource"),
])
def test_what_does_not_parse(imap, arguments, answer):
    assert imap("admin").command(f"SETQUOTA{arguments}")[1].startswith(answer)


def test_largest_limit(admin, user):
    admin.ok(f"SETQUOTA user/{user.name} (STORAGE 9223372036854775807 MESSAGE 9223372036854775807)")
    assert user.append("INBOX", message(3000)).startswith(b"OK ")


def test_over_quota(admin, user):
    admin.ok(f"SETQUOTA user/{user.name} (STORAGE 4 MAILBOX 2)")
    assert user.append("INBOX", message(3000)).startswith(b"OK ")
    assert user.append("INBOX", message(1097)) == b"NO [OVERQUOTA] Over quota"
    user.ok("CREATE a")
    assert user.command("CREATE b")[1] == b"NO [OVERQUOTA] Over quota"
    user.ok("SELECT INBOX")
    assert user.command("COPY 1 a")[1] == b"NO [OVERQUOTA] Over quota"
    user.ok("MOVE 1 a")
    user.ok("SELECT a")
    user.ok("STORE 1 +FLAGS (\\Deleted)")
    user.ok("EXPUNGE")
    assert user.append("INBOX", message(4096)).startswith(b"OK ")
    assert admin.ok(f"GETQUOTA user/{user.name}") == [b"* QUOTA user/%s (STORAGE 4 4 MAILBOX 2 2)" % user.name.encode()]


def test_what_expunge_would_free(user):
    for size in (1000, 2000, 3000):
        user.append("INBOX", message(size))
    assert user.ok("STATUS INBOX (DELETED DELETED-STORAGE)") == [b"* STATUS INBOX (DELETED 0 DELETED-STORAGE 0)"]
    user.ok("SELECT INBOX")
    user.ok("STORE 2:3 +FLAGS.SILENT (\\Deleted)")
    user.ok("UNSELECT")
    assert user.ok("STATUS INBOX (DELETED-STORAGE MESSAGES DELETED)") == [
        b"* STATUS INBOX (DELETED-STORAGE 5000 MESSAGES 3 DELETED 2)"]


# --- LMTP

def deliver(server, recipient, size, parameters="", announced=False):
    """(the command that it ended with, its answer)"""
    def answer(wire):
        line = wire.line().decode()
        while line[3] == "-":
            line = wire.line().decode()
        return line

    with Wire(server.path("lmtp")) as wire:
        answer(wire)
        for command in ("LHLO x", f"MAIL FROM:<a@example.org>{f' SIZE={size}' if announced else ''}",
                        f"RCPT TO:<{recipient}>{parameters}", "DATA"):
            wire.send(command)
            reply = answer(wire)
            if reply[0] not in "23":
                return command[:4], reply
        wire.send(message(size) + b".\r\n")
        return "DATA", answer(wire)


def is_taken(outcome):
    return outcome[1].startswith("250 ")


def room(wire, user, kib):
    wire.ok(f"SETQUOTA user/{user} (STORAGE {kib})")


def test_a_delivery_may_overshoot_once(server, admin, user):
    room(admin, user.name, 4)
    assert is_taken(deliver(server, user.name, 3000))
    assert is_taken(deliver(server, user.name, 3000, announced=True))
    assert deliver(server, user.name, 100) == ("RCPT", "452 4.2.2 Over quota")
    assert is_taken(deliver(server, user.name, 100, " IGNOREQUOTA"))


def test_a_delivery_has_to_fit_where_quota_is_strict(make_server):
    server = make_server({"delivery": {"strict-quota": True}, "plugin lmtp": {"over-quota-is-permanent": True}})
    with ImapWire(server.port("imap")) as wire, ImapWire(server.port("imap")) as admin:
        wire.login("alice")
        admin.login("admin")
        room(admin, "alice", 4)
        assert is_taken(deliver(server, "alice", 3000))
        assert deliver(server, "alice", 3000) == ("DATA", "552 5.2.2 Over quota")
        assert deliver(server, "alice", 3000, announced=True) == ("RCPT", "552 5.2.2 Over quota")
        assert is_taken(deliver(server, "alice", 500, announced=True))


def test_usage_after_a_restart(make_server):
    server = make_server()
    with ImapWire(server.port("imap")) as wire, ImapWire(server.port("imap")) as admin:
        wire.login("alice")
        admin.login("admin")
        wire.ok("CREATE a")
        admin.ok("SETQUOTA user/alice (STORAGE 100 MESSAGE 100)")
        for size in (5000, 6000):
            assert wire.append("a", message(size)).startswith(b"OK ")
    server.restart()
    with ImapWire(server.port("imap")) as admin:
        admin.login("admin")
        assert admin.ok("GETQUOTA user/alice") == [b"* QUOTA user/alice (STORAGE 10 100 MESSAGE 2 100)"]
