# SPDX-License-Identifier: LGPL-2.1-or-later
"""kill -9 of the whole server under deliveries: every message that LMTP took is there afterwards, bit for bit."""

import imaplib
import smtplib
import threading
import time

from rookery_harness import PASSWORD, SLOW

USERS = ("alice", "bob", "carol")
SENDERS = 6
ROUNDS = 4  # of one server, at least


def message(user, number):
    body = f"{number} of {user}\r\n" * (1 + number % 97)
    return f"Subject: {number}\r\nMessage-ID: <{number}.{user}@test>\r\n\r\n{body}".encode()


class Sender(threading.Thread):
    """Delivers until the server is gone; keeps what was acknowledged and what may or may not be there."""

    def __init__(self, server, user, numbers):
        super().__init__(daemon=True)
        self.server, self.user, self.numbers = server, user, numbers
        self.taken, self.doubtful, self.error = set(), set(), None

    def run(self):
        try:
            with smtplib.LMTP(str(self.server.path("lmtp"))) as peer:
                while True:
                    number = next(self.numbers)
                    self.doubtful.add(number)
                    peer.sendmail("sender@example.net", [self.user], message(self.user, number))
                    self.doubtful.discard(number)
                    self.taken.add(number)
        except (smtplib.SMTPServerDisconnected, ConnectionError, OSError):
            pass
        except Exception as error:  # told by the test
            self.error = error


def without_trace(text):
    """Without the header lines that delivery puts in front."""
    return text[text.index(b"Subject: "):]


def read_all(server, user):
    """Every message of the user's INBOX, by number."""
    found = {}
    imap = imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=60 * SLOW)
    imap.login(user, PASSWORD)
    status, _ = imap.select("INBOX", readonly=True)
    if status == "OK":
        _, answer = imap.fetch("1:*", "(BODY.PEEK[])")
        for part in answer:
            if isinstance(part, tuple):
                text = without_trace(part[1])
                number = int(text.split(b"\r\n", 1)[0].removeprefix(b"Subject: "))
                assert number not in found, f"{user}: {number} is there twice"
                found[number] = text
    imap.logout()
    return found


def kill_again_and_again(server, rng, end):
    """Kills one server until `end`, or as often as its mail can still be read quickly; says how often."""
    rounds = 0
    numbers = iter(range(1, 10 ** 9))
    lock = threading.Lock()

    def counter():
        while True:
            with lock:
                number = next(numbers)
            yield number

    taken, possible = {user: set() for user in USERS}, {user: set() for user in USERS}
    while rounds < ROUNDS or (rounds < 10 * ROUNDS and time.monotonic() < end):
        rounds += 1
        senders = [Sender(server, USERS[i % len(USERS)], counter()) for i in range(SENDERS)]
        for sender in senders:
            sender.start()
        time.sleep(rng.uniform(0.1, 1.5) * SLOW)
        server.kill()
        for sender in senders:
            sender.join(30 * SLOW)
            assert sender.error is None, sender.error
            taken[sender.user] |= sender.taken
            possible[sender.user] |= sender.taken | sender.doubtful
        started = time.monotonic()
        server.start()
        assert time.monotonic() - started < 5 * SLOW
        for user in USERS:
            found = read_all(server, user)
            assert taken[user] <= set(found), f"{user}: lost {sorted(taken[user] - set(found))}"
            assert set(found) <= possible[user]
            for number, text in found.items():
                assert text == message(user, number)
    assert sum(map(len, taken.values())) > 0
    print(f"{rounds} kills, {sum(map(len, taken.values()))} messages")
    return rounds


def test_everything_taken_is_there_after_kill(make_server, rng, budget):
    end, kills = time.monotonic() + budget, 0
    while kills == 0 or time.monotonic() < end:
        server = make_server(plugins=["storage-gdbm", "imap", "lmtp"])
        kills += kill_again_and_again(server, rng, end)
        server.stop()
    print(f"{kills} kills in all")
