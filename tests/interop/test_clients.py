# SPDX-License-Identifier: LGPL-2.1-or-later
"""curl, swaks, mutt and Python's own libraries against a running server."""

import imaplib
import re
import shutil
import smtplib
import ssl
import subprocess
import time
import uuid

import pytest

from rookery_harness import SLOW, Server, free_port, run_quietly
from rookery_wire import ImapWire


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f"needs {program}")


@pytest.fixture(scope="module")
def server():
    port = free_port()
    with Server(config={
            "mailbox": {"autocreate": "delivery"},
            "listener lmtp-tcp": {"protocol": "lmtp", "address": f"127.0.0.1:{port}", "tls": "starttls"}}) as one:
        one.ports["lmtp-tcp"] = port
        for number in range(3):
            one.deliver(f"Subject: message {number}\nFrom: Some One <one@example.net>\nTo: alice@example.org\n\n"
                        f"Text of message {number}.\n")
        yield one


def curl(server, path, *arguments, user="alice", scheme="imaps", **options):
    port = server.port(scheme)
    return run_quietly("curl", "-sS", "--cacert", str(server.certificate), "-u", f"{user}:pass",
                       f"{scheme}://localhost:{port}/{path}", *arguments, **options).decode()


@needs("curl")
def test_curl_lists_and_fetches(server):
    assert "INBOX" in curl(server, "")
    assert "Text of message 0." in curl(server, "INBOX;MAILINDEX=1")
    assert "Text of message 1." in curl(server, "INBOX;UID=2")
    assert "Subject: message 2" in curl(server, "INBOX;MAILINDEX=3;SECTION=HEADER.FIELDS%20(SUBJECT)")
    assert re.search(r"\* SEARCH.* 2", curl(server, "INBOX?SUBJECT%20%22message%201%22"))
    assert curl(server, "INBOX", "-X", "FETCH 1:3 (UID FLAGS ENVELOPE)").count(" FETCH (UID ") == 3


@needs("curl")
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1"])
def test_curl_logs_in_with_each_mechanism(server, mechanism):
    version = subprocess.run(["curl", "-V"], capture_output=True, text=True).stdout
    if mechanism.startswith("SCRAM") and "gsasl" not in version:
        pytest.skip("this curl has no SCRAM")
    assert "INBOX" in curl(server, "", "--login-options", f"AUTH={mechanism}")


@needs("curl")
def test_curl_over_starttls(server):
    assert "INBOX" in curl(server, "", "--ssl-reqd", scheme="imap")


@needs("curl")
def test_curl_appends(server, tmp_path):
    message = tmp_path / "message"
    message.write_bytes(b"Subject: uploaded\r\n\r\nby curl\r\n")
    curl(server, "INBOX", "-T", str(message), user="bob")
    assert "by curl" in curl(server, "INBOX;MAILINDEX=1", user="bob")


@needs("swaks")
@pytest.mark.parametrize("where", ["unix", "tcp", "tls"])
def test_swaks_delivers(server, where):
    subject = uuid.uuid4().hex
    to = ["--socket", str(server.path("lmtp"))] if where == "unix" else ["--server", f"127.0.0.1:{server.port('lmtp-tcp')}"]
    tls = ["--tls"] if where == "tls" else []
    run_quietly("swaks", "--protocol", "LMTP", *to, *tls, "--from", "sender@example.net", "--to", "carol@example.org",
                "--header", f"Subject: {subject}")
    with ImapWire(server.port("imap")) as wire:
        wire.login("carol").ok("SELECT INBOX")
        assert len(wire.ok(f"SEARCH SUBJECT {subject}")[0].split()) == 3


def test_smtplib_delivers(server):
    with smtplib.LMTP("127.0.0.1", server.port("lmtp-tcp")) as client:
        client.starttls(context=ssl._create_unverified_context())
        # One recipient: Python reads one reply only.
        assert client.sendmail("a@example.net", ["carol"], b"Subject: by smtplib\r\n\r\nx\r\n") == {}


def test_imaplib_reads_and_writes(server):
    context = ssl.create_default_context(cafile=str(server.certificate))
    with imaplib.IMAP4_SSL("localhost", server.port("imaps"), ssl_context=context) as client:
        client.login("bob", "pass")
        client.create("lib")
        message = b"Subject: lib\r\n\r\nimaplib\r\n"
        assert client.append("lib", r"(\Seen)", imaplib.Time2Internaldate(time.time()), message)[0] == "OK"
        assert client.select("lib") == ("OK", [b"1"])
        assert client.fetch("1", "(RFC822)")[1][0][1] == message
        assert client.store("1", "+FLAGS", r"(\Deleted)")[0] == "OK"
        assert client.expunge() == ("OK", [b"1"])


@pytest.fixture
def mutt(server, tmp_path):
    """mutt on a terminal of 100x30, inside tmux. Gives (send keys, wait for text on the screen)."""
    if not shutil.which("mutt") or not shutil.which("tmux"):
        pytest.skip("needs mutt and tmux")
    (tmp_path / "muttrc").write_text(
        f"set certificate_file={server.certificate}\nset ssl_force_tls=yes\nset imap_pass=pass\nset imap_user=alice\n"
        f"set folder=imaps://localhost:{server.port('imaps')}/\nset spoolfile=+INBOX\nset header_cache=\n"
        "set imap_check_subscribed=no\nset mail_check=1\nset timeout=1\nset beep=no\nset wait_key=no\n")
    name = f"rook-{uuid.uuid4().hex[:8]}"

    def tmux(*arguments):
        return run_quietly("tmux", "-L", name, "-f", "/dev/null", *arguments).decode(errors="replace")

    tmux("new-session", "-d", "-x", "100", "-y", "30", f"env TERM=screen HOME={tmp_path} mutt -F {tmp_path}/muttrc")

    def wait(text):
        deadline = time.monotonic() + 20 * SLOW
        while time.monotonic() < deadline:
            screen = tmux("capture-pane", "-p")
            if re.search(text, screen):
                return screen
            time.sleep(0.05)
        raise AssertionError(f"no {text!r} on the screen:\n{screen}")

    yield lambda *keys: tmux("send-keys", *keys), wait
    subprocess.run(["tmux", "-L", name, "kill-server"], capture_output=True)


def test_mutt_reads_and_flags(server, mutt):
    keys, wait = mutt
    wait("message 2")
    keys("=", "Enter")
    wait(r"Text of message 0\.")
    keys("q")
    wait("message 2")
    keys("F")
    keys("$")
    time.sleep(0.5)
    with ImapWire(server.port("imap")) as wire:
        wire.login().ok("SELECT INBOX")
        deadline = time.monotonic() + 10 * SLOW
        while len(wire.ok("SEARCH SEEN FLAGGED")[0].split()) < 3:
            assert time.monotonic() < deadline
            wire.ok("NOOP")
            time.sleep(0.1)


def test_mutt_hears_of_new_mail(server, mutt):
    keys, wait = mutt
    wait("message 2")
    server.deliver("Subject: just come in\nFrom: x@example.net\n\nnew\n")
    wait("just come in")
