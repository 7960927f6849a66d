# SPDX-License-Identifier: LGPL-2.1-or-later
"""A password checker that a plugin brings, in force, and taken away by a reload."""

import base64
import threading
import time

import pytest

from rookery_harness import SLOW, Server, wait_until
from rookery_wire import ImapWire

REFUSED = b"NO [AUTHENTICATIONFAILED] Authentication failed"


@pytest.fixture
def server():
    one = Server()
    one.modules, one.gate = one.add_module("checker-door"), one.directory / "gate"
    one.gate.touch()
    one.base = {"server": {"plugin-directory": one.modules, "drain-timeout": "200ms"}, "auth": {"failure-delay": "0"}}
    one.door = {**one.base, "auth": {"failure-delay": "0", "backend": "door", "sasldb-path": None},
                "plugin checker-door": {"gate": one.gate}}
    one.configure(one.door)
    with one:
        yield one


def login(server, password):
    with ImapWire(server.port("imap")) as wire:
        return wire.command(f"LOGIN alice {password}")[1]


def test_checker_decides(server):
    assert login(server, "open").startswith(b"OK")
    assert login(server, "pass") == REFUSED


@pytest.mark.parametrize("without", [None, {"enabled": False}], ids=["gone", "disabled"])
def test_checker_in_force_is_not_taken_away(server, without):
    done = server.reload({**server.door, "plugin checker-door": without}, check=False)
    assert done.returncode != 0 and '"door"' in done.stderr and "[auth] backend" in done.stderr
    assert login(server, "open").startswith(b"OK") and server.plugin_state("checker-door") == "running"


def test_checker_goes_when_another_is_in_force(server):
    with ImapWire(server.port("imap")) as wire:
        wire.login(password="open")
        server.reload(server.base)
        assert server.plugin_state("checker-door") in (None, "disabled")
        assert login(server, "open") == REFUSED and login(server, "pass").startswith(b"OK")
        wire.ok("SELECT INBOX")  # who was in stays in
        server.reload(server.door)
        assert login(server, "open").startswith(b"OK") and login(server, "pass") == REFUSED


def test_password_that_is_being_checked_outlives_the_reload(server):
    server.gate.unlink()
    with ImapWire(server.port("imap")) as wire:
        tag = wire.begin("LOGIN alice open")
        assert wire.silent(0.3)
        server.reload(server.base, check=False)
        assert login(server, "pass").startswith(b"OK")  # the new one does not wait for the old one
        assert server.plugin_state("checker-door") in ("draining", "resident")
        server.gate.touch()
        assert wire.finish(tag)[1].startswith((b"OK", b"NO [UNAVAILABLE]"))
    wait_until(lambda: server.plugin_state("checker-door") in (None, "disabled"))


def test_server_stops_while_a_password_is_being_checked(server):
    server.gate.unlink()
    with ImapWire(server.port("imap")) as wire:
        wire.begin("LOGIN alice open")
        assert wire.silent(0.2)
        server.process.terminate()
        time.sleep(0.3)
        server.gate.touch()
        assert server.process.wait(30 * SLOW) == 0
        server.process = None


def test_login_in_several_steps_is_told_of_the_drain(server):
    """The step in hand ends after the drain began: no further one is asked for."""
    server.reload({**server.door, "server": {**server.base["server"], "drain-timeout": "60s"}})
    server.gate.unlink()
    held = [ImapWire(server.port("imap")) for _ in range(40)]  # more than the service has threads
    for wire in held:
        wire.begin("LOGIN alice open")
    with ImapWire(server.port("imap")) as wire:
        tag = wire.begin("AUTHENTICATE LOGIN")
        disabling = threading.Thread(target=server.ctl, args=("plugin", "disable", "imap"), kwargs={"check": False})
        disabling.start()
        wait_until(lambda: server.plugin_state("imap") in ("draining", "disabled"))
        server.gate.touch()
        said = []
        while not said or not said[-1].startswith((b"* BYE", tag.encode())):
            said.append(wire.line())
            if said[-1].startswith(b"+"):
                wire.send(base64.b64encode(b"alice"))
        assert said[-1].startswith(b"* BYE [UNAVAILABLE]"), said
        wire.expect_close()
    for one in held:
        one.close()
    disabling.join(60 * SLOW)
