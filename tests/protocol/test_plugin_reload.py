# SPDX-License-Identifier: LGPL-2.1-or-later
"""A plugin switched off and on a thousand times under load: nothing leaks, and nobody else's session notices."""

import os
import re
import socket
import threading
from pathlib import Path

import pytest
from rookery_harness import BUILD, SLOW, Server, free_port
from rookery_wire import ImapWire, Wire

ROUNDS = int(os.environ.get("ROOKERY_ROUNDS", "1000" if SLOW <= 1 else "60"))
HAS_MAIL = all((BUILD / f"plugins/{name}.la").exists() for name in ("imap", "lmtp", "storage-gdbm"))


def control(server, request):
    """One request on the control socket, without a process for it: a thousand rounds want to be quick."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(40 * SLOW)
        client.connect(str(server.run_directory / "control.sock"))
        client.sendall(request + b"\n")
        answer = b""
        while data := client.recv(65536):
            answer += data
    assert answer.startswith(b"ok"), answer
    return answer


class Load:
    """Clients of a port that come, say something and go, whether it is there or not, until stopped."""

    def __init__(self, port, talk, threads=2):
        self.port, self.talk, self.stopping, self.talks, self.errors = port, talk, False, 0, []
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *ignored):
        self.stopping = True
        for thread in self.threads:
            thread.join()

    def run(self):
        while not self.stopping:
            try:
                with Wire(self.port) as wire:
                    self.talk(wire)
                    self.talks += 1
            except (ConnectionError, EOFError):
                pass  # switched off now, or in mid-talk
            except Exception as error:  # noqa: BLE001: told at the end
                self.errors.append(error)


def expect(wire, pattern):
    """The next line is like `pattern`, unless the plugin goes just now."""
    line = wire.line()
    if line.startswith(b"* BYE"):
        raise EOFError
    assert re.fullmatch(pattern, line), f"{line} is not like {pattern}"


def talk_notify(wire):
    expect(wire, rb"\+OK .*")
    wire.send(b"WATCH\r\nPING\r\nUNWATCH\r\n")
    for _ in range(3):
        expect(wire, rb"\+OK")


def talk_imap(wire):
    expect(wire, rb"\* OK .*")
    for number in range(3):
        wire.send(f"a{number} NOOP")
        expect(wire, b"a%d OK .*" % number)


def measure(server):
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    maps = Path(f"/proc/{server.process.pid}/maps").read_text().splitlines()
    return {
        "descriptors": server.open_descriptors(),
        "threads": int(re.search(r"^Threads:\s+(\d+)", status, re.M).group(1)),
        "libraries": sum(".so" in line for line in maps),
        "memory": int(re.search(r"^RssAnon:\s+(\d+)", status, re.M).group(1)),
    }


def settle(server, load_port, talk):
    """The same state each time: on, and used once. Pool threads end by themselves after a while."""
    with Wire(load_port) as wire:
        talk(wire)
    control(server, b"status")
    return measure(server)


def toggle(server, on, off, rounds):
    for _ in range(rounds):
        server.configure(off)
        control(server, b"reload")
        server.configure(on)
        control(server, b"reload")


def check_leaks(before, after):
    assert after["libraries"] == before["libraries"]
    assert after["threads"] <= before["threads"] + 2, (before, after)  # of the pool, which come and go
    assert after["descriptors"] <= before["descriptors"] + 3, (before, after)
    if SLOW <= 1:
        assert after["memory"] - before["memory"] < 1500, (before, after)  # KiB


def run_rounds(server, plugin, port, talk, notify_groups):
    on, off = notify_groups, {**notify_groups, f"plugin {plugin}": {"enabled": False}}
    warm_up = max(ROUNDS // 10, 10)
    with Load(port, talk) as load:
        toggle(server, on, off, warm_up)
    assert load.errors == []
    before = settle(server, port, talk)
    with Load(port, talk) as load:
        toggle(server, on, off, ROUNDS)
    assert load.errors == []
    assert load.talks > 0
    check_leaks(before, settle(server, port, talk))


@pytest.fixture
def notify_port():
    return free_port()


def groups_with_notify(port, bare=False):
    groups = {"plugin example": {}, "listener notify": {"protocol": "notify", "address": f"127.0.0.1:{port}"},
              "limits": {"connections-per-address": 1000}}
    return {**groups, "partition default": None, "tls": None, "auth": None} if bare else groups


@pytest.mark.skipif(not HAS_MAIL, reason="built without mail")
def test_idle_session_does_not_notice_another_plugin_going_and_coming(notify_port):
    groups = groups_with_notify(notify_port)
    with Server(config=groups) as server:
        with ImapWire(server.port("imap")) as idler:
            idler.login("alice")
            idler.ok("SELECT INBOX")
            tag = idler.begin("IDLE")
            idler.expect(r"\+ .*")
            run_rounds(server, "example", notify_port, talk_notify, groups)
            server.deliver("Subject: still there\n\nHello\n", "alice")
            while not re.fullmatch(rb"\* \d+ EXISTS", idler.line()):
                pass
            idler.send("DONE")
            idler.finish(tag)


@pytest.mark.skipif(not (BUILD / "plugins/imap.la").exists(), reason="built without IMAP")
def test_watcher_does_not_notice_imap_going_and_coming(notify_port):
    port = free_port()
    groups = {**groups_with_notify(notify_port, bare=True), "plugin imap": {},
              "listener imap": {"protocol": "imap", "address": f"127.0.0.1:{port}"}}
    with Server(plugins=[], config=groups) as server:
        with Wire(notify_port) as watcher:
            watcher.expect(r"\+OK .*")
            watcher.send("WATCH")
            watcher.expect(b"+OK")
            run_rounds(server, "imap", port, talk_imap, groups)
            watcher.send("PING")
            watcher.expect(b"+OK")
