# SPDX-License-Identifier: LGPL-2.1-or-later
"""kill -9 of the whole server while many IMAP sessions change all there is: what was acknowledged is there afterwards bit for bit,
and what was expunged or deleted is not back. Quota has the limits that were set, and counts what is there.

Each session has a tree of mailboxes to itself, and a model of it. Of the one command that was not answered when the server
went, either all is done or nothing: the model has both.
"""

import copy
import os
import re
import threading
import time

from rookery_harness import SLOW
from rookery_load import control
from rookery_wire import ImapWire

USERS = ("alice", "bob", "carol")
SESSIONS = 6
ROUNDS = 50
MAX_ROUNDS_OF_A_SERVER = 25  # then its mail takes too long to be read each time
FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "\\Draft", "\\Deleted", "$one", "two")
DONE, HALF_MOVED = "done", "half moved"


def rounds_wanted():
    return 1000 if float(os.environ.get("ROOKERY_TEST_SECONDS", "5")) >= 600 else ROUNDS


class Box:
    """What one mailbox holds: uid to [text, flags]; uids grow and never come again."""

    def __init__(self):
        self.messages, self.last_uid, self.validity = {}, 0, None

    def add(self, text, flags, uid=None):
        self.last_uid = uid if uid is not None else self.last_uid + 1
        self.messages[self.last_uid] = (text, frozenset(flags))

    def contents(self):
        return sorted((uid, text, tuple(sorted(flags))) for uid, (text, flags) in self.messages.items())


class Refused(Exception):
    """The server said NO or BAD to what it should have done."""


class Session(threading.Thread):
    """One connection and its tree, until the server is gone."""

    def __init__(self, server, user, name, rng, state):
        super().__init__(daemon=True)
        self.server, self.user, self.name_, self.rng = server, user, name, rng
        self.state = state  # name to Box
        self.doubtful = []  # states that may be found instead
        self.count, self.error, self.selected = 0, None, None

    def run(self):
        try:
            with ImapWire(self.server.port("imap")) as self.wire:
                self.wire.login(self.user)
                while True:
                    self.one_change()
                    self.count += 1
        except (EOFError, ConnectionError, OSError):
            pass
        except Exception as error:  # noqa: BLE001: told by the test
            self.error = error

    # --- one command, and what it means

    def change(self, command, apply, *literals, halves=()):
        """Says `command`; `apply(state)` does it to a copy of the model, which counts once the server has said OK. `halves` do what may
        be left of it."""
        after = copy.deepcopy(self.state)
        between = []
        for half in halves:
            between.append(copy.deepcopy(self.state))
            half(between[-1])
        apply(after)
        self.doubtful = [*between, after]
        untagged, tagged = self.wire.command(command, *literals)
        if not tagged.startswith(b"OK"):
            if tagged.startswith(b"NO [OVERQUOTA]"):
                self.doubtful = []
                return untagged, tagged
            if tagged.startswith(b"NO [UNAVAILABLE]") or any(b"* BYE" in line for line in untagged):
                raise EOFError
            raise Refused(f"{command!r}: {tagged!r}")
        self.state, self.doubtful = after, []
        return untagged, tagged

    def ask(self, command):
        untagged, tagged = self.wire.command(command)
        if not tagged.startswith(b"OK"):
            raise Refused(f"{command!r}: {tagged!r}")
        return untagged

    def select(self, name):
        if self.selected != name:
            self.ask(f"SELECT {name}")
            self.selected = name

    def some_uids(self, box):
        uids = sorted(box.messages)
        return sorted(self.rng.sample(uids, self.rng.randint(1, min(len(uids), 5))))

    def one_change(self):
        names = sorted(self.state)
        if not names:
            return self.create()
        name = self.rng.choice(names)
        box = self.state[name]
        if not box.messages:
            return self.rng.choice((self.append, self.append, self.rename, self.delete))(name)
        changes = [self.append] * 4 + [self.store] * 4 + [self.copy, self.move, self.expunge] * 2
        if len(names) < 4:
            changes.append(self.create)
        if len(box.messages) > 25:
            changes = [self.delete, self.empty]
        if len(names) > 1:
            changes += [self.rename, self.delete]
        return self.rng.choice(changes)(name)

    def fresh_name(self):
        return f"{self.name_}x{self.rng.randrange(10 ** 9)}"

    def create(self, _name=None):
        fresh = self.fresh_name()
        self.change(f"CREATE {fresh}", lambda state: state.update({fresh: Box()}))

    def delete(self, name):
        self.leave(name)
        self.change(f"DELETE {name}", lambda state: state.pop(name))

    def rename(self, name):
        self.leave(name)
        fresh = self.fresh_name()
        self.change(f"RENAME {name} {fresh}", lambda state: state.update({fresh: state.pop(name)}))

    def leave(self, name):
        if self.selected == name:
            self.ask("UNSELECT")
            self.selected = None

    def append(self, name):
        size = self.rng.choice((10, 300, 5000, 70000))
        line = f"{self.rng.random()} of {self.name_}\r\n"
        text = f"Subject: {self.rng.random()}\r\n\r\n{line * (1 + size // len(line))}".encode()
        flags = self.rng.sample(FLAGS, self.rng.randint(0, 3))
        self.change(f"APPEND {name} ({' '.join(flags)}) {{{len(text)}}}", lambda state: state[name].add(text, flags), (text, b""))

    def store(self, name):
        self.select(name)
        uids, flags = self.some_uids(self.state[name]), set(self.rng.sample(FLAGS, self.rng.randint(1, 3)))
        how = self.rng.choice("+- ").strip()

        def apply(state):
            for uid in uids:
                text, before = state[name].messages[uid]
                state[name].messages[uid] = (text, frozenset({"+": before | flags, "-": before - flags, "": flags}[how]))

        self.change(f"UID STORE {','.join(map(str, uids))} {how}FLAGS.SILENT ({' '.join(sorted(flags))})", apply)

    def gone(self, state, name, uids):
        for uid in uids:
            del state[name].messages[uid]

    def expunge(self, name):
        self.select(name)
        uids = [uid for uid, (_, flags) in self.state[name].messages.items() if "\\Deleted" in flags]
        self.change("EXPUNGE", lambda state: self.gone(state, name, uids))

    def empty(self, name):
        self.select(name)
        uids = sorted(self.state[name].messages)

        def mark(state):
            for uid in uids:
                text, flags = state[name].messages[uid]
                state[name].messages[uid] = (text, flags | {"\\Deleted"})

        self.change("UID STORE 1:* +FLAGS.SILENT (\\Deleted)", mark)
        self.expunge(name)

    def to_other(self, name):
        others = [other for other in self.state if other != name]
        return self.rng.choice(others) if others else None

    def copied(self, state, name, uids, other):
        for uid in uids:
            state[other].add(*state[name].messages[uid])

    def copy(self, name):
        other = self.to_other(name)
        if other is None:
            return
        self.select(name)
        uids = self.some_uids(self.state[name])
        self.change(f"UID COPY {','.join(map(str, uids))} {other}", lambda state: self.copied(state, name, uids, other))

    def move(self, name):
        """May leave two copies, never none."""
        other = self.to_other(name)
        if other is None:
            return
        self.select(name)
        uids = self.some_uids(self.state[name])

        def apply(state):
            self.copied(state, name, uids, other)
            self.gone(state, name, uids)

        self.change(f"UID MOVE {','.join(map(str, uids))} {other}", apply,
                    halves=[lambda state: self.copied(state, name, uids, other)])


# --- what is found afterwards

def parse_messages(untagged):
    for line in untagged:
        match = re.match(rb"\* \d+ FETCH \((?=.*?UID (\d+))(?=.*?FLAGS \(([^)]*)\)).*?BODY\[\] \{(\d+)\}\r\n", line, re.S)
        assert match, line[:200]
        text = line[match.end():match.end() + int(match.group(3))]
        flags = frozenset(match.group(2).decode().split()) - {"\\Recent"}
        yield int(match.group(1)), text, flags


def read_tree(server, user, prefix):
    """(contents of each mailbox of the tree, uidvalidity and uidnext of each)."""
    found, numbers = {}, {}
    with ImapWire(server.port("imap"), timeout=60) as wire:
        wire.login(user)
        for line in wire.ok(f'LIST "" "{prefix}*"'):
            name = line.decode().rsplit(" ", 1)[1].strip('"')
            answer = b"\n".join(wire.ok(f"EXAMINE {name}"))
            numbers[name] = (int(re.search(rb"UIDVALIDITY (\d+)", answer).group(1)),
                             int(re.search(rb"UIDNEXT (\d+)", answer).group(1)))
            found[name] = sorted((uid, text, tuple(sorted(flags)))
                                 for uid, text, flags in parse_messages(wire.ok("UID FETCH 1:* (FLAGS BODY.PEEK[])")))
    return found, numbers


def check_tree(server, session):
    """Returns the model that is in force from now on."""
    found, numbers = read_tree(server, session.user, session.name_)
    for state in (session.state, *session.doubtful):
        if {name: box.contents() for name, box in state.items()} == found:
            break
    else:
        raise AssertionError(describe(session, found))
    for name, box in state.items():
        validity, uidnext = numbers[name]
        assert uidnext > box.last_uid, f"{name}: a uid would be given twice: UIDNEXT {uidnext}, {box.last_uid} was given"
        assert box.validity in (None, validity), f"{name}: uidvalidity was {box.validity} and is {validity}"
        box.validity, box.last_uid = validity, uidnext - 1
    return state


def describe(session, found):
    """What differs from the model, shortly."""
    lines = [f"{session.user}, {session.name_}: found what was never acknowledged, or not what was:"]
    for number, state in enumerate((session.state, *session.doubtful)):
        expected = {name: box.contents() for name, box in state.items()}
        lines.append(f"compared with {'what was acknowledged' if number == 0 else 'what may have been done'}:")
        for name in sorted(set(found) | set(expected)):
            here, there = found.get(name), expected.get(name)
            if here is None or there is None:
                lines.append(f"  {name}: {'missing' if here is None else 'should not be there'}")
            elif here != there:
                short = [[(uid, len(text), flags) for uid, text, flags in rows] for rows in (here, there)]
                lines.append(f"  {name}: is {short[0]}, should be {short[1]}")
    return "\n".join(lines)


class Limits(threading.Thread):
    """Sets quota of the users, and of some of their mailboxes, until the server is gone."""

    def __init__(self, server, rng, limits):
        super().__init__(daemon=True)
        self.server, self.rng, self.count, self.error = server, rng, 0, None
        self.limits = limits  # user to the limits that count
        self.doubtful = None  # (user, limits) that were not answered

    def some_limits(self):
        return self.rng.choice((300, 1000, 4000, 10 ** 6)), self.rng.choice((30, 100, 10 ** 6)), self.rng.choice((9, 50, 10 ** 6))

    def run(self):
        try:
            with ImapWire(self.server.port("imap")) as wire:
                wire.login("admin")
                while True:
                    self.one_change(wire, self.rng.choice(USERS))
                    self.count += 1
        except (EOFError, ConnectionError, OSError):
            pass
        except Exception as error:  # noqa: BLE001: told by the test
            self.error = error

    def one_change(self, wire, user):
        names = [line.decode().rsplit(" ", 1)[1].strip('"') for line in wire.command(f'LIST "" "user/{user}/*"')[0] if b" LIST " in line]
        name = self.rng.choice([f"user/{user}"] * 2 + names[:4])
        limits = self.some_limits()
        if name == f"user/{user}":
            self.doubtful = (user, limits)
        untagged, tagged = wire.command(f"SETQUOTA {name} (STORAGE %d MESSAGE %d MAILBOX %d)" % limits)
        if tagged.startswith(b"NO [UNAVAILABLE]") or any(b"* BYE" in line for line in untagged):
            raise EOFError
        if name == f"user/{user}":
            assert tagged.startswith(b"OK"), tagged
            self.limits[user], self.doubtful = limits, None
        else:  # it may have gone meanwhile
            assert tagged.startswith((b"OK", b"NO [NONEXISTENT]")), tagged


def read_quota(untagged):
    """(root, [used ...], [limit ...]); None: no root."""
    for line in untagged:
        match = re.fullmatch(rb"\* QUOTA (\S+) \(STORAGE (\d+) (\d+) MESSAGE (\d+) (\d+) MAILBOX (\d+) (\d+)\)", line)
        if match:
            numbers = [int(number) for number in match.groups()[1:]]
            return match.group(1).decode(), numbers[::2], tuple(numbers[1::2])
    return None


def check_quota(server, user, trees, limits, doubtful):
    """What each root counts is what its mailboxes hold; the user's has the limits that were set. Returns those."""
    counted, told = {}, {}
    with ImapWire(server.port("imap"), timeout=60) as wire:
        wire.login(user)
        for name, sizes in [("INBOX", []), *((name, [len(text) for text, _ in box.messages.values()])
                                             for tree in trees for name, box in tree.items())]:
            quota = read_quota(wire.ok(f"GETQUOTAROOT {name}"))
            if quota is None:
                assert limits is None, f"{user}: {name} counts for no quota root"
                continue
            root, told[root] = quota[0], quota
            sums = counted.setdefault(root, [0, 0, 0])
            for number, amount in enumerate((sum(sizes), len(sizes), 1)):
                sums[number] += amount
    for root, (size, *others) in counted.items():
        assert told[root][1] == [size // 1024, *others], f"{user}: {root} counts {told[root][1]}, and {size} bytes, {others} are there"
    found = told["INBOX"][2] if "INBOX" in told else None
    assert found in (limits, doubtful), f"{user} has limits {found}, and {limits} or {doubtful} were set"
    return found


class Upkeep(threading.Thread):
    """Purges, verifies, checkpoints and compacts beside the sessions, one after the other, until the server is gone."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.count, self.error = server, 0, None

    def run(self):
        try:
            while True:
                for request in (b"job run expire", b"mailbox verify", b"store compact", b"store checkpoint"):
                    control(self.server, request)
                    self.count += 1
        except OSError:
            pass
        except AssertionError as error:
            self.error = error if error.args[0] else None  # no answer: it is gone


def check_all(server, sessions, trees, quotas):
    """What is found becomes what is known."""
    for number, session in enumerate(sessions):
        trees[number] = check_tree(server, session)
    for user in USERS:
        doubtful = quotas.doubtful[1] if quotas.doubtful is not None and quotas.doubtful[0] == user else None
        found = check_quota(server, user, [trees[number] for number, session in enumerate(sessions) if session.user == user],
                            quotas.limits.get(user), doubtful)
        if found is not None:
            quotas.limits[user] = found


class Mover(threading.Thread):
    """Moves mailboxes, with what is below them, from partition to partition beside the sessions, until the server is gone."""

    def __init__(self, server, rng):
        super().__init__(daemon=True)
        self.server, self.rng, self.count, self.error = server, rng, 0, None

    def run(self):
        try:
            with ImapWire(self.server.port("imap"), timeout=60) as wire:
                wire.login("admin")
                while True:
                    user = self.rng.choice(USERS)
                    listed = wire.command(f'LIST "" "user/{user}*"')[0]
                    names = [line.decode().rsplit(" ", 1)[1].strip('"') for line in listed]
                    if not names:
                        continue
                    name, partition = self.rng.choice(names), self.rng.choice(("default", "second"))
                    tagged = wire.command(f"RENAME {name} {name} {partition}")[1]
                    # It may have got another name meanwhile, or have gone.
                    assert tagged.startswith((b"OK", b"NO [NONEXISTENT]", b"NO [UNAVAILABLE]")), tagged
                    self.count += tagged.startswith(b"OK")
        except (EOFError, ConnectionError, OSError):
            pass
        except Exception as error:  # noqa: BLE001: told by the test
            self.error = error


def kill_once(server, rng, trees, limits):
    """Sessions at work, the kill, the restart, and the look at what is left. Returns how many changes were acknowledged."""
    sessions = [Session(server, USERS[number % len(USERS)], f"t{number}", type(rng)(rng.random()), trees[number])
                for number in range(SESSIONS)]
    upkeep, quotas = Upkeep(server), Limits(server, type(rng)(rng.random()), limits)
    mover = Mover(server, type(rng)(rng.random()))
    for thread in (*sessions, upkeep, quotas, mover):
        thread.start()
    time.sleep(rng.uniform(0.05, 0.6) * SLOW)
    server.kill()
    for thread in (*sessions, upkeep, quotas, mover):
        thread.join(30 * SLOW)
        assert thread.error is None, thread.error
    server.start()
    assert server.ctl("mailbox", "verify").startswith("no faults in ")
    check_all(server, sessions, trees, quotas)
    return sum(session.count for session in sessions)


def test_everything_acknowledged_is_there_after_kill_in_the_midst_of_changes(make_server, rng):
    kills = changes = 0
    while kills < rounds_wanted():
        # What is expunged is purged at the next chance.
        server, trees = make_server(start=False), {number: {} for number in range(SESSIONS)}
        server.prepare()
        server.configure({"mailbox": {"keep-expunged": "0s"}, "partition second": {"path": server.directory / "second"}})
        server.start()
        limits = {}
        for _ in range(min(MAX_ROUNDS_OF_A_SERVER, rounds_wanted() - kills)):
            changes += kill_once(server, rng, trees, limits)
            kills += 1
        server.ctl("store", "verify")
        assert server.ctl("mailbox", "verify", "--full").startswith("no faults in ")
        server.stop()
    print(f"{kills} kills, {changes} changes")
    assert changes > kills
