# SPDX-License-Identifier: LGPL-2.1-or-later
"""rookctl store: what there is, is it whole, and upkeep by hand and by the schedule."""

import re
import shutil
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
    number = "1 store" if name else "3 stores"
    assert server.ctl("store", verb, *name) == (f"no faults in {number}\n" if verb == "verify" else "")


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
    server.ctl("store", "verify")
    assert "with 1 message" in server.ctl("mailbox", "verify", "--full", "user/alice")
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
    server.ctl("store", "verify", "state")
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


def out_of_the_way(server, directory):
    """The server is stopped, a store is taken away, and it is started again. Returns where it is."""
    server.stop()
    away = directory.with_suffix(".away")
    directory.rename(away)
    directory.mkdir(mode=0o700)
    shutil.chown(directory, server.user)
    server.start()
    return away


@pytest.fixture
def halved(make_server):
    """A server whose partition second is not available."""
    server = make_server(None)
    second = server.directory / "second"
    server.stop()
    server.configure({"partition second": {"path": second}})
    server.start()
    out_of_the_way(server, second)
    return server


def test_partition_that_is_not_available_is_a_fault(halved):
    done = halved.ctl("store", "verify", check=False)
    assert done.returncode == 1
    assert re.search(r"1 fault:\nsecond: is not available, and was not looked at: this is not the partition", done.stderr)
    assert halved.ctl("store", "verify", "second", check=False).returncode == 1
    assert halved.ctl("store", "verify", "default") == "no faults in 1 store\n"


def test_status_and_list_say_that_it_is_not_available_and_why(halved):
    status = halved.ctl("status", as_json=True)
    assert status["state-store"] == status["partitions"]["default"] == "open"
    assert status["partitions"]["second"].startswith("unavailable: this is not the partition")
    assert "  second: unavailable: this is not" in halved.ctl("status")
    stores = rows(halved)
    assert not stores["second"]["open"] and stores["second"]["reason"].startswith("this is not the partition")
    assert stores["default"]["open"] and stores["default"]["reason"] == ""


def test_status_and_verify_say_that_the_state_store_is_lost(make_server):
    server = make_server()
    server.deliver("Subject: one\n\nx\n")
    out_of_the_way(server, server.state_directory / "mailboxes")
    status = server.ctl("status", as_json=True)
    assert status["state-store"].startswith("unavailable: ") and "reconstruct --mailboxes" in status["state-store"]
    assert status["partitions"]["default"] == "unavailable: there is no state store"
    done = server.ctl("store", "verify", check=False)
    assert done.returncode == 1 and "no store is open: the state store" in done.stderr


def test_list_has_the_name_first_and_diagnostics_only_if_asked(server):
    head = server.ctl("store", "list").splitlines()[0].split()
    assert head[:2] == ["NAME", "OPEN"] and "LONGEST-MOVE-US" not in head
    assert "LONGEST-MOVE-US" in server.ctl("store", "list", "--long").splitlines()[0].split()
    assert server.ctl("store", "list", "more", check=False).stderr == "rookctl: usage: store list [--long]\n"
