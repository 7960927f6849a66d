# SPDX-License-Identifier: LGPL-2.1-or-later
"""What one IMAP session is told of another's doing, and when."""

import itertools
import time

import pytest

counter = itertools.count()
MESSAGE = b"Subject: x\r\n\r\nbody\r\n"


@pytest.fixture
def pair(imap):
    """Two sessions with the same mailbox selected, three messages in it."""
    one, two = imap(), imap()
    name = f"shared{next(counter)}"
    one.name = two.name = name
    one.ok(f"CREATE {name}")
    for _ in range(3):
        one.append(name, MESSAGE)
    one.ok(f"SELECT {name}")
    two.ok(f"SELECT {name}")
    return one, two


def test_new_mail_is_told_at_noop(pair):
    one, two = pair
    two.append(two.name, MESSAGE)
    assert one.ok("NOOP")[0] == b"* 4 EXISTS"
    assert one.ok("NOOP") == []


def test_flags_of_others_are_told(pair):
    one, two = pair
    two.ok("STORE 2 +FLAGS (\\Flagged)")
    responses = one.ok("NOOP")
    assert len(responses) == 1 and responses[0].startswith(b"* 2 FETCH (FLAGS (\\Flagged")


def test_expunges_are_told_at_noop(pair):
    one, two = pair
    two.ok("STORE 1,3 +FLAGS.SILENT (\\Deleted)")
    two.ok("EXPUNGE")
    assert [r for r in one.ok("NOOP") if r.endswith(b"EXPUNGE")] == [b"* 1 EXPUNGE", b"* 2 EXPUNGE"]
    assert one.ok("UID SEARCH ALL") == [b"* SEARCH 2"]


@pytest.mark.parametrize("command", ["FETCH 3 UID", "STORE 3 +FLAGS.SILENT (\\Seen)", "SEARCH ALL"])
def test_no_expunge_is_told_during_fetch_store_and_search(pair, command):
    one, two = pair
    two.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    two.ok("EXPUNGE")
    assert not any(b"EXPUNGE" in response for response in one.ok(command))
    assert b"* 1 EXPUNGE" in one.ok("NOOP")


def test_an_expunged_message_can_still_be_fetched_until_told(pair):
    one, two = pair
    two.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    two.ok("EXPUNGE")
    assert MESSAGE in one.ok("FETCH 1 BODY.PEEK[]")[0]
    assert b"* 1 EXPUNGE" in one.ok("UID FETCH 2 UID")


def test_recent_goes_to_one_session(imap):
    one, two = imap(), imap()
    one.ok("CREATE recent")
    one.append("recent", MESSAGE)
    assert b"* 1 RECENT" in one.ok("SELECT recent")
    assert b"* 0 RECENT" in two.ok("SELECT recent")


def test_idle_without_a_mailbox(imap):
    wire = imap()
    tag = wire.begin("IDLE")
    wire.expect(b"+ idling")
    wire.send("done")
    assert wire.finish(tag) == ([], b"OK Completed")


def test_idle_hears_of_everything_at_once(pair):
    one, two = pair
    tag = one.begin("IDLE")
    one.expect(b"+ idling")
    two.append(two.name, MESSAGE)
    one.expect(b"* 4 EXISTS")
    two.ok("STORE 2 +FLAGS (\\Flagged)")
    seen = one.response()
    while not seen.startswith(b"* 2 FETCH (FLAGS (\\Flagged"):
        seen = one.response()
    two.ok("STORE 1 +FLAGS (\\Deleted)")
    two.ok("EXPUNGE")
    while one.response() != b"* 1 EXPUNGE":
        pass
    one.send("DONE")
    assert one.finish(tag)[1] == b"OK Completed"


def test_idle_is_quick(server, pair):
    one, two = pair
    one.begin("IDLE")
    one.expect(b"+ idling")
    times = []
    for i in range(20):
        two.append(two.name, MESSAGE)
        sent = time.monotonic()
        while not one.response().endswith(b"EXISTS"):
            pass
        times.append(time.monotonic() - sent)
    assert sorted(times)[10] < 0.05, times


def test_idle_ends_with_done_and_nothing_else(imap):
    wire = imap()
    tag = wire.begin("IDLE")
    wire.expect(b"+ idling")
    wire.send("x NOOP")
    assert wire.finish(tag)[1] == b"BAD Expected DONE"
    wire.ok("NOOP")


def test_delivery_is_told_too(server, imap):
    wire = imap("bob")
    wire.ok("SELECT INBOX")
    wire.begin("IDLE")
    wire.expect(b"+ idling")
    server.deliver("Subject: by LMTP\n\nhello\n", "bob")
    wire.expect(b"* 1 EXISTS")


def test_a_deleted_mailbox_ends_the_others_session(imap):
    one, two = imap(), imap()
    one.ok("CREATE doomed")
    one.ok("SELECT doomed")
    two.ok("SELECT doomed")
    assert one.command("DELETE doomed")[1].startswith(b"OK")
    one.ok("NOOP")
    two.begin("NOOP")
    two.expect(r"\* BYE .*")
    two.expect_close()


def test_stop_says_bye_to_idlers(make_server):
    from rookery_wire import ImapWire
    server = make_server()
    with ImapWire(server.port("imap")) as wire:
        wire.login()
        wire.begin("IDLE")
        wire.expect(b"+ idling")
        server.stop()
        wire.expect(r"\* BYE \[UNAVAILABLE\] .*")
        wire.expect_close()
