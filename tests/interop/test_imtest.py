# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cyrus's imtest: every mechanism by somebody else's client, with the security layer that DIGEST-MD5 brings."""

import os
import subprocess
from unittest import mock

import pytest

from rookery_harness import Server, child_environment

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


def imtest(server, *arguments, listener="imap"):
    """Logs in, lists the mailboxes, logs out. Returns what it printed."""
    tls = ["-s"] if listener == "imaps" else []
    done = subprocess.run([IMTEST, "-p", str(server.port(listener)), *tls, *arguments, "127.0.0.1"], timeout=60,
                          input=b'a1 LIST "" *\r\na2 LOGOUT\r\n', capture_output=True, env=child_environment())
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


def test_integrity_without_privacy(server):
    output = imtest(server, "-m", "DIGEST-MD5", "-l", "1", "-a", "alice", "-u", "alice", "-w", "pass")
    assert "Security strength factor: 1\n" in output and "\na1 OK" in output


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "DIGEST-MD5"])
def test_acting_as_another(server, mechanism):
    assert "\nAuthenticated.\n" in imtest(server, "-m", mechanism, "-a", "admin", "-u", "bob", "-w", "pass")
    assert "Authentication failed." in imtest(server, "-m", mechanism, "-a", "alice", "-u", "bob", "-w", "pass")
