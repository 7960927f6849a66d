# SPDX-License-Identifier: LGPL-2.1-or-later
"""LMTP and IMAP switched off and on over the real store, with deliveries in flight and people reading: whatever was
acknowledged is there, once, and sessions of the plugins that stay never notice.

As many rounds as the time of a random test allows, at least MIN_ROUNDS and at most ROOKERY_ROUNDS (1000).
"""

import collections
import itertools
import os
import re
import threading
import time

import pytest
from rookery_harness import BUILD, PASSWORD, Server, free_port
from rookery_load import measure, toggle
from rookery_wire import ImapWire, Wire

MIN_ROUNDS = 10
MAX_ROUNDS = int(os.environ.get("ROOKERY_ROUNDS", "1000"))
READERS = ("alice", "carol")
HAS_MAIL = all((BUILD / f"plugins/{name}.la").exists() for name in ("imap", "lmtp", "storage-gdbm", "example"))

pytestmark = pytest.mark.skipif(not HAS_MAIL, reason="built without mail")


class Gone(Exception):
    """The other side has said good-bye."""


class Ledger:
    """What was handed in for each mailbox, and what was acknowledged: by user, names of messages."""

    def __init__(self):
        self.sent, self.acknowledged = collections.defaultdict(set), collections.defaultdict(set)
        self.numbers = itertools.count()

    def new_name(self, kind):
        return f"{kind}-{next(self.numbers)}"

    def check(self, found):
        """`found`: by user, the names in the mailbox, each as often as it is there."""
        for user in READERS:
            once = set(found[user])
            assert len(once) == len(found[user]), f"{user} has doubles"
            lost = self.acknowledged[user] - once
            assert not lost, f"{len(lost)} of {len(self.acknowledged[user])} messages to {user} are lost: {sorted(lost)[:5]}"
            strange = once - self.sent[user]
            assert not strange, f"{user} has what nobody sent: {sorted(strange)[:5]}"


class Client(threading.Thread):
    """One that talks in sessions until it is told to stop. A session may end early only if the plugin `comes_and_goes`."""

    def __init__(self, server, ledger, comes_and_goes):
        super().__init__()
        self.server, self.ledger, self.comes_and_goes = server, ledger, comes_and_goes
        self.stopping, self.error, self.sessions, self.cut = False, None, 0, 0

    def run(self):
        try:
            while not self.stopping:
                try:
                    self.talk()
                    self.sessions += 1
                except (ConnectionError, FileNotFoundError, EOFError, Gone):
                    if not self.comes_and_goes:
                        raise
                    self.cut += 1
        except Exception as error:  # noqa: BLE001: told by the test
            self.error = error


class Deliverer(Client):
    """By LMTP, a few messages a session, to one reader or to both."""

    def reply(self, wire):
        """The last line of the next reply; 421 is good-bye."""
        while True:
            line = wire.line().decode()
            if line.startswith("421"):
                raise Gone
            if line[3:4] != "-":
                return line

    def expect(self, wire, code):
        line = self.reply(wire)
        assert line.startswith(code), line

    def talk(self):
        with Wire(self.server.path("lmtp")) as wire:
            self.expect(wire, "220")
            wire.send("LHLO load.example.net")
            self.expect(wire, "250")
            for number in range(4):
                self.deliver(wire, READERS[:1 + number % 2])

    def deliver(self, wire, users):
        name = self.ledger.new_name("lmtp")
        wire.send("\r\n".join(["MAIL FROM:<load@example.net>", *(f"RCPT TO:<{user}@example.org>" for user in users), "DATA"]))
        for code in ("250", *("250" for _ in users), "354"):
            self.expect(wire, code)
        for user in users:
            self.ledger.sent[user].add(name)
        wire.send(f"Subject: {name}\r\n\r\nUnder load.\r\n.")
        for user in users:
            self.expect(wire, "250")
            self.ledger.acknowledged[user].add(name)


class Reader(Client):
    """By IMAP: reads the last message, and adds one of its own."""

    def __init__(self, user, *arguments):
        super().__init__(*arguments)
        self.user = user

    def ok(self, outcome):
        untagged, tagged = outcome
        assert tagged.startswith(b"OK"), tagged
        return untagged

    def talk(self):
        with ImapWire(self.server.port("imap")) as wire:
            if wire.greeting.startswith(b"* BYE"):
                raise Gone
            self.ok(wire.command(f"LOGIN {self.user} {PASSWORD}"))
            self.ok(wire.command("SELECT INBOX"))
            for _ in range(3):
                seen = self.ok(wire.command("FETCH * (UID FLAGS BODY.PEEK[])"))
                assert any(b"Subject: " in line for line in seen)
                self.append(wire)
                self.ok(wire.command("NOOP"))

    def append(self, wire):
        name = self.ledger.new_name("imap")
        self.ledger.sent[self.user].add(name)
        tagged = wire.append("INBOX", f"Subject: {name}\r\n\r\nBy hand.\r\n".encode())
        assert tagged.startswith(b"OK"), tagged
        self.ledger.acknowledged[self.user].add(name)


def find_names(server):
    found = {}
    for user in READERS:
        with ImapWire(server.port("imap")) as wire:
            wire.login(user).ok("SELECT INBOX")
            headers = wire.ok("FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]")
            found[user] = [name.decode() for line in headers for name in re.findall(rb"Subject: (\S+)", line)]
    return found


def toggle_under_load(server, plugin, groups, seconds):
    """Returns the ledger and how many rounds it were."""
    ledger = Ledger()
    for user in READERS:
        ledger.sent[user].add("first")
        server.deliver("Subject: first\n\nHello\n", user)
        ledger.acknowledged[user].add("first")
    clients = [Deliverer(server, ledger, plugin == "lmtp") for _ in range(2)]
    clients += [Reader(user, server, ledger, plugin == "imap") for user in READERS]
    on, off = groups, {**groups, f"plugin {plugin}": {"enabled": False}}
    toggle(server, on, off, 1)
    find_names(server)  # loads what the first login loads
    before = measure(server)
    for client in clients:
        client.start()
    rounds, end = 0, time.monotonic() + seconds
    try:
        while rounds < MIN_ROUNDS or (rounds < MAX_ROUNDS and time.monotonic() < end):
            toggle(server, on, off, 1)
            rounds += 1
    finally:
        for client in clients:
            client.stopping = True
        for client in clients:
            client.join()
    for client in clients:
        if client.error:
            raise client.error
    assert sum(client.cut for client in clients) > 0, "no session was ever cut: that was no load"
    assert measure(server)["libraries"] == before["libraries"]
    return ledger, rounds


def check_all(server, ledger, rounds):
    messages = sum(map(len, ledger.acknowledged.values()))
    print(f"{rounds} rounds, {messages} messages acknowledged, "
          f"{sum(map(len, ledger.sent.values())) - messages} with an unknown fate")
    ledger.check(find_names(server))
    server.restart()
    ledger.check(find_names(server))


@pytest.fixture
def groups():
    return {"plugin example": {}, "listener notify": {"protocol": "notify", "address": f"127.0.0.1:{free_port()}"},
            "limits": {"connections-per-address": 1000}}


def test_lmtp_goes_and_comes_and_nothing_acknowledged_is_lost(groups, budget):
    with Server(config=groups) as server, ImapWire(server.port("imap")) as idler:
        idler.login("alice").ok("SELECT INBOX")
        tag = idler.begin("IDLE")
        idler.expect(r"\+ .*")
        ledger, rounds = toggle_under_load(server, "lmtp", groups, budget)
        server.deliver("Subject: last\n\nHello\n", "alice")
        for names in (ledger.sent, ledger.acknowledged):
            names["alice"].add("last")
        total = len(find_names(server)["alice"])
        while idler.line() != b"* %d EXISTS" % total:
            pass
        idler.send("DONE")
        idler.finish(tag)
        check_all(server, ledger, rounds)


def test_imap_goes_and_comes_and_no_delivery_notices(groups, budget):
    port = int(groups["listener notify"]["address"].rpartition(":")[2])
    with Server(config=groups) as server, Wire(port) as watcher:
        watcher.expect(r"\+OK .*")
        watcher.send("WATCH")
        watcher.expect(b"+OK")
        ledger, rounds = toggle_under_load(server, "imap", groups, budget)
        watcher.send("PING")
        while watcher.line() != b"+OK":
            pass
        check_all(server, ledger, rounds)
