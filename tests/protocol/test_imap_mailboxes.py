# SPDX-License-Identifier: LGPL-2.1-or-later
"""IMAP commands on mailboxes as such: LIST, CREATE, DELETE, RENAME, subscriptions, STATUS."""

import re

import pytest

from rookery_wire import ImapWire


def names(responses, verb=b"LIST"):
    found = []
    for response in responses:
        match = re.fullmatch(rb'\* ' + verb + rb' \(([^)]*)\) "(.)" (.*)', response)
        assert match, response
        found.append(match.group(3).decode().strip('"'))
    return found


def test_inbox_is_there_at_first_login(imap):
    wire = imap("bob")
    assert names(wire.ok('LIST "" *')) == ["INBOX"]


def test_root_of_the_hierarchy(imap):
    assert imap().ok('LIST "" ""') == [b'* LIST (\\Noselect) "/" ""']


def test_namespace(imap):
    assert imap().ok("NAMESPACE") == [b'* NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared Folders/" "/"))']


def test_create_list_delete(imap):
    wire = imap()
    wire.ok("CREATE one")
    wire.ok("CREATE one/two")
    assert wire.ok('LIST "" one*') == [b'* LIST (\\HasChildren) "/" one', b'* LIST (\\HasNoChildren) "/" one/two']
    wire.ok("DELETE one/two")
    wire.ok("DELETE one")
    assert wire.ok('LIST "" one*') == []


def test_missing_parents_are_made(imap):
    wire = imap()
    wire.ok("CREATE p/q/r/")
    assert names(wire.ok('LIST "" p*')) == ["p", "p/q", "p/q/r"]


@pytest.mark.parametrize("pattern, expected", [
    ("%", ["INBOX", "t"]),
    ("t/%", ["t/a", "t/b"]),
    ("t/*", ["t/a", "t/a/x", "t/b"]),
    ("t/%/%", ["t/a/x"]),
    ("*x", ["t/a/x"]),
    ("inbox", ["INBOX"]),
    ("nothing", []),
])
def test_list_patterns(server, imap, pattern, expected):
    wire = imap("carol")
    for name in ("t", "t/a", "t/a/x", "t/b"):
        wire.command(f"CREATE {name}")
    assert names(wire.ok(f'LIST "" {pattern}')) == expected


def test_list_with_reference(imap):
    wire = imap()
    wire.ok("CREATE ref/a")
    assert names(wire.ok('LIST "ref/" %')) == ["ref/a"]


def test_names_in_modified_utf7(imap):
    wire = imap()
    wire.ok('CREATE "Entw&APw-rfe &- mehr"')
    assert wire.ok('LIST "" Entw*') == [b'* LIST (\\HasNoChildren) "/" "Entw&APw-rfe &- mehr"']
    wire.ok('SELECT "Entw&APw-rfe &- mehr"')
    assert wire.command("CREATE Entw&APx")[1] == b"NO [CANNOT] Mailbox name is not modified UTF-7"


@pytest.mark.parametrize("name", ["/a", "a//b", '""', '"a\x01b"', "a/" + "b/" * 60 + "c", "x" * 1100])
def test_bad_names_are_refused(imap, name):
    assert imap().command(f"CREATE {name}")[1].startswith(b"NO [CANNOT]")


@pytest.mark.parametrize("name, why", [
    ('"a*b"', "can't contain * or %"), ('"%"', "can't contain * or %"), ('"box/sub*"', "can't contain * or %"),
    (".", "can't be . or .."), ("..", "can't be . or .."), ("a/../b", "can't be . or .."), ("a/./b", "can't be . or .."),
    ('" a"', "begin or end with a space"), ('"a "', "begin or end with a space"), ('"a/ b"', "begin or end with a space"),
    ("a&IC4-b", "characters that are not seen"), ("a&IAs-", "characters that are not seen"),
    ("&,v8-a", "characters that are not seen"), ("a&IGY-b", "characters that are not seen")])
def test_names_that_deceive_are_refused(imap, name, why):
    """By CREATE and by RENAME, with a reason that a person understands."""
    wire = imap()
    if b"RENAMED" not in b"".join(wire.ok('LIST "" RENAMED')):
        wire.ok("CREATE RENAMED")
    for command in (f"CREATE {name}", f"RENAME RENAMED {name}"):
        answer = wire.command(command)[1].decode()
        assert answer.startswith("NO [CANNOT] Mailbox names") and answer.endswith(why), answer


@pytest.mark.parametrize("name", ["...", "a.b", ".hidden", "a..b", "~", "~root", '"a b"', '"#news"', "-", "&2D3caCAN2D3caCAN2D3cZw-",
                                  "&BkUGzCAMBk8-", "$HOME", '"\\\\"', "'", '"{5}"', '"(a)"'])
def test_names_that_only_look_odd_are_taken(imap, name):
    wire = imap()
    wire.ok(f"CREATE odd/{name}" if not name.startswith('"') else f'CREATE "odd/{name[1:]}')
    wire.ok(f"DELETE odd/{name}" if not name.startswith('"') else f'DELETE "odd/{name[1:]}')


def test_inbox_has_children_only_where_they_are_shown(imap, make_server):
    """In the alternative namespace they stand beside it."""
    wire = imap("bob")
    wire.ok("CREATE beside")
    assert b'* LIST (\\HasNoChildren) "/" INBOX' in wire.ok('LIST "" INBOX')
    assert wire.command("CREATE INBOX/below")[1] == b"NO [CANNOT] Folders lie beside INBOX here, not below it"
    with ImapWire(make_server({"mailbox": {"alt-namespace": False}}).port("imap")) as other:
        other.login("bob")
        other.ok("CREATE INBOX/below")
        assert other.ok('LIST "" INBOX') == [b'* LIST (\\HasChildren) "/" INBOX']
        other.ok("DELETE INBOX/below")
        assert other.ok('LIST "" INBOX') == [b'* LIST (\\HasNoChildren) "/" INBOX']


@pytest.mark.parametrize("name", ["../../etc/passwd", "..", "~root", "/etc/passwd"])
def test_paths_are_only_names(server, imap, name):
    wire = imap()
    wire.command(f"CREATE {name}")
    wire.command(f"SELECT {name}")
    assert not (server.directory / "etc").exists()
    wire.ok("NOOP")


def test_errors_have_their_codes(imap):
    wire = imap()
    assert wire.command("CREATE inbox")[1].startswith(b"NO [ALREADYEXISTS]")
    assert wire.command("DELETE inbox")[1].startswith(b"NO [CANNOT]")
    assert wire.command("SELECT none")[1] == b"NO [NONEXISTENT] Mailbox does not exist"
    assert wire.command("DELETE none")[1].startswith(b"NO [NONEXISTENT]")
    assert wire.command("RENAME none some")[1].startswith(b"NO [NONEXISTENT]")
    assert wire.command("STATUS none (MESSAGES)")[1].startswith(b"NO [NONEXISTENT]")
    assert wire.append("none", b"Subject: x\r\n\r\n").startswith(b"NO [TRYCREATE]")


def test_rename_takes_children_along(imap):
    wire = imap()
    wire.ok("CREATE old/child")
    wire.ok("RENAME old new")
    assert names(wire.ok('LIST "" new*')) == ["new", "new/child"]
    assert wire.ok('LIST "" old*') == []


def test_rename_of_inbox_leaves_it_empty(imap):
    wire = imap("bob")
    wire.append("INBOX", b"Subject: x\r\n\r\n")
    wire.ok("RENAME INBOX saved")
    assert wire.ok("STATUS saved (MESSAGES)") == [b"* STATUS saved (MESSAGES 1)"]
    assert wire.ok("STATUS INBOX (MESSAGES)") == [b"* STATUS INBOX (MESSAGES 0)"]


def test_subscriptions(imap):
    wire = imap()
    wire.ok("CREATE sub/a")
    wire.ok("SUBSCRIBE sub/a")
    assert wire.ok('LSUB "" sub*') == [b'* LSUB () "/" sub/a']
    assert b'* LSUB (\\Noselect) "/" sub' in wire.ok('LSUB "" %')
    wire.ok("UNSUBSCRIBE sub/a")
    assert wire.ok('LSUB "" sub*') == []


def test_a_subscription_outlives_its_mailbox(imap):
    wire = imap()
    wire.ok("CREATE gone")
    wire.ok("SUBSCRIBE gone")
    wire.ok("DELETE gone")
    assert wire.ok('LSUB "" gone') == [b'* LSUB (\\Noselect) "/" gone']
    wire.ok("UNSUBSCRIBE gone")


def test_status(imap):
    wire = imap()
    wire.ok("CREATE counted")
    for flags in ("()", "(\\Seen)", "()"):
        wire.append("counted", b"Subject: x\r\n\r\n", flags)
    status = wire.ok("STATUS counted (UNSEEN MESSAGES UIDNEXT UIDVALIDITY RECENT)")[0]
    assert re.fullmatch(rb"\* STATUS counted \(UNSEEN 2 MESSAGES 3 UIDNEXT 4 UIDVALIDITY \d+ RECENT 3\)", status)
    assert wire.command("STATUS counted (FOO)")[1] == b"BAD Unknown STATUS item"
    assert wire.command("STATUS counted ()")[1].startswith(b"BAD ")


def test_uidvalidity_grows_when_a_name_comes_again(imap):
    wire = imap()

    def uidvalidity():
        wire.ok("CREATE again")
        status = wire.ok("STATUS again (UIDVALIDITY)")[0]
        wire.ok("DELETE again")
        return int(re.search(rb"UIDVALIDITY (\d+)", status).group(1))

    assert uidvalidity() < uidvalidity()


def test_users_do_not_see_each_others_mailboxes(imap):
    imap("alice").ok("CREATE secret")
    wire = imap("bob")
    assert "Other Users/alice/secret" not in names(wire.ok('LIST "" *'))
    assert wire.command('SELECT "Other Users/alice/secret"')[1].startswith(b"NO [NONEXISTENT]")


def test_everything_is_there_after_a_restart(make_server):
    from rookery_wire import ImapWire
    server = make_server()
    with ImapWire(server.port("imap")) as wire:
        wire.login().ok("CREATE kept")
        wire.ok("SUBSCRIBE kept")
        wire.append("kept", b"Subject: x\r\n\r\nbody\r\n", "(\\Flagged $Forwarded)")
    server.restart()
    with ImapWire(server.port("imap")) as wire:
        wire.login()
        assert names(wire.ok('LSUB "" *'), b"LSUB") == ["INBOX", "kept"]
        wire.ok("SELECT kept")
        fetched = wire.ok("FETCH 1 (FLAGS BODY.PEEK[TEXT])")[0]
        assert b"\\Flagged" in fetched and b"$Forwarded" in fetched and b"{6}\r\nbody\r\n" in fetched


def test_status_needs_to_read(make_server):
    """Who may put mail into it (`i`) learns nothing of it by that; without `l` it is not there at all (RFC 4314, 4 and 6)."""
    server = make_server({"mailbox": {"default-acl": ["anyone li"]}})
    with ImapWire(server.port("imap")) as wire, ImapWire(server.port("imap")) as admin:
        wire.login("alice")
        admin.login("admin")
        admin.ok("CREATE drop")
        server.reload({"mailbox": {"default-acl": ["anyone i"]}})
        admin.ok("CREATE hidden")
        for name in ("drop", "hidden"):
            assert wire.append(f'"Shared Folders/{name}"', b"Subject: x\r\n\r\nx\r\n").startswith(b"OK ")
        for command in ("STATUS {} (MESSAGES UNSEEN UIDNEXT)", "STATUS {} (DELETED-STORAGE)", "EXAMINE {}"):
            responses, answer = wire.command(command.format('"Shared Folders/drop"'))
            assert not responses and answer.startswith(b"NO [NOPERM]")
            for name in ("hidden", "none"):
                responses, answer = wire.command(command.format(f'"Shared Folders/{name}"'))
                assert not responses and answer == b"NO [NONEXISTENT] Mailbox does not exist"


def test_own_mailbox_called_like_a_prefix(server, imap):
    """It is seen in the alternative namespace too, below INBOX, where nothing else is."""
    wire, admin = imap("alice"), imap("admin")
    admin.ok('CREATE "user/alice/Other Users/x"')
    assert names(wire.ok('LIST "" "INBOX/*"')) == ["INBOX/Other Users", "INBOX/Other Users/x"]
    wire.ok('SELECT "INBOX/Other Users/x"')
    wire.ok('RENAME "INBOX/Other Users/x" x')
    assert names(wire.ok('LIST "" x')) == ["x"]
    assert wire.command("CREATE INBOX/y")[1].startswith(b"NO [CANNOT]")


def test_rename_to_a_name_that_had_a_greater_uidvalidity(server, imap):
    """Whoever has it selected goes: but for the session that renames."""
    wire, other = imap("alice"), imap("alice")

    def uidvalidity(name):
        return int(re.search(rb"UIDVALIDITY (\d+)", wire.ok(f"STATUS {name} (UIDVALIDITY)")[0]).group(1))

    wire.ok("CREATE old")
    wire.ok("CREATE nm")
    buried = uidvalidity("nm")
    wire.ok("DELETE nm")
    for session in (wire, other):
        session.ok("SELECT old")
    wire.ok("RENAME old nm")
    assert uidvalidity("nm") > buried
    other.begin("NOOP")
    other.expect(r"\* BYE \[UNAVAILABLE\] .*")
    assert wire.command("CHECK")[1].startswith(b"BAD")
