# SPDX-License-Identifier: LGPL-2.1-or-later
"""A plugin switched off and on a thousand times under load: nothing leaks, and nobody else's session notices."""

import os
import re

import pytest
from rookery_harness import BUILD, SANITIZED, Server, free_port
from rookery_load import Load, check_leaks, settle, talk_imap, talk_notify, toggle
from rookery_wire import ImapWire, Wire

ROUNDS = int(os.environ.get("ROOKERY_ROUNDS", "60" if SANITIZED else "1000"))
HAS_MAIL = all((BUILD / f"plugins/{name}.la").exists() for name in ("imap", "lmtp", "storage-gdbm"))


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
