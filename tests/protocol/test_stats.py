# SPDX-License-Identifier: LGPL-2.1-or-later
"""What rookctl status and rookctl stats say of a server that has delivered and been read: in text, and as JSON."""

import re

import pytest
from rookery_harness import BUILD
from rookery_wire import ImapWire

pytestmark = pytest.mark.skipif(not all((BUILD / f"plugins/{name}.la").exists() for name in ("imap", "lmtp", "storage-gdbm")),
                                reason="built without mail")

# What goes in and is asked for below.
DELIVERED = 5
COMMANDS = {"LOGIN": 1, "SELECT": 1, "NOOP": 3, "FETCH": 2, "STORE": 1, "SEARCH": 0}


@pytest.fixture(scope="module")
def used(server):
    """The server after some work, with one session of IMAP open."""
    for number in range(DELIVERED):
        server.deliver(f"Subject: message {number}\n\nHello\n", "alice")
    with ImapWire(server.port("imap")) as wire:
        wire.login("alice")
        wire.ok("SELECT INBOX")
        for _ in range(3):
            wire.ok("NOOP")
        for _ in range(2):
            wire.ok("FETCH 1:* FLAGS")
        wire.ok(r"STORE 1 +FLAGS (\Flagged)")
        yield server


def rows(server, prefix):
    """The JSON of `rookctl stats PREFIX`, by the value of the label ("" without one)."""
    found = server.ctl("stats", prefix, as_json=True)
    return {row["of"]: row for row in found if row["metric"] == prefix}


def text_rows(server, prefix):
    """The text of the same: each line by the value of its label, as a dictionary by column."""
    lines = server.ctl("stats", prefix).splitlines()
    starts = [(found.group(), found.start(), found.end()) for found in re.finditer(r"\S+", lines[0])]
    table = {}
    for line in lines[1:]:
        row = {}
        for word in re.finditer(r"\S+", line):
            # Columns are flush with their title on one side or the other.
            title = next(t for t, start, end in starts if word.start() == start or word.end() == end)
            row[title] = word.group()
        if row["METRIC"] == prefix:
            table[row.get("OF", "")] = row
    return table


def test_status_counts_connections_by_protocol_and_deliveries_by_result(used):
    status = used.ctl("status", as_json=True)
    assert status["connections"]["imap"] == 1
    assert status["connected-since-start"]["imap"] == 1
    assert status["connected-since-start"]["lmtp"] == DELIVERED
    assert status["deliveries"]["ok"] == DELIVERED
    assert status["memory-bytes"] > 1 << 20


def test_status_as_text_says_the_same(used):
    text = used.ctl("status")
    sections = dict(re.findall(r"^([a-z-]+):\n((?:  .*\n)+)", text, re.M))
    assert "  imap: 1\n" in sections["connections"]
    assert "  imap: 1\n" in sections["connected-since-start"]
    assert f"  lmtp: {DELIVERED}\n" in sections["connected-since-start"]
    assert f"  ok: {DELIVERED}\n" in sections["deliveries"]
    assert re.search(r"^memory: [\d.]+.[MG]iB$", text, re.M)


def test_stats_count_connections_and_deliveries(used):
    assert rows(used, "net.connections")["imap"]["count"] == 1
    assert rows(used, "net.connected")["lmtp"]["count"] == DELIVERED
    assert rows(used, "delivery.recipients")["ok"]["count"] == DELIVERED
    assert rows(used, "delivery.time")[""]["count"] == DELIVERED
    assert text_rows(used, "delivery.recipients")["ok"]["COUNT"] == str(DELIVERED)


def check_histogram(row, count, unit):
    assert row["count"] == count
    assert row["unit"] == unit
    assert 0 <= row["p50"] <= row["p90"] <= row["p99"] <= row["max"]
    assert 0 <= row["mean"] <= row["max"]
    assert row["max"] > 0 or count == 0


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_stats_tell_how_long_each_command_took(used, command):
    row = rows(used, "imap.command")[command]
    check_histogram(row, COMMANDS[command], "us")
    text = text_rows(used, "imap.command")[command]
    assert text["COUNT"] == str(COMMANDS[command])
    assert {"MEAN", "P50", "P90", "P99", "MAX", "UNIT"} <= set(text)


def test_stats_tell_how_long_commands_of_lmtp_took(used):
    commands = rows(used, "lmtp.command")
    check_histogram(commands["DATA"], DELIVERED, "us")
    check_histogram(commands["RCPT"], DELIVERED, "us")


def test_stats_tell_commit_batches_and_sync_time_of_each_store(used):
    sizes, syncs = rows(used, "store.commit.batches"), rows(used, "store.commit.sync")
    assert set(sizes) == set(syncs) == {used.spool.name, "mailboxes"}
    spool = sizes[used.spool.name]
    # One message after the other: a commit each at least, and no group without a batch.
    assert spool["count"] >= DELIVERED + 1
    check_histogram(spool, spool["count"], "batches")
    assert spool["mean"] >= 1
    check_histogram(syncs[used.spool.name], spool["count"], "us")
    assert set(text_rows(used, "store.commit.sync")) == set(syncs)


def test_stats_tell_memory(used):
    memory = rows(used, "process.memory")[""]
    assert 1 << 20 < memory["count"] <= 1024 * used.resident_kib() * 2


def test_every_metric_says_what_it_counts(used):
    described = {row["metric"]: row for row in used.ctl("stats", "describe", as_json=True)}
    named = {row["metric"] for row in used.ctl("stats", as_json=True)}
    assert named - set(described) == set()
    assert all(row["counts"] for row in described.values())
