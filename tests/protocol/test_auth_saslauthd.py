# SPDX-License-Identifier: LGPL-2.1-or-later
"""A saslauthd that hangs, hangs up, or talks nonsense harms those who log in by it, and nobody else."""

import base64
import socket
import ssl
import threading

import pytest

from rookery_harness import Server, make_certificate, merge, wait_until
from rookery_wire import ImapWire, Wire

PLAIN = base64.b64encode(b"\0alice\0pass").decode()
OK = b"\0\2OK"


class Saslauthd:
    """The daemon's side of its socket. `answer`: bytes to reply before the end; None: nothing is said until release()."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        path.chmod(0o666)
        self.listener.listen(64)
        self.answer, self.held, self.asked = OK, [], []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            if self.answer is None:
                self.held.append(client)
                continue
            self.asked.append(client.recv(65536))
            client.sendall(self.answer)
            client.close()

    def release(self):
        """Hangs up on all who wait."""
        self.answer = b""
        while self.held:
            self.held.pop().close()

    def close(self):
        self.release()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture(scope="module")
def server():
    """Two threads ask saslauthd, for as long as it likes; who finds none is told so after half a second."""
    one = Server(config={})
    one.saslauthd = Saslauthd(one.run_directory / "mux")
    one.prepare()
    certificate, key = make_certificate(one.directory, "alice", names=("localhost",))
    certificate.chmod(0o644)
    one.client = ssl.create_default_context(cafile=str(one.certificate))
    one.client.load_cert_chain(certificate, key)
    one.configure(merge(one.changes, {
        "auth": {"backend": "saslauthd", "saslauthd-socket": one.run_directory / "mux", "saslauthd-timeout": "10m",
                 "threads": 2, "queue-deadline": "500ms", "failure-delay": "0"},
        "tls": {"client-ca": certificate}}))
    with one:
        yield one
        one.saslauthd.close()


@pytest.fixture
def saslauthd(server):
    server.saslauthd.answer = OK
    yield server.saslauthd
    server.saslauthd.release()


def lmtp(server):
    wire = Wire(server.path("lmtp"))
    wire.expect("220 .*")
    wire.send("LHLO x")
    while wire.line()[3:4] == b"-":
        pass
    return wire


def test_what_it_is_asked(server, saslauthd):
    with ImapWire(server.port("imap")) as wire:
        wire.ok("LOGIN alice pass")
    assert saslauthd.asked[-1] == b"\0\5alice\0\4pass\0\4imap\0\x0bexample.org"


@pytest.mark.parametrize("answer", [b"", b"\0", b"\0\2", b"\0\2O", b"\0\0", b"\0\1O", b"\xff\xffOK", b"\0\2KO", b"OK",
                                    b"\0\x20NO" + b"x" * 10, b"HTTP/1.1 200 OK\r\n\r\n"], ids=repr)
def test_hangs_up_or_talks_nonsense(server, saslauthd, answer):
    saslauthd.answer = answer
    with ImapWire(server.port("imap")) as wire:
        assert wire.command("LOGIN alice pass")[1].startswith(b"NO [UNAVAILABLE]")
        assert wire.command(f"AUTHENTICATE PLAIN {PLAIN}")[1].startswith(b"NO [UNAVAILABLE]")
        saslauthd.answer = OK
        wire.ok("LOGIN alice pass")


def test_is_not_there(server, saslauthd):
    path = server.run_directory / "mux"
    path.rename(path.with_suffix(".away"))
    try:
        with ImapWire(server.port("imap")) as wire:
            assert wire.command("LOGIN alice pass")[1].startswith(b"NO [UNAVAILABLE]")
        with lmtp(server) as wire:
            wire.send(f"AUTH PLAIN {PLAIN}")
            wire.expect("454 4.7.0 .*")
    finally:
        path.with_suffix(".away").rename(path)


def test_hangs(server, saslauthd):
    with ImapWire(server.port("imap")) as session, ImapWire(server.port("imap")) as idle:
        session.ok("LOGIN alice pass")
        idle.ok("LOGIN alice pass")
        idle.ok("SELECT INBOX")
        tag = idle.begin("IDLE")
        idle.expect(r"\+ .*")
        saslauthd.answer = None
        victims = [ImapWire(server.port("imap")) for _ in range(2)]
        tags = [victim.begin("LOGIN alice pass") for victim in victims]
        wait_until(lambda: len(saslauthd.held) == 2)

        # No thread is left for those who come now: they are told to try again, in each protocol's own terms.
        with ImapWire(server.port("imap")) as late:
            for command in ("LOGIN alice pass", f"AUTHENTICATE PLAIN {PLAIN}"):
                assert late.command(command)[1].startswith(b"NO [UNAVAILABLE]")
        with lmtp(server) as late:
            late.send(f"AUTH PLAIN {PLAIN}")
            late.expect("454 4.7.0 .*")
            late.send("NOOP")
            late.expect("250 .*")
        assert len(saslauthd.held) == 2, "it was not asked for those"

        # And nobody else notices.
        with ImapWire(server.port("imaps"), tls=server.client) as certified:
            certified.ok("AUTHENTICATE EXTERNAL =")
            certified.ok("SELECT INBOX")
        session.ok("NOOP")
        server.deliver("Subject: in the meantime\n\nx\n")
        while b"EXISTS" not in idle.line():
            pass
        idle.send("DONE")
        idle.finish(tag)
        assert server.ctl("status", as_json=True)["auth"]["checks-running"] == 2

        saslauthd.release()
        for victim, tag in zip(victims, tags):
            assert victim.finish(tag)[1].startswith(b"NO [UNAVAILABLE]")
            victim.close()
    saslauthd.answer = OK
    with ImapWire(server.port("imap")) as wire:
        wire.ok("LOGIN alice pass")


def test_client_that_gives_up_waiting(server, saslauthd):
    saslauthd.answer = None
    for _ in range(2):
        wire = ImapWire(server.port("imap"))
        wire.begin("LOGIN alice pass")
        wait_until(lambda: len(saslauthd.held) > 0)
        wire.close()
        saslauthd.release()
        saslauthd.answer = None
    saslauthd.answer = OK
    with ImapWire(server.port("imap")) as wire:
        wire.ok("LOGIN alice pass")


def test_answers_after_its_time(server, saslauthd):
    """The thread is given back at saslauthd-timeout, and an answer that comes then is nobody's."""
    server.reload(merge(server.settings, {"auth": {"saslauthd-timeout": "200ms"}}))
    saslauthd.answer = None
    with ImapWire(server.port("imap")) as wire:
        for _ in range(3):
            assert wire.command("LOGIN alice pass")[1].startswith(b"NO [UNAVAILABLE]")
        for client in saslauthd.held:
            try:
                client.sendall(OK)
            except BrokenPipeError:
                pass
        saslauthd.release()
        saslauthd.answer = OK
        wire.ok("LOGIN alice pass")


def test_server_stops_while_it_hangs():
    with Server() as one:
        one.stop()
        saslauthd = Saslauthd(one.run_directory / "mux")
        saslauthd.answer = None
        one.configure({"server": {"drain-timeout": "200ms"}, "auth": {
            "backend": "saslauthd", "saslauthd-socket": one.run_directory / "mux", "saslauthd-timeout": "2s"}})
        one.start()
        with ImapWire(one.port("imap")) as wire:
            wire.begin("LOGIN alice pass")
            wait_until(lambda: saslauthd.held)
            one.stop()
        saslauthd.close()
