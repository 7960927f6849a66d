# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stores that are opened by a reload: their plugin came later than the server, or their place did. All or nothing, and
whoever asks meanwhile is told to try again."""

import re
import shutil
import smtplib
import threading

import pytest
from rookery_harness import BUILD, SLOW
from rookery_wire import ImapWire

HAS_MAIL = all((BUILD / f"plugins/{name}.la").exists() for name in ("imap", "lmtp", "storage-gdbm"))
pytestmark = pytest.mark.skipif(not HAS_MAIL, reason="built without mail")

WITHOUT_STORE = {"plugin storage-gdbm": None}
MESSAGE = "Subject: kept\r\nMessage-ID: <{}@example.net>\r\nDate: Fri, 27 Nov 2026 10:00:00 +0000\r\n\r\nHello\r\n"


def deliver(server, name, user="alice"):
    """Hands a message in by LMTP. Returns the code that its recipient, or the message, was answered with."""
    client = smtplib.LMTP()
    client.timeout = 30 * SLOW
    client.connect(str(server.path("lmtp")))
    try:
        refused = client.sendmail("sender@example.net", [user], MESSAGE.format(name))
        return next(iter(refused.values()))[0] if refused else 250
    except smtplib.SMTPRecipientsRefused as error:
        return error.recipients[user][0]
    except smtplib.SMTPDataError as error:
        return error.smtp_code
    finally:
        client.close()


def states(server):
    return {plugin["name"]: plugin["state"] for plugin in server.ctl("plugin", "list", as_json=True)}


def count_messages(wire):
    lines = wire.ok("SELECT INBOX")
    return next(int(line.split()[1]) for line in lines if line.endswith(b" EXISTS"))


def test_store_whose_plugin_comes_by_a_reload_serves(make_server):
    server = make_server(WITHOUT_STORE)
    assert deliver(server, "early") == 451
    with ImapWire(server.port("imap")) as before:
        assert "started storage-gdbm" in server.reload({})
        assert deliver(server, "late") == 250
        before.login("alice")
        assert count_messages(before) == 1
    done = server.reload(WITHOUT_STORE, check=False)
    assert done.returncode == 1
    assert "plugin 'storage-gdbm' can't be switched off or started anew: it is in use by the store in " in done.stderr
    assert deliver(server, "later") == 250
    server.configure()
    server.restart()
    with ImapWire(server.port("imap")) as after:
        after.login("alice")
        assert count_messages(after) == 2


def test_store_that_cannot_be_opened_refuses_the_reload(make_server):
    server = make_server(WITHOUT_STORE)
    shutil.rmtree(server.spool)
    server.spool.write_text("no directory\n")
    done = server.reload({}, check=False)
    assert done.returncode == 1
    assert f"nothing was changed:\npartition default ({server.spool}) can't be opened: " in done.stderr
    assert states(server) == {"imap": "running", "lmtp": "running"}
    assert deliver(server, "early") == 451
    server.spool.unlink()
    make_spool(server)
    assert "started storage-gdbm" in server.reload({})
    assert deliver(server, "late") == 250


def make_spool(server):
    server.spool.mkdir(mode=0o700)
    if server.user != "root":
        shutil.chown(server.spool, server.user)


def test_state_that_cannot_be_opened_refuses_the_reload(make_server):
    server = make_server(WITHOUT_STORE)
    place = server.state_directory / "mailboxes"
    place.write_text("no directory\n")
    done = server.reload({}, check=False)
    assert done.returncode == 1 and str(place) in done.stderr
    assert "storage-gdbm" not in states(server)
    place.unlink()
    server.reload({})
    assert deliver(server, "late") == 250


def test_partition_that_was_missing_at_the_start_comes_back_by_a_reload(make_server):
    server = make_server()
    assert deliver(server, "first") == 250
    server.stop()
    aside = server.directory / "aside"
    server.spool.rename(aside)
    make_spool(server)
    server.start()
    server.wait_log(r"mailbox\.partition-unavailable partition=default")
    assert deliver(server, "meanwhile") == 451
    server.reload({"log": {"level": "debug"}})  # what was known to be missing holds up nothing else
    assert deliver(server, "meanwhile") == 451
    shutil.rmtree(server.spool)
    aside.rename(server.spool)
    server.reload({})
    assert deliver(server, "again") == 250
    with ImapWire(server.port("imap")) as wire:
        wire.login("alice")
        assert count_messages(wire) == 2


def start_without_store(make_server, user, autocreate):
    """A server whose `user` has one message in a store that it can't open. Returns it, and the settings that bring the store."""
    server, settings = make_server(), {"mailbox": {"autocreate": autocreate}}
    assert deliver(server, "first", user) == 250
    server.configure({**settings, **WITHOUT_STORE})
    server.restart()
    return server, settings


# Commands about names of mailboxes.
NAMES = ("SELECT INBOX", "EXAMINE INBOX", "STATUS INBOX (MESSAGES)", 'LIST "" *', 'LIST "" INBOX', 'LSUB "" *',
         "CREATE INBOX.new", "DELETE INBOX.new", "RENAME INBOX.new INBOX.newer", "SUBSCRIBE INBOX", "UNSUBSCRIBE INBOX")


@pytest.mark.parametrize("autocreate", ["never", "login", "delivery"])
def test_nobody_is_unknown_while_there_is_no_store(make_server, autocreate):
    server, settings = start_without_store(make_server, "alice", autocreate)
    for recipient in ("alice", "alice+folder", "nobody", "+shared.box"):
        assert deliver(server, "early", recipient) == 451
    listed = server.ctl("mailbox", "list", check=False)
    assert listed.returncode == 1 and "not ready" in listed.stderr
    with ImapWire(server.port("imap")) as wire:
        wire.login("alice")
        assert len(wire.ok('LIST "" ""')) == 1
        for command in NAMES:
            untagged, tagged = wire.command(command)
            assert (untagged, tagged[:16]) == ([], b"NO [UNAVAILABLE]"), command
        assert wire.append("INBOX", b"Subject: s\r\n\r\n").startswith(b"NO [UNAVAILABLE]")
        server.reload(settings)
        assert count_messages(wire) == 1
        assert any(line.endswith(b" INBOX") for line in wire.ok('LIST "" *'))
        assert wire.command("SELECT INBOX.none")[1].startswith(b"NO [NONEXISTENT]")
    assert deliver(server, "late") == 250
    assert deliver(server, "late", "nobody") == (250 if autocreate == "delivery" else 550)
    assert deliver(server, "late", "+shared.box") == 550


class Asker(threading.Thread):
    """Asks until it is told to stop; `ask` returns an answer."""

    def __init__(self, ask):
        super().__init__()
        self.ask, self.stopping, self.answers, self.error = ask, False, [], None

    def run(self):
        try:
            while not self.stopping:
                self.answers.append(self.ask(len(self.answers)))
        except Exception as error:  # pylint: disable=broad-except
            self.error = error


def sender(server, name):
    return Asker(lambda n: deliver(server, f"{name}-{n}", "bob"))


def reader(wire, command, expected):
    """Answers 250 and 451 too, for what comes to the same; or with all that was said."""

    def ask(_):
        untagged, tagged = wire.command(command)
        if tagged.startswith(b"OK") and any(re.fullmatch(expected, line) for line in untagged):
            return 250
        return 451 if not untagged and tagged.startswith(b"NO [UNAVAILABLE]") else (untagged, tagged)

    return Asker(ask)


@pytest.mark.parametrize("autocreate", ["never", "login", "delivery"])
def test_whoever_asks_while_the_store_comes_is_told_to_try_again_or_served(make_server, autocreate):
    server, settings = start_without_store(make_server, "bob", autocreate)
    senders = [sender(server, f"sender{n}") for n in range(4)]
    with ImapWire(server.port("imap")) as one, ImapWire(server.port("imap")) as two:
        readers = [reader(one.login("bob"), 'LIST "" *', rb".* INBOX"),
                   reader(two.login("bob"), "STATUS INBOX (UIDNEXT)", rb"\* STATUS INBOX .*")]
        askers = senders + readers
        for asker in askers:
            asker.start()
        try:
            server.reload(settings)
            done = [len(asker.answers) for asker in askers]
            while any(a.is_alive() and len(a.answers) < n + 3 for a, n in zip(askers, done)):
                server.ctl("status")
        finally:
            for asker in askers:
                asker.stopping = True
            for asker in askers:
                asker.join()
    assert [asker.error for asker in askers] == [None] * len(askers)
    for asker in askers:
        assert [answer for answer in asker.answers if answer not in (250, 451)] == []
        # Once one was taken, its asker is never put off again.
        assert asker.answers == sorted(asker.answers, reverse=True)
        assert asker.answers[-1] == 250
    with ImapWire(server.port("imap")) as wire:
        wire.login("bob")
        assert count_messages(wire) == 1 + sum(asker.answers.count(250) for asker in senders)
