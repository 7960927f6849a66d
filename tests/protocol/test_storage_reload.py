# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stores that are opened by a reload: their plugin came later than the server, or their place did. All or nothing, and
whoever asks meanwhile is told to try again."""

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


class Sender(threading.Thread):
    """Delivers until it is told to stop."""

    def __init__(self, server, name):
        super().__init__()
        self.server, self.name_of_sender, self.stopping, self.answers, self.error = server, name, False, [], None

    def run(self):
        try:
            while not self.stopping:
                self.answers.append(deliver(self.server, f"{self.name_of_sender}-{len(self.answers)}", "bob"))
        except Exception as error:  # pylint: disable=broad-except
            self.error = error


def test_whoever_delivers_while_the_store_comes_is_told_to_try_again_or_taken(make_server):
    server = make_server(WITHOUT_STORE)
    senders = [Sender(server, f"sender{n}") for n in range(6)]
    for sender in senders:
        sender.start()
    try:
        server.reload({})
        done = [len(sender.answers) for sender in senders]
        while any(s.is_alive() and len(s.answers) < n + 3 for s, n in zip(senders, done)):
            server.ctl("status")
    finally:
        for sender in senders:
            sender.stopping = True
        for sender in senders:
            sender.join()
    assert [sender.error for sender in senders] == [None] * len(senders)
    taken = [answer for sender in senders for answer in sender.answers]
    assert set(taken) <= {250, 451}
    # Once one was taken, its sender is never put off again.
    for sender in senders:
        assert sender.answers == sorted(sender.answers, reverse=True)
        assert sender.answers[-1] == 250
    with ImapWire(server.port("imap")) as wire:
        wire.login("bob")
        assert count_messages(wire) == taken.count(250)
