# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cyrus's imtest: every mechanism by somebody else's client, with the security layer that DIGEST-MD5 brings."""

import base64
import os
import re
import subprocess
from unittest import mock

import pytest

from rookery_harness import SLOW, Server, child_environment

IMTEST = "/usr/lib/cyrus/bin/imtest"
MECHANISMS = ["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "DIGEST-MD5"]


@pytest.fixture(scope="module")
def server():
    # DIGEST-MD5 leaks by way of OpenSSL: the exception in lsan.supp needs the slow way through the stack.
    with mock.patch.dict(os.environ, ASAN_OPTIONS="fast_unwind_on_malloc=0"):
        running = Server(config={"auth": {"failure-delay": "0", "mechanisms": MECHANISMS}})
        running.__enter__()
    yield running
    running.__exit__(None, None, None)


@pytest.fixture(scope="module")
def bound_server():
    """With the mechanisms that are there by default."""
    with Server(config={"auth": {"failure-delay": "0"}}) as running:
        yield running


def imtest(server, *arguments, listener="imap", commands=b'a1 LIST "" *\r\na2 LOGOUT\r\n'):
    """Logs in, lists the mailboxes, logs out. Returns what it printed."""
    tls = ["-s"] if listener == "imaps" else []
    done = subprocess.run([IMTEST, "-p", str(server.port(listener)), *tls, *arguments, "127.0.0.1"], timeout=60,
                          input=commands, capture_output=True, env=child_environment())
    return done.stdout.decode(errors="replace")


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_logs_in(server, mechanism):
    output = imtest(server, "-m", mechanism, "-a", "alice", "-u", "alice", "-w", "pass")
    assert "\nAuthenticated.\n" in output
    assert "\na1 OK" in output
    assert ("Security strength factor: 128" in output) == (mechanism == "DIGEST-MD5")


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_wrong_password(server, mechanism):
    output = imtest(server, "-m", mechanism, "-a", "alice", "-u", "alice", "-w", "wrong")
    assert "Authentication failed." in output
    assert "\na1 BAD" in output


def test_under_tls_there_is_no_layer(server):
    output = imtest(server, "-m", "DIGEST-MD5", "-a", "alice", "-u", "alice", "-w", "pass", listener="imaps")
    assert "\nAuthenticated.\n" in output and "\na1 OK" in output


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", None])
def test_under_tls_by_what_it_chooses(bound_server, mechanism):
    """Without -m it takes the best that is offered, and binds: tls-unique, under TLS 1.3 too."""
    chosen = [] if mechanism is None else ["-m", mechanism]
    output = imtest(bound_server, *chosen, "-a", "alice", "-u", "alice", "-w", "pass", listener="imaps")
    assert "\nAuthenticated.\n" in output and "\na1 OK" in output
    header = re.search(r"AUTHENTICATE SCRAM-\S+ (\S+)", output).group(1)
    wanted = b"n," if mechanism == "SCRAM-SHA-256" else b"p=tls-unique,"
    assert base64.b64decode(header).startswith(wanted)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"])
def test_gsasl_binds(bound_server, mechanism, version):
    """GNU SASL on GnuTLS, to which tls-exporter (1.3) and tls-unique (1.2) come from another library than ours."""
    done = subprocess.run(
        ["gsasl", "--imap", f"--connect=localhost:{bound_server.port('imap')}", "--starttls", "-m", mechanism,
         "--x509-ca-file", str(bound_server.certificate), "--priority", f"NORMAL:-VERS-ALL:+VERS-TLS{version}",
         "-a", "alice", "-z", "", "-p", "pass"],
        input=b"a LOGOUT\r\n", capture_output=True, env=child_environment(), timeout=60 * SLOW)
    assert done.returncode == 0 and b"Logged in" in done.stdout, done
    bound_server.wait_log(rf"auth\.ok .*mechanism={mechanism} tls=yes")


def test_much_goes_through_the_layer(server):
    """More than one frame each way."""
    text = b"Subject: large\r\n\r\n" + b"x" * 200 * 1000 + b"\r\n"
    commands = (b"a1 APPEND INBOX {%d+}\r\n" % len(text) + text
                + b"\r\na2 SELECT INBOX\r\na3 FETCH * BODY.PEEK[]\r\na4 LOGOUT\r\n")
    output = imtest(server, "-m", "DIGEST-MD5", "-a", "alice", "-u", "alice", "-w", "pass", commands=commands)
    assert "\na1 OK" in output and "\na3 OK" in output and "x" * 200 * 1000 in output


def test_integrity_without_privacy(server):
    output = imtest(server, "-m", "DIGEST-MD5", "-l", "1", "-a", "alice", "-u", "alice", "-w", "pass")
    assert "Security strength factor: 1\n" in output and "\na1 OK" in output


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "DIGEST-MD5"])
def test_acting_as_another(server, mechanism):
    assert "\nAuthenticated.\n" in imtest(server, "-m", mechanism, "-a", "admin", "-u", "bob", "-w", "pass")
    assert "Authentication failed." in imtest(server, "-m", mechanism, "-a", "alice", "-u", "bob", "-w", "pass")
