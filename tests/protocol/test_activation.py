# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sockets that systemd opened: handed over, used, kept through a restart, and refused while nobody serves them."""

import configparser
import contextlib
import socket
import threading
import time

import pytest
from rookery_harness import BUILD, PASSWORD, SLOW, SOURCE
from rookery_wire import ImapWire, Wire

pytestmark = pytest.mark.skipif(
    not all((BUILD / f"plugins/{name}.la").exists() for name in ("imap", "lmtp", "storage-gdbm")), reason="built without mail")
MESSAGE = b"Subject: activated\r\nMessage-ID: <%d@test>\r\n\r\nbody\r\n"


@pytest.fixture
def held(tmp_path_factory):
    """The sockets as systemd holds them: open as long as the test, by name."""
    directory = tmp_path_factory.mktemp("s")
    with contextlib.ExitStack() as stack:
        sockets = {}
        for name in ("imap", "imaps"):
            sockets[name] = stack.enter_context(socket.socket())
            sockets[name].bind(("127.0.0.1", 0))
        sockets["lmtp"] = stack.enter_context(socket.socket(socket.AF_UNIX))
        sockets["lmtp"].bind(str(directory / "lmtp"))
        for one in sockets.values():
            one.listen(1024)
        yield sockets


def place(one):
    return one.getsockname() if one.family == socket.AF_INET else str(one.getsockname())


def units():
    """What the units that are shipped call their sockets."""
    names = []
    for path in sorted((SOURCE / "data").glob("rookeryd-*.socket")):
        unit = configparser.ConfigParser(strict=True)
        unit.optionxform = str
        unit.read(path)
        assert unit["Socket"]["Service"] == "rookeryd.service"
        names.append(unit["Socket"]["FileDescriptorName"])
    return names


ADDRESSES = {f"listener {name}": {"address": f"systemd:{name}"} for name in ("imap", "imaps", "lmtp")}


@pytest.fixture
def activated(make_server, held):
    """A server with the listeners that the shipped units are for, on those sockets."""
    def start(config=None, **options):
        groups = {group: dict(keys) for group, keys in ADDRESSES.items()}
        for group, keys in (config or {}).items():
            groups[group] = {**groups[group], **keys} if keys is not None and group in groups else keys
        return make_server(groups, sockets=[(name, held[name]) for name in units()], **options)
    return start


def deliver(where, number, timeout=20):
    with Wire(where, timeout=timeout) as wire:
        for line, code in ((None, "220 .*"), ("LHLO x", "250[ -].*"), ("MAIL FROM:<s@example.net>", "250 .*"),
                           ("RCPT TO:<alice>", "250 .*"), ("DATA", "354 .*")):
            if line:
                wire.send(line)
            while wire.expect(code).group(0)[3] == "-":
                pass
        wire.send(MESSAGE % number + b".\r\n")
        wire.expect("250 .*")


def test_sockets_of_the_shipped_units_are_served(activated, held):
    server = activated()
    deliver(place(held["lmtp"]), 1)
    with ImapWire(place(held["imap"])) as wire:
        wire.login()
        assert b"* 1 EXISTS" in wire.ok("SELECT INBOX")
    with ImapWire(place(held["imaps"]), tls=server.certificate) as wire:
        wire.login()
        assert b"* 1 EXISTS" in wire.ok("SELECT INBOX")
    rows = {row["listener"]: row for row in server.ctl("listener", "list", as_json=True)}
    assert {name: row["address"] for name, row in rows.items()} == {name: f"systemd:{name}" for name in held}
    assert all(row["state"] == "listening" for row in rows.values())


def test_restart_loses_no_connection_attempt(activated, held):
    """Clients come all the time; each is served, by this server or by the next, or told BYE by the one that stops."""
    server = activated()
    stopping, served, errors = threading.Event(), [0, 0], []

    def deliveries():
        while not stopping.is_set():
            with Wire(place(held["lmtp"]), timeout=60) as wire:
                if wire.line().startswith(b"220"):
                    served[0] += 1

    def logins():
        while not stopping.is_set():
            with Wire(place(held["imap"]), timeout=60) as wire:
                if wire.line().startswith(b"* OK"):
                    served[1] += 1

    def run(what):
        try:
            what()
        except Exception as error:  # noqa: BLE001: told at the end
            errors.append(error)

    threads = [threading.Thread(target=run, args=(what,)) for what in (deliveries, logins)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            server.restart()
            before = list(served)
            deadline = time.monotonic() + 60 * SLOW
            while not errors and any(now <= then for now, then in zip(served, before)):
                assert time.monotonic() < deadline
                time.sleep(0.02)
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    assert errors == []


def test_client_that_comes_while_the_server_is_down_is_served_later(activated, held):
    server = activated()
    server.stop()
    with ImapWire(place(held["imap"]), greeting=False) as wire:
        tag = wire.begin(f"LOGIN alice {PASSWORD}")
        server.start()
        assert wire.response().startswith(b"* OK")
        assert wire.finish(tag)[1].startswith(b"OK")


def turned_away(where):
    try:
        with Wire(where) as wire:
            return wire.socket.recv(100) == b""
    except ConnectionError:
        return True


def test_socket_of_a_plugin_that_is_switched_off_refuses_at_once(activated, held):
    server = activated()
    server.reload({**ADDRESSES, "plugin lmtp": {"enabled": False}})
    assert turned_away(place(held["lmtp"]))
    with ImapWire(place(held["imap"])) as wire:  # nobody else's business
        wire.login()
    server.reload(ADDRESSES)
    deliver(place(held["lmtp"]), 1)
    server.reload({**ADDRESSES, "listener lmtp": None})  # and one that no listener has any more
    assert turned_away(place(held["lmtp"]))
    server.reload(ADDRESSES)
    deliver(place(held["lmtp"]), 2)


def test_socket_that_is_no_listeners_is_named_and_refuses(activated, held):
    server = activated({"listener imaps": None})
    server.wait_log(r'net\.unserved.*imaps.*systemd:imaps')
    assert turned_away(place(held["imaps"]))


@pytest.mark.parametrize("how", ["start", "check-config"])
def test_name_that_was_not_handed_over_is_a_mistake(activated, how):
    server = activated({"listener imap": {"address": "systemd:imapp"}}, start=False)
    if how == "check-config":
        done = server.check_config()
        status, text = done.returncode, done.stderr
    else:
        server.start(wait=False)
        status, text = server.process.wait(60 * SLOW), server.log()
        server.process = None
    assert status == 1
    for word in (f"{server.config_path}:", "listener imap", "systemd:imapp", "but imap, imaps, lmtp", "FileDescriptorName="):
        assert word in text, text


def test_name_is_a_mistake_where_nothing_was_handed_over(make_server):
    server = make_server({"listener imap": {"address": "systemd:imap"}}, start=False)
    assert server.check_config().returncode == 0  # which can't know: systemd hands them to the server alone
    server.start(wait=False)
    assert server.process.wait(60 * SLOW) == 3
    server.process = None
    assert "handed over no socket of that name" in server.log() and "none at all" in server.log()


def test_reload_to_a_name_that_was_not_handed_over_is_refused(activated, held):
    server = activated()
    done = server.reload({**ADDRESSES, "listener imap": {"address": "systemd:imapp"}}, check=False)
    assert done.returncode != 0 and "systemd:imapp" in done.stderr and "imap, imaps, lmtp" in done.stderr
    with ImapWire(place(held["imap"])) as wire:
        wire.login()


def test_name_that_can_be_none_is_a_mistake(make_server):
    done = make_server({"listener imap": {"address": "systemd:a:b"}}, start=False).check_config()
    assert done.returncode == 1 and "FileDescriptorName" in done.stderr
