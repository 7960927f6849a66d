# SPDX-License-Identifier: LGPL-2.1-or-later
"""IMAP commands on messages: APPEND, FETCH, STORE, COPY, MOVE, EXPUNGE, SEARCH."""

import itertools
import re
import socket
import time

import pytest

from rookery_wire import ImapWire

from rookery_harness import SANITIZED

PLAIN = (b"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nFrom: Fred Foobar <foobar@Blurdybloop.example>\r\n"
         b"Subject: afternoon meeting\r\nTo: mooch@owatagu.siam.edu.example\r\n"
         b"Message-Id: <B27397-0100000@Blurdybloop.example>\r\nMIME-Version: 1.0\r\n"
         b"Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n"
         b"Hello Joe, do you think we can meet at 3:30 tomorrow?\r\n\r\n")
MULTI = (b"From: a@example.org\r\nTo: b@example.org\r\nSubject: =?utf-8?B?w4Rw?= =?utf-8?Q?fel?=\r\n"
         b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
         b"preamble\r\n--b\r\nContent-Type: text/plain\r\n\r\nfirst\r\n"
         b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner text\r\n"
         b"--b--\r\nepilogue\r\n")
counter = itertools.count()


@pytest.fixture
def box(imap):
    """A connection with a new mailbox selected."""
    wire = imap()
    wire.name = f"box{next(counter)}"
    wire.ok(f"CREATE {wire.name}")
    wire.ok(f"SELECT {wire.name}")
    return wire


def fill(wire, *messages, flags="()"):
    for message in messages:
        assert wire.append(wire.name, message, flags).startswith(b"OK [APPENDUID ")
    wire.ok("NOOP")


def simple(number):
    return b"Subject: number %d\r\n\r\nbody %d\r\n" % (number, number)


# --- SELECT

def test_select_says_all_it_must(imap):
    wire = imap()
    wire.ok("CREATE new")
    responses = b"\n".join(wire.ok("SELECT new"))
    assert b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)" in responses
    assert b"* 0 EXISTS" in responses and b"* 0 RECENT" in responses
    assert b"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)]" in responses
    assert re.search(rb"\* OK \[UIDVALIDITY [1-9]\d*\]", responses)
    assert b"* OK [UIDNEXT 1]" in responses
    assert b"[UNSEEN" not in responses


def test_select_answers_read_write_and_examine_read_only(imap):
    wire = imap()
    assert wire.command("SELECT INBOX")[1] == b"OK [READ-WRITE] Completed"
    untagged, tagged = wire.command("EXAMINE INBOX")
    assert tagged == b"OK [READ-ONLY] Completed"
    assert any(response.startswith(b"* OK [PERMANENTFLAGS ()]") for response in untagged)


def test_failed_select_leaves_nothing_selected(box):
    assert box.command("SELECT none")[1].startswith(b"NO ")
    assert box.command("FETCH 1 FLAGS")[1] == b"BAD Select a mailbox first"


def test_first_unseen(box):
    fill(box, simple(1), flags="(\\Seen)")
    fill(box, simple(2))
    assert any(b"[UNSEEN 2]" in response for response in box.ok(f"SELECT {box.name}"))


def test_unselect_does_not_expunge(box):
    fill(box, simple(1), flags="(\\Deleted)")
    box.ok("UNSELECT")
    assert box.command("NOOP")[1] == b"OK Completed"
    assert b"* 1 EXISTS" in box.ok(f"SELECT {box.name}")


def test_close_expunges_in_silence(box):
    fill(box, simple(1), flags="(\\Deleted)")
    assert box.ok("CLOSE") == []
    assert b"* 0 EXISTS" in box.ok(f"SELECT {box.name}")


def test_examine_changes_nothing(box):
    fill(box, simple(1))
    box.ok(f"EXAMINE {box.name}")
    assert box.command("STORE 1 +FLAGS (\\Seen)")[1].startswith(b"NO [READ-ONLY]")
    box.ok("FETCH 1 BODY[]")
    box.ok("CLOSE")
    box.ok(f"SELECT {box.name}")
    assert b"\\Seen" not in box.ok("FETCH 1 FLAGS")[0]


# --- APPEND


@pytest.mark.parametrize("text", [b"Subject: s\n\nbody\n", b"Subject: s\r\n\r\none\ntwo\r\n", b"\n", b"\r",
                                  b"Subject: s\r\n\r\none\rtwo\r\n", b"Subject: s\r\n\r\nend\r", b"a\n\r\n"], ids=repr)
def test_append_of_bare_newlines_is_refused(box, text):
    """What is stored has CRLF, by whichever way it came; a client that does not send it is told."""
    assert box.append(box.name, text) == b"NO [CANNOT] Message contains bare newlines"
    assert b"* STATUS" in box.ok(f"STATUS {box.name} (MESSAGES)")[0]


def test_append_of_bare_newlines_in_a_large_message_is_refused(box):
    line = b"x" * 70 + b"\r\n"
    assert box.append(box.name, line * 10000).startswith(b"OK")
    assert box.append(box.name, line * 10000 + b"y\n") == b"NO [CANNOT] Message contains bare newlines"


def test_append_of_nothing_or_nul_is_refused(box):
    assert box.append(box.name, b"") == b"NO [CANNOT] Message is empty"
    assert box.append(box.name, b"a\0b\r\n").startswith((b"NO [CANNOT] Message contains NUL", b"BAD"))

def test_append_tells_the_selected_session(box):
    tagged = box.append(box.name, simple(1))
    assert re.fullmatch(rb"OK \[APPENDUID \d+ 1\] Completed", tagged)
    assert b"\r\n".join(box.ok(f"SELECT {box.name}")).count(b"* 1 EXISTS") == 1


def test_append_keeps_flags_and_date(box):
    fill_arguments = '(\\Seen \\Answered $Label) "17-Jul-1996 02:44:25 -0700"'
    assert box.append(box.name, simple(1), fill_arguments).startswith(b"OK ")
    box.ok("NOOP")
    fetched = box.ok("FETCH 1 (FLAGS INTERNALDATE)")[0]
    assert b'INTERNALDATE "17-Jul-1996 02:44:25 -0700"' in fetched
    assert {b"\\Seen", b"\\Answered", b"$Label"} <= set(re.search(rb"FLAGS \(([^)]*)\)", fetched).group(1).split())


def test_append_refuses(box):
    assert box.append(box.name, b"").startswith(b"NO [CANNOT]")
    assert box.append(box.name, b"a\0b").startswith(b"NO [CANNOT]")
    assert box.command(f'APPEND {box.name} "text"')[1].startswith(b"BAD ")
    assert box.command(f"APPEND {box.name} (\\Recent) {{3+}}\r\nabc")[1].startswith(b"BAD ")
    assert box.ok("NOOP") == []


@pytest.mark.parametrize("size", [1, 127 * 1024, 300 * 1024, 5 * 1024 * 1024])
def test_messages_of_any_size_come_back_as_they_went_in(box, size):
    line = bytes(range(32, 127)) + bytes(range(160, 256)) + b"\r\n"
    message = (b"Subject: size\r\n\r\n" + line * (size // len(line) + 1))[:max(size, 20)]
    if message.endswith(b"\r"):
        message = message[:-1] + b"x"
    fill(box, message)
    fetched = box.ok("FETCH 1 (RFC822.SIZE BODY.PEEK[])")[0]
    assert fetched == b"* 1 FETCH (RFC822.SIZE %d BODY[] {%d}\r\n" % (len(message), len(message)) + message + b")"


# --- FETCH

def test_fetch_rfc_example_envelope_and_structure(box):
    fill(box, PLAIN)
    assert box.ok("FETCH 1 ENVELOPE") == [
        b'* 1 FETCH (ENVELOPE ("Mon, 7 Feb 1994 21:52:25 -0800" "afternoon meeting" '
        b'(("Fred Foobar" NIL "foobar" "Blurdybloop.example")) (("Fred Foobar" NIL "foobar" "Blurdybloop.example")) '
        b'(("Fred Foobar" NIL "foobar" "Blurdybloop.example")) ((NIL NIL "mooch" "owatagu.siam.edu.example")) '
        b'NIL NIL NIL "<B27397-0100000@Blurdybloop.example>"))']
    assert box.ok("FETCH 1 BODY") == [
        b'* 1 FETCH (BODY ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 57 2))']


def test_fetch_sections_of_a_multipart(box):
    fill(box, MULTI)

    def section(name):
        response = box.ok(f"FETCH 1 BODY.PEEK[{name}]")[0]
        match = re.fullmatch(rb"\* 1 FETCH \(BODY\[[^]]*\] (?:\{\d+\}\r\n(.*)|\"\"|(NIL))\)", response, re.S)
        return None if match.group(2) else match.group(1) or b""

    header = MULTI[:MULTI.index(b"preamble")]
    assert section("HEADER") == header
    assert section("TEXT") == MULTI[len(header):]
    assert section("1") == b"first"
    assert section("1.MIME") == b"Content-Type: text/plain\r\n\r\n"
    assert section("2") == b"Subject: inner\r\n\r\ninner text"
    assert section("2.MIME") == b"Content-Type: message/rfc822\r\n\r\n"
    assert section("2.HEADER") == b"Subject: inner\r\n\r\n"
    assert section("2.TEXT") == b"inner text"
    assert section("2.1") == b"inner text"
    assert section("3") is None
    assert section("1.HEADER") is None
    assert section("HEADER.FIELDS (To From X)") == b"From: a@example.org\r\nTo: b@example.org\r\n\r\n"
    assert section("HEADER.FIELDS.NOT (From To Subject MIME-Version)") == (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n")
    assert section("2.HEADER.FIELDS (SUBJECT)") == b"Subject: inner\r\n\r\n"


def test_fetch_partials(box):
    fill(box, b"Subject: x\r\n\r\n0123456789")
    assert box.ok("FETCH 1 BODY.PEEK[TEXT]<2.3>") == [b"* 1 FETCH (BODY[TEXT]<2> {3}\r\n234)"]
    assert box.ok("FETCH 1 BODY.PEEK[TEXT]<8.100>") == [b"* 1 FETCH (BODY[TEXT]<8> {2}\r\n89)"]
    assert box.ok("FETCH 1 BODY.PEEK[TEXT]<100.5>") == [b'* 1 FETCH (BODY[TEXT]<100> "")']
    assert box.ok("FETCH 1 BODY.PEEK[]<0.7>") == [b"* 1 FETCH (BODY[]<0> {7}\r\nSubject)"]
    assert box.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]<9.1>") == [
        b"* 1 FETCH (BODY[HEADER.FIELDS (SUBJECT)]<9> {1}\r\nx)"]
    assert box.ok("FETCH 1 BODY.PEEK[]<9223372036854775807.9223372036854775807>")[0].endswith(b'"")')


def test_fetch_sets_seen_unless_it_peeks(box):
    fill(box, simple(1), simple(2))
    assert box.ok("FETCH 1 BODY.PEEK[]")[0].startswith(b"* 1 FETCH (BODY[] {")
    assert b"\\Seen" not in box.ok("FETCH 1 FLAGS")[0]
    responses = box.ok("FETCH 1 BODY[TEXT]")
    assert len(responses) == 2 and re.fullmatch(rb"\* 1 FETCH \(FLAGS \([^)]*\\Seen[^)]*\)\)", responses[1])
    box.ok("FETCH 2 RFC822.HEADER")
    assert b"\\Seen" not in box.ok("FETCH 2 FLAGS")[0]
    box.ok("FETCH 2 RFC822")
    assert b"\\Seen" in box.ok("FETCH 2 FLAGS")[0]


def test_fetch_macros_and_many_items(box):
    fill(box, simple(1))
    assert re.fullmatch(rb"\* 1 FETCH \(FLAGS \(\\Recent\) INTERNALDATE \"[^\"]+\" RFC822.SIZE %d\)" % len(simple(1)),
                        box.ok("FETCH 1 FAST")[0])
    fetched = box.ok("FETCH 1 (UID BODY.PEEK[HEADER] FLAGS BODY.PEEK[TEXT] RFC822.SIZE)")[0]
    assert fetched == (b"* 1 FETCH (UID 1 BODY[HEADER] {21}\r\nSubject: number 1\r\n\r\n FLAGS (\\Recent) "
                       b"BODY[TEXT] {8}\r\nbody 1\r\n RFC822.SIZE %d)" % len(simple(1)))


def test_uid_fetch_answers_with_uids(box):
    fill(box, simple(1), simple(2), simple(3), flags="(\\Seen)")
    assert box.ok("UID FETCH 2:* FLAGS") == [b"* 2 FETCH (UID 2 FLAGS (\\Seen \\Recent))",
                                            b"* 3 FETCH (UID 3 FLAGS (\\Seen \\Recent))"]
    assert box.ok("UID FETCH 100 FLAGS") == []
    assert len(box.ok("UID FETCH 100:* UID")) == 1


def test_sequence_numbers_that_nobody_has_are_bad(box):
    assert box.command("FETCH 1 FLAGS")[1].startswith(b"BAD ")
    assert box.command("FETCH * FLAGS")[1].startswith(b"BAD ")
    fill(box, simple(1))
    assert box.command("FETCH 2 FLAGS")[1].startswith(b"BAD ")
    assert box.command("FETCH 0 FLAGS")[1].startswith(b"BAD ")


def test_a_gigabyte_to_a_slow_reader_takes_no_memory(server, imap):
    """What a client has not taken stays on disk: neither memory nor threads grow with what is asked for."""
    size, count, rounds = 30_000_000, 4, 8
    message = b"Subject: big\r\n\r\n" + (b"x" * 998 + b"\r\n") * (size // 1000)
    wire = imap()
    wire.ok("CREATE slow")
    for _ in range(count):
        assert wire.append("slow", message).startswith(b"OK [APPENDUID ")

    reader = imap()
    reader.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    reader.ok("EXAMINE slow")
    before, threads = server.resident_kib(), server.threads()
    tags = [reader.begin("FETCH 1:* BODY.PEEK[]").encode() for _ in range(rounds)]
    time.sleep(0.5)
    highest = server.resident_kib()
    taken, tail, last, chunk = 0, b"", tags[-1] + b" OK", 0
    while last not in tail:
        data = reader.socket.recv(65536)
        assert data, "closed"
        taken += len(data)
        tail = tail[-100:] + data
        chunk += 1
        if chunk % 1000 == 0:
            highest = max(highest, server.resident_kib())
            assert server.threads() <= threads  # those of pools may end meanwhile
    assert taken > rounds * count * size
    if not SANITIZED:
        assert highest - before < 4096, f"{before} KiB grew to {highest}"


# --- STORE

def test_store_answers_with_flags(box):
    fill(box, simple(1), simple(2))
    assert box.ok("STORE 1:2 +FLAGS (\\Flagged)") == [b"* 1 FETCH (FLAGS (\\Flagged \\Recent))",
                                                     b"* 2 FETCH (FLAGS (\\Flagged \\Recent))"]
    assert box.ok("STORE 1 -FLAGS \\Flagged") == [b"* 1 FETCH (FLAGS (\\Recent))"]
    assert box.ok("STORE 2 FLAGS (\\Seen \\Draft)") == [b"* 2 FETCH (FLAGS (\\Seen \\Draft \\Recent))"]
    assert box.ok("UID STORE 2 FLAGS ()") == [b"* 2 FETCH (UID 2 FLAGS (\\Recent))"]


def test_store_silent_is_silent(box):
    fill(box, simple(1))
    assert box.ok("STORE 1 +FLAGS.SILENT (\\Seen)") == []
    assert box.ok("NOOP") == []
    assert b"\\Seen" in box.ok("FETCH 1 FLAGS")[0]


def test_new_keywords_are_announced(box):
    fill(box, simple(1))
    responses = box.ok("STORE 1 +FLAGS ($Junk)")
    assert responses[0] == b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Junk)"
    assert responses[-1] == b"* 1 FETCH (FLAGS (\\Recent $Junk))"


def test_store_refuses(box):
    fill(box, simple(1))
    assert box.command("STORE 1 +FLAGS (\\Recent)")[1].startswith(b"BAD ")
    assert box.command("STORE 1 FOO (\\Seen)")[1].startswith(b"BAD ")
    assert box.command("STORE 1 FLAGS")[1].startswith(b"BAD ")
    assert box.command(f"STORE 1 +FLAGS ({'k' * 200})")[1].startswith(b"BAD ")


def test_too_many_keywords(box):
    fill(box, simple(1))
    for i in range(0, 128, 16):
        box.ok("STORE 1 +FLAGS.SILENT (" + " ".join(f"k{n}" for n in range(i, i + 16)) + ")")
    assert box.command("STORE 1 +FLAGS (onemore)")[1].startswith(b"NO [LIMIT]")


# --- EXPUNGE, COPY, MOVE

def test_expunge_numbers_from_the_front(box):
    fill(box, *[simple(i) for i in range(5)])
    box.ok("STORE 2,4:5 +FLAGS.SILENT (\\Deleted)")
    assert box.ok("EXPUNGE") == [b"* 2 EXPUNGE", b"* 3 EXPUNGE", b"* 3 EXPUNGE", b"* 2 RECENT"]
    assert box.ok("UID SEARCH ALL") == [b"* SEARCH 1 3"]


def test_uid_expunge_takes_only_those_named(box):
    fill(box, *[simple(i) for i in range(3)], flags="(\\Deleted)")
    assert box.ok("UID EXPUNGE 2") == [b"* 2 EXPUNGE", b"* 2 RECENT"]
    assert box.ok("UID SEARCH ALL") == [b"* SEARCH 1 3"]


def test_copy_tells_the_uids(box):
    fill(box, *[simple(i) for i in range(3)], flags="(\\Seen $Kept)")
    box.ok(f"CREATE {box.name}-copy")
    tagged = box.command(f"COPY 1,3 {box.name}-copy")[1]
    assert re.fullmatch(rb"OK \[COPYUID \d+ 1,3 1:2\] Completed", tagged)
    assert box.command(f"COPY 1 {box.name}-none")[1].startswith(b"NO [TRYCREATE]")
    box.ok(f"SELECT {box.name}-copy")
    fetched = box.ok("FETCH 2 (FLAGS BODY.PEEK[TEXT])")[0]
    assert b"\\Seen" in fetched and b"$Kept" in fetched and b"body 2" in fetched


def test_move(box):
    fill(box, *[simple(i) for i in range(3)])
    box.ok(f"CREATE {box.name}-moved")
    untagged, tagged = box.command(f"UID MOVE 2 {box.name}-moved")
    assert re.fullmatch(rb"\* OK \[COPYUID \d+ 2 1\] Moved", untagged[0])
    assert untagged[1:] == [b"* 2 EXPUNGE", b"* 2 RECENT"]
    assert tagged == b"OK Completed"
    assert box.command(f"MOVE 1 {box.name}-none")[1].startswith(b"NO [TRYCREATE]")
    assert box.ok("UID SEARCH ALL") == [b"* SEARCH 1 3"]


# --- SEARCH

@pytest.fixture(scope="module")
def library(server):
    with ImapWire(server.port("imap")) as wire:
        wire.login().ok("CREATE library")
        for message, arguments in (
                (PLAIN, '(\\Seen) "01-Jan-2020 23:30:00 -0800"'),
                (MULTI, '(\\Flagged $Work) "02-Jan-2020 12:00:00 +0000"'),
                (b"Subject: caf\xc3\xa9\r\nX-Odd: strange Value\r\nDate: 3 Jan 2020 00:00:00 +0000\r\n\r\n" + b"z" * 2000,
                 '(\\Answered \\Deleted) "03-Jan-2020 12:00:00 +0000"')):
            wire.append("library", message, arguments)
        wire.ok("SELECT library")
        yield wire


@pytest.mark.parametrize("program, hits", [
    ("ALL", "1 2 3"), ("SEEN", "1"), ("UNSEEN", "2 3"), ("FLAGGED", "2"), ("ANSWERED DELETED", "3"),
    ("NOT SEEN", "2 3"), ("OR SEEN FLAGGED", "1 2"), ("(SEEN FLAGGED)", ""), ("NOT (OR SEEN FLAGGED)", "3"),
    ("KEYWORD $work", "2"), ("UNKEYWORD $Work", "1 3"), ("KEYWORD none", ""),
    ("2:*", "2 3"), ("UID 1,3", "1 3"), ("UID 100:*", "3"),
    ("LARGER 1000", "3"), ("SMALLER 1000", "1 2"),
    ("ON 1-Jan-2020", "1"), ("BEFORE 2-Jan-2020", "1"), ("SINCE 2-Jan-2020", "2 3"),
    ("SENTON 7-Feb-1994", "1"), ("SENTSINCE 3-Jan-2020", "3"), ("SENTBEFORE 1-Jan-2000", "1"),
    ("FROM foobar", "1"), ("TO mooch", "1"), ("SUBJECT MEETING", "1"), ("SUBJECT inner", ""),
    ("HEADER X-Odd value", "3"), ('HEADER X-Odd ""', "3"), ("HEADER Subject afternoon", "1"),
    ("BODY tomorrow", "1"), ("BODY meeting", ""), ("TEXT meeting", "1"), ("TEXT inner", "2"),
    ("OLD NEW", ""), ("UNDELETED UNDRAFT", "1 2"),
])
def test_search(library, program, hits):
    assert library.ok(f"SEARCH {program}") == [b"* SEARCH" + (b" " + hits.encode() if hits else b"")]


def test_search_in_charsets(library):
    def search(charset, text):
        return library.command(f"SEARCH CHARSET {charset} SUBJECT {{{len(text)}}}", (text, b""))

    assert search("UTF-8", "ÄPFEL".encode())[0] == [b"* SEARCH 2"]
    assert search("ISO-8859-1", "CAFÉ".encode("latin-1"))[0] == [b"* SEARCH 3"]
    assert search("US-ASCII", b"meeting")[0] == [b"* SEARCH 1"]
    for charset in ("X-NONE", "../../tmp/x", "UTF-8//TRANSLIT"):
        assert search(charset, b"x")[1].startswith(b"NO [BADCHARSET"), charset


def test_search_in_a_header_of_words_that_only_begin(box):
    fill(box, b"Subject: needle " + b"=?" * 500000 + b"\r\n\r\nbody\r\n", simple(2))
    assert box.ok("SEARCH SUBJECT needle") == [b"* SEARCH 1"]
    assert box.ok("SEARCH SUBJECT nowhere") == [b"* SEARCH"]


def test_search_of_much_text_holds_up_nobody(make_server):
    """3,000 keys in 16 MB take many seconds: everybody else on that worker is served meanwhile, the server stops when it is
    told to, and what was asked behind it is answered in its turn."""
    server = make_server({"server": {"workers": 1, "drain-timeout": "1s"}})
    server.deliver("Subject: big\n\n" + "all work and no play\n" * 800000)
    server.deliver("Subject: small\n\nneedle\n")
    with ImapWire(server.port("imap")) as busy, ImapWire(server.port("imap")) as other:
        busy.login().ok("SELECT INBOX")
        assert busy.ok("SEARCH TEXT needle") == [b"* SEARCH 2"]
        assert busy.ok("SEARCH BODY play") == [b"* SEARCH 1"]
        other.login()
        busy.send(b"x SEARCH " + b" ".join(b"NOT TEXT q%d" % i for i in range(3000)) + b"\r\ny NOOP\r\n")
        assert busy.read(8) == b"* SEARCH"
        for _ in range(20):
            other.ok("NOOP")
        assert busy.silent(0.01)
        server.stop()


@pytest.mark.parametrize("program", ["", "FOO", "NOT", "OR SEEN", "(SEEN", "LARGER x", "ON 31-Feb-2020", "HEADER X",
                                     "SUBJECT", "UID", "4", "SEEN)"])
def test_bad_search_programs(library, program):
    untagged, tagged = library.command(f"SEARCH {program}")
    assert untagged == [] and tagged.startswith(b"BAD ")
