# SPDX-License-Identifier: LGPL-2.1-or-later
"""A delivery filter that takes its time, and whose plugin is switched off while it has a message in hand."""

import threading

import pytest

from rookery_harness import SLOW, Server, wait_until
from rookery_wire import ImapWire


class Delivery(threading.Thread):
    """One message to alice, in a thread of its own."""

    def __init__(self, server, subject):
        super().__init__()
        self.server, self.subject, self.error = server, subject, None
        self.start()

    def run(self):
        try:
            self.server.deliver(f"Subject: {self.subject}\n\nx\n")
        except Exception as error:  # noqa: BLE001: told by whoever joins
            self.error = error

    def finish(self):
        self.join(60 * SLOW)
        assert not self.is_alive() and self.error is None, self.error


@pytest.fixture
def server():
    one = Server()
    one.modules, one.gate = one.add_module("filter-slow"), one.spool / "gate"
    one.with_filter = settings(one, **{"plugin filter-slow": {"gate": one.gate}})
    one.configure(one.with_filter)
    with one:
        yield one


def settings(server, drain="30s", **groups):
    return {"server": {"plugin-directory": server.modules, "drain-timeout": drain}, **groups}


def messages(server):
    """Subject and whether it is flagged, of each message of alice's."""
    with ImapWire(server.port("imap")) as wire:
        wire.login()
        wire.ok("SELECT INBOX")
        lines = wire.ok("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    text = b"\n".join(lines).decode()
    return {part.split("Subject: ")[1].split()[0]: "\\Flagged" in part for part in text.split(" FETCH ")[1:]}


def test_drain_waits_for_what_the_filter_has(server):
    held = Delivery(server, "held")
    wait_until(server.gate.with_suffix(".held").exists)
    server.configure(settings(server))
    reload = threading.Thread(target=server.reload)
    reload.start()
    wait_until(lambda: server.plugin_state("filter-slow") == "draining")
    Delivery(server, "later").finish()  # nobody asks the filter any more
    server.gate.touch()
    held.finish()
    reload.join(60 * SLOW)
    assert messages(server) == {"held": True, "later": False}
    wait_until(lambda: server.plugin_state("filter-slow") in (None, "disabled"))


def test_filter_outlives_the_drain_s_deadline(server):
    held = Delivery(server, "held")
    wait_until(server.gate.with_suffix(".held").exists)
    server.reload(settings(server, drain="100ms"), check=False)
    wait_until(lambda: server.plugin_state("filter-slow") == "resident")
    Delivery(server, "later").finish()
    server.gate.touch()
    held.finish()
    assert messages(server) == {"held": True, "later": False}
    wait_until(lambda: server.plugin_state("filter-slow") in (None, "disabled"))


def test_server_stops_while_the_filter_has_a_message(server):
    """The sender is told nothing, or to try again; not that it was stored."""
    held = Delivery(server, "held")
    wait_until(server.gate.with_suffix(".held").exists)
    server.configure(settings(server, drain="100ms", **{"plugin filter-slow": {"gate": server.gate}}))
    server.reload()
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    held.join(60 * SLOW)
    assert held.error is not None
    server.gate.touch()
    stopping.join(60 * SLOW)
