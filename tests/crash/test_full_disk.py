# SPDX-License-Identifier: LGPL-2.1-or-later
"""A whole server whose partition lies on a small file system: it fills up by deliveries, everybody is told to try again later, expunges
and deletes go on, and when there is room again so do deliveries; nobody has to restart anything, and nothing is lost."""

import contextlib
import os
import pwd
import smtplib
import subprocess
import tempfile
from pathlib import Path

import pytest

from rookery_harness import SLOW, Server
from rookery_wire import ImapWire

SIZE = "40m"
SETTINGS = {
    "plugin storage-gdbm": {"log-size": "256K", "segment-size": "1M", "headroom": "4M", "log-limit": "1M"},
}
LINE = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789ab\r\n"
MANY = 1000  # more than there is room for


def message(number):
    return b"Subject: %d\r\nMessage-ID: <%d@test>\r\n\r\n" % (number, number) + b"%08d\r\n" % number + LINE * 3000


@pytest.fixture
def server():
    place = Path(tempfile.mkdtemp(prefix="rook-small-"))  # pytest's own nobody else may enter
    place.chmod(0o755)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0755", "tmpfs", place], check=False,
                      capture_output=True).returncode != 0:
        place.rmdir()
        pytest.skip("no file system of its own can be mounted here")
    try:
        one = Server({"partition default": {"path": place / "spool"}, **SETTINGS})
        owner = pwd.getpwnam(one.user)
        os.chown(place, owner.pw_uid, owner.pw_gid)
        with one:
            yield one
    finally:
        subprocess.run(["umount", place], check=True)
        place.rmdir()


class Mta:
    """Delivers messages that are all different."""

    def __init__(self, server):
        self.server, self.number, self.taken = server, 0, []

    def deliver(self):
        """The code of the answer."""
        self.number += 1
        with smtplib.LMTP(str(self.server.path("lmtp")), timeout=60 * SLOW) as peer:
            try:
                peer.sendmail("sender@example.net", ["alice"], message(self.number))
            except (smtplib.SMTPDataError, smtplib.SMTPRecipientsRefused) as error:
                code = error.smtp_code if isinstance(error, smtplib.SMTPDataError) else error.recipients["alice"][0]
                return code
        self.taken.append(self.number)
        return 250

    def fill(self):
        """Until there is no room. How many were taken."""
        before = len(self.taken)
        while (code := self.deliver()) == 250:
            assert len(self.taken) < MANY
        assert 400 <= code < 500, code
        return len(self.taken) - before


def numbers_of(wire):
    """Of the messages that are there, each of which is read and whole."""
    found = []
    for line in wire.ok("FETCH 1:* BODY.PEEK[]"):
        at = line.find(b"Subject: ")
        number = int(line[at + 9:line.index(b"\r\n", at)])
        assert message(number) in line
        found.append(number)
    return found


def test_full_disk(server):
    mta = Mta(server)
    pid = server.process.pid
    assert mta.deliver() == 250
    with ImapWire(server.port("imap")) as wire:
        wire.login()
        wire.ok("CREATE old")
        assert wire.append("old", message(0)).startswith(b"OK")
    taken = mta.fill() + 1
    assert taken > 20
    with ImapWire(server.port("imap")) as wire:
        wire.login()
        assert b"* %d EXISTS" % taken in wire.ok("SELECT INBOX")
        assert wire.append("INBOX", message(0)).startswith(b"NO")
        assert numbers_of(wire) == mta.taken
        gone = mta.taken[:taken // 2]
        wire.ok(f"STORE 1:{len(gone)} +FLAGS.SILENT (\\Deleted)")
        wire.ok("EXPUNGE")
        wire.ok("DELETE old")
        server.ctl("job", "run", "make-room")
        again = mta.fill()
        assert again >= len(gone) // 2
        kept = mta.taken[len(gone):]
        wire.ok("NOOP")
        assert numbers_of(wire) == kept
    assert "mailbox.purged-early" in server.log_path.read_text()
    assert server.process.pid == pid and server.process.poll() is None
    server.ctl("store", "verify")
    assert "no faults" in server.ctl("mailbox", "verify", "--full")
    server.restart()  # on the disk that is full again
    with ImapWire(server.port("imap")) as wire:
        wire.login()
        assert b"* %d EXISTS" % len(kept) in wire.ok("SELECT INBOX")
        assert numbers_of(wire) == kept
        mta.fill()
        wire.ok("NOOP")
        assert numbers_of(wire) == mta.taken[len(gone):]


def test_start_on_a_disk_without_a_byte(server):
    """Others have filled it, to the last byte: who starts there can read and, what matters, delete."""
    mta = Mta(server)
    place = server.settings["partition default"]["path"].parent
    mta.fill()
    with open(place / "filler", "wb", buffering=0) as filler:
        for size in (65536, 1):
            with contextlib.suppress(OSError):
                while True:
                    filler.write(b"x" * size)
        server.kill()
        with contextlib.suppress(OSError):
            while True:
                filler.write(b"x")
    server.start()
    with ImapWire(server.port("imap")) as wire:
        wire.login()
        wire.ok("SELECT INBOX")
        assert numbers_of(wire) == mta.taken
        wire.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
        wire.ok("EXPUNGE")
        assert numbers_of(wire) == mta.taken[2:]
    (place / "filler").unlink()
    server.restart()
    with ImapWire(server.port("imap")) as wire:
        wire.login()
        wire.ok("SELECT INBOX")
        assert numbers_of(wire) == mta.taken[2:]
