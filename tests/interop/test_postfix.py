# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real Postfix, with a configuration of its own, delivers to us by LMTP."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from rookery_harness import SLOW, SOURCE, free_port, run_quietly
from rookery_wire import ImapWire

pytestmark = pytest.mark.skipif(
    not Path("/usr/sbin/postfix").exists() or not shutil.which("swaks") or os.geteuid() != 0,
    reason="needs Postfix, swaks and root")

MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """A Postfix that relays everything for example.org to `destination` ("unix:PATH", "inet:HOST:PORT"), with `settings` more."""

    def __init__(self, destination, settings=()):
        self.directory = Path(tempfile.mkdtemp(prefix="rook-postfix-"))
        self.directory.chmod(0o755)
        self.config = self.directory / "config"
        self.config.mkdir()
        self.port = free_port()
        self.queue = self.directory / "queue"
        data = self.directory / "data"
        self.queue.mkdir()
        data.mkdir()
        shutil.chown(data, "postfix")
        (self.config / "main.cf").write_text(f"""\
compatibility_level = 3.6
queue_directory = {self.queue}
data_directory = {data}
maillog_file = {self.directory}/log
maillog_file_prefixes = {self.directory}
myhostname = mx.example.org
mydestination = example.org
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
local_transport = lmtp:{destination}
local_recipient_maps =
alias_maps =
default_destination_recipient_limit = 50
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 2s
smtpd_peername_lookup = no
""" + "".join(f"{name} = {value}\n" for name, value in dict(settings).items()))
        (self.config / "master.cf").write_text(MASTER.format(port=self.port))

    def run(self, program, *arguments):
        return run_quietly(f"/usr/sbin/{program}", "-c", str(self.config), *arguments)

    def __enter__(self):
        self.run("postfix", "start")
        return self

    def __exit__(self, *ignored):
        print(self.log())
        subprocess.run(["/usr/sbin/postfix", "-c", str(self.config), "stop"], capture_output=True)
        deadline = time.monotonic() + 20
        while (self.queue / "pid" / "master.pid").exists() and time.monotonic() < deadline:
            if subprocess.run(["/usr/sbin/postfix", "-c", str(self.config), "status"], capture_output=True).returncode:
                break
            time.sleep(0.1)
        shutil.rmtree(self.directory, ignore_errors=True)

    def log(self):
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def send(self, recipients, subject, body="hello"):
        run_quietly("swaks", "--server", f"127.0.0.1:{self.port}", "--from", "sender@example.net", "--to", recipients,
                    "--header", f"Subject: {subject}", "--body", body)

    def queued(self):
        return self.run("postqueue", "-p").decode()


def wait_for(wire, subject, count=1):
    """Until the selected mailbox has so many messages with that subject; by NOOP, since that is what clients do."""
    deadline = time.monotonic() + 30 * SLOW
    while time.monotonic() < deadline:
        wire.ok("NOOP")
        found = wire.ok(f'SEARCH SUBJECT "{subject}"')[0].split()[2:]
        if len(found) >= count:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{subject} has not come")


@pytest.fixture(params=["unix", "tcp"])
def setup(request, make_server):
    config = {"mailbox": {"autocreate": "delivery"}}
    port = free_port()
    if request.param == "tcp":
        config["listener lmtp"] = {"address": f"127.0.0.1:{port}"}
    server = make_server(config)
    server.run_directory.chmod(0o755)
    where = f"unix:{server.path('lmtp')}" if request.param == "unix" else f"inet:127.0.0.1:{port}"
    with Postfix(where) as postfix, ImapWire(server.port("imap")) as wire:
        wire.login().ok("SELECT INBOX")
        yield server, postfix, wire


def test_postfix_delivers(setup):
    server, postfix, wire = setup
    postfix.send("alice@example.org", "first")
    number = wait_for(wire, "first")[0].decode()
    fetched = wire.ok(f"FETCH {number} BODY.PEEK[]")[0]
    assert b"\r\nReturn-Path: <sender@example.net>\r\n" in fetched
    assert b"by mx.example.org (Postfix)" in fetched and b"\r\n\r\nhello\r\n" in fetched


def test_postfix_delivers_to_many(setup):
    server, postfix, wire = setup
    postfix.send("alice@example.org,bob@example.org,carol+folder@example.org", "many")
    wait_for(wire, "many")
    for user in ("bob", "carol"):
        with ImapWire(server.port("imap")) as other:
            other.login(user).ok("SELECT INBOX")
            wait_for(other, "many")


def test_queue_is_kept_while_we_are_down(setup):
    server, postfix, wire = setup
    wire.close()
    server.stop()
    for number in range(5):
        postfix.send("alice@example.org", f"deferred{number}")
    deadline = time.monotonic() + 20 * SLOW
    while "5 Requests" not in postfix.queued():
        assert time.monotonic() < deadline, postfix.queued()
        time.sleep(0.1)
    server.start()
    server.run_directory.chmod(0o755)
    postfix.run("postqueue", "-f")
    with ImapWire(server.port("imap")) as again:
        again.login().ok("SELECT INBOX")
        for number in range(5):
            assert len(wait_for(again, f"deferred{number}")) == 1
        deadline = time.monotonic() + 20 * SLOW
        while "Mail queue is empty" not in postfix.queued():
            assert time.monotonic() < deadline, postfix.queued()
            time.sleep(0.1)
        assert len(again.ok("SEARCH SUBJECT deferred")[0].split()) == 2 + 5


def settings_of_the_guide(name):
    """What doc/admin-guide.md has for main.cf, in the block that begins with `name`: settings, long ones in several lines."""
    text = (SOURCE / "doc" / "admin-guide.md").read_text()
    block = re.search(rf"^    {name} = .*\n(?:    .*\n)*", text, re.M).group(0)
    return dict(re.findall(r"^    (\w+) = (.*(?:\n     +.*)*)", block, re.M))


def ask_for(postfix, recipient):
    """What a stranger is told who has mail for `recipient`."""
    done = subprocess.run(["swaks", "--server", f"127.0.0.1:{postfix.port}", "--from", "forged@example.net", "--to", recipient],
                          capture_output=True, text=True, timeout=60 * SLOW)
    return done.stdout


def test_unknown_user_is_refused_at_once_and_nobody_gets_a_bounce(make_server):
    """As the guide has it: Postfix asks us before it takes the mail, so there is nothing to send back to a forged sender."""
    server = make_server({"mailbox": {"autocreate": "login"}})
    server.run_directory.chmod(0o755)
    verify = settings_of_the_guide("smtpd_recipient_restrictions")
    assert "reject_unverified_recipient" in verify["smtpd_recipient_restrictions"]
    with Postfix(f"unix:{server.path('lmtp')}", {**verify, "mynetworks": "192.0.2.0/24"}) as postfix, \
            ImapWire(server.port("imap")) as wire:
        wire.login().ok("SELECT INBOX")
        deadline = time.monotonic() + 60 * SLOW
        while re.search(r"<\*\* 450", said := ask_for(postfix, "nobody@example.org")):  # it is still asking us
            assert time.monotonic() < deadline, said
        assert re.search(r"<\*\* 550 .*nobody@example.org", said), said
        while re.search(r"<\*\* 450", said := ask_for(postfix, "alice@example.org")):
            assert time.monotonic() < deadline, said
        wait_for(wire, "test")
        assert "forged@example.net" not in postfix.queued()
        assert "status=bounced" not in "".join(line for line in postfix.log().splitlines() if "forged@" in line)
