# SPDX-License-Identifier: LGPL-2.1-or-later
"""rookctl store: what there is, is it whole, and upkeep by hand and by the schedule."""

import subprocess

import pytest

from rookery_harness import SLOW, Server
from rookery_wire import ImapWire


@pytest.fixture(scope="module")
def server():
    one = Server()
    one.prepare()
    one.configure({"partition second": {"path": one.directory / "second"}})
    with one:
        for number in range(30):
            one.deliver(f"Subject: {number}\n\n{'x' * 5000}\n")
        yield one


def rows(server):
    return {row["name"]: row for row in server.ctl("store", "list", as_json=True)}


def test_list_names_each_store(server):
    stores = rows(server)
    assert set(stores) == {"state", "default", "second"}
    assert all(row["open"] for row in stores.values())
    assert len({row["id"] for row in stores.values()}) == 3
    assert stores["default"]["position"] > stores["second"]["position"]


@pytest.mark.parametrize("verb", ["verify", "checkpoint", "compact"])
@pytest.mark.parametrize("name", [[], ["state"], ["default"]], ids=str)
def test_whole_stores_have_nothing_to_tell(server, verb, name):
    done = server.ctl("store", verb, *name)
    assert done == ""


def test_checkpoint_and_compact_do_something(server):
    server.deliver("Subject: one more\n\nx\n")
    before = rows(server)["default"]
    server.ctl("store", "checkpoint", "default")
    server.ctl("store", "compact", "default")
    after = rows(server)["default"]
    assert after["records-at-checkpoint"] > 0 and after["memory-bytes"] <= before["memory-bytes"]


def test_store_that_is_not_there(server):
    done = server.ctl("store", "verify", "nowhere", check=False)
    assert done.returncode == 1 and "no store nowhere" in done.stderr and "store list" in done.stderr


@pytest.mark.parametrize("job", ["checkpoint", "compact"])
def test_job_goes_over_all_stores(server, job):
    server.ctl("job", "run", job)
    row = next(row for row in server.ctl("job", "list", as_json=True) if row["name"] == job)
    assert "3 of 3 stores" in str(row), row


def test_damage_is_found_and_told(make_server):
    server = make_server()
    server.deliver(f"Subject: one\n\n{'here is what will be damaged ' * 50}\n")
    assert server.ctl("store", "verify") == ""
    assert "with 1 messages" in server.ctl("mailbox", "verify", "--full", "user/alice")
    spoilt = 0
    for path in server.spool.rglob("mail.*"):
        data = bytearray(path.read_bytes())
        at = data.find(b"what will be damaged")
        if at > 0:
            data[at] ^= 1
            path.write_bytes(data)
            spoilt += 1
    assert spoilt == 1
    done = server.ctl("store", "verify", check=False)
    assert done.returncode == 1 and "1 fault" in done.stderr and "default: " in done.stderr
    assert "(mailbox user/alice uid 1)" in done.stderr
    assert server.ctl("store", "verify", "state") == ""
    done = server.ctl("mailbox", "verify", "--full", check=False)
    assert done.returncode == 1 and "1 fault" in done.stderr
    assert "user/alice uid 1: its body can't be read" in done.stderr
    server.wait_log("mailbox.fault mailbox=user/alice uid=1 reason=")
    with ImapWire(server.port("imap")) as wire:  # who reads it is told so, and not that it was expunged
        wire.login()
        wire.ok("SELECT INBOX")
        assert wire.command("FETCH 1 BODY.PEEK[]")[1] == b"NO [CORRUPTION] Mailbox is damaged"
        server.wait_log(r"mailbox\.damaged mailbox=user/alice .*uid=1 reason=")
        assert b'"one"' in wire.ok("FETCH 1 ENVELOPE")[0]


def test_server_stops_while_stores_are_looked_after(make_server):
    server = make_server()
    for number in range(5):
        server.deliver(f"Subject: {number}\n\n{'y' * 100000}\n")
    asking = [subprocess.Popen(server.ctl_command("store", verb), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
              for verb in ("verify", "compact", "checkpoint") * 3]
    server.stop()  # insists that it is a clean one
    for one in asking:
        assert one.wait(30 * SLOW) in (0, 1, 3)  # done, refused, or the server went meanwhile
