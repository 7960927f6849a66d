# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each limit on what an IMAP client may send, crossed; and lines that are none."""

import pytest

from rookery_harness import SANITIZED
from rookery_wire import ImapWire


@pytest.fixture(scope="module")
def server():
    from rookery_harness import Server
    with Server(config={"plugin imap": {
            "line-limit": "2K", "literal-limit": "1K", "command-limit": "4K", "message-limit": "8K",
            "argument-limit": 100, "nesting-limit": 10, "bad-command-limit": 5}}) as one:
        yield one


def test_line_limit(imap):
    wire = imap()
    wire.send(b"x NOOP " + b"a" * 3000 + b"\r\n")
    wire.expect(b"x BAD [LIMIT] Line too long")
    wire.expect(b"* BYE [LIMIT] Line too long")
    wire.expect_close()


def test_literal_limit_is_refused_before_it_is_sent(imap):
    wire = imap()
    assert wire.command("CREATE {1025}") == ([], b"BAD [LIMIT] Literal too large")
    wire.ok("NOOP")


def test_literal_limit_without_asking_is_swallowed(imap):
    wire = imap()
    wire.send(b"x CREATE {1025+}\r\n" + b"a" * 1025 + b"\r\n")
    assert wire.finish("x") == ([], b"BAD [LIMIT] Literal too large")
    wire.ok("NOOP")


def test_endless_literal_ends_the_session(imap):
    wire = imap()
    wire.send(b"x CREATE {99999999999999999999+}\r\n")
    wire.expect(b"* BYE [LIMIT] Literal too large")
    wire.expect_close()


def test_endless_literal_is_refused_if_we_are_asked(imap):
    wire = imap()
    assert wire.command("APPEND INBOX {99999999999999999999}")[1] == b"NO [TOOBIG] Message too large"
    wire.ok("NOOP")


def test_command_limit(imap):
    wire = imap()
    wire.send(b"x ID (" + b" ".join([b'"a" {1000+}\r\n' + b"b" * 1000] * 5) + b")\r\n")
    assert wire.finish("x") == ([], b"BAD [LIMIT] Command too large")
    wire.ok("NOOP")


def test_message_limit(imap):
    wire = imap()
    message = b"Subject: x\r\n\r\n" + b"y" * 8200 + b"\r\n"
    assert wire.append("INBOX", message) == b"NO [TOOBIG] Message too large"
    wire.send(b"x APPEND INBOX {%d+}\r\n" % len(message) + message + b"\r\n")
    assert wire.finish("x")[1] == b"NO [TOOBIG] Message too large"
    assert wire.append("INBOX", message[:8000]).startswith(b"OK [APPENDUID ")


def test_an_append_has_one_message(imap):
    """What is not at its place, or comes after it, is a literal like any other."""
    wire = imap()
    message = b"Subject: x\r\n\r\n" + b"y" * 3000 + b"\r\n"
    literal = b"{%d+}\r\n" % len(message) + message
    wire.send(b"x APPEND INBOX " + literal + b" " + literal + b" " + literal + b"\r\n")
    assert wire.finish("x") == ([], b"BAD [LIMIT] Literal too large")
    wire.send(b"x APPEND " + literal + b" {1+}\r\nx\r\n")
    assert wire.finish("x") == ([], b"BAD [LIMIT] Literal too large")
    assert wire.command(f"APPEND {{{len(message)}}}") == ([], b"BAD [LIMIT] Literal too large")
    assert wire.command("APPEND INBOX {10}", (b"A: b\r\n\r\nx\n", b" {2000}"))[1] == b"BAD [LIMIT] Literal too large"
    wire.send(b"x APPEND {5+}\r\nINBOX (\\Seen) " + literal + b"\r\n")
    assert wire.finish("x")[1].startswith(b"OK [APPENDUID ")


def test_memory_of_an_append_without_end(make_server):
    """A gigabyte of messages in one command costs what one may."""
    server = make_server()
    with ImapWire(server.port("imap")) as wire:
        wire.login()
        before = server.resident_kib()
        piece = b"x" * (1 << 20)
        wire.send(b"x APPEND INBOX")
        for _ in range(10):
            wire.send(b" {%d+}\r\n" % (30 << 20))
            for _ in range(30):
                wire.send(piece)
            # A sanitizer keeps what was freed.
            assert SANITIZED or server.resident_kib() - before < 100 * 1024
        wire.send(b"\r\n")
        assert wire.finish("x") == ([], b"BAD [LIMIT] Literal too large")
        wire.ok("NOOP")


def test_argument_limit(imap):
    wire = imap()
    wire.ok("SELECT INBOX")
    numbers = ",".join(["1"] * 101)
    assert wire.command(f"UID FETCH {numbers} FLAGS")[1] == b"BAD [LIMIT] Too many arguments"
    words = " ".join(["ALL"] * 101)
    assert wire.command(f"SEARCH {words}")[1] == b"BAD [LIMIT] Too many arguments"


def test_nesting_limit(imap):
    wire = imap()
    wire.ok("SELECT INBOX")
    assert wire.command("SEARCH " + "(" * 11 + "ALL" + ")" * 11)[1] == b"BAD [LIMIT] Nested too deeply"
    assert wire.command("SEARCH " + "NOT " * 11 + "ALL")[1] == b"BAD [LIMIT] Nested too deeply"
    assert wire.command("FETCH 1 BODY[1.1.1.1.1.1.1.1.1.1.1]")[1].startswith(b"BAD ")
    wire.ok("SEARCH " + "(" * 9 + "ALL" + ")" * 9)


def test_bad_command_limit(imap):
    wire = imap(None)
    for _ in range(5):
        assert wire.command("FOO")[1] == b"BAD Unknown command"
    assert wire.command("FOO")[1] == b"BAD Unknown command"
    wire.expect(b"* BYE Too many bad commands")
    wire.expect_close()


def test_nul_is_refused(imap):
    wire = imap()
    wire.send(b"x NO\0OP\r\n")
    assert wire.finish("x")[1] == b"BAD NUL in a command"
    wire.send(b"x CREATE {3+}\r\na\0b\r\n")
    assert wire.finish("x")[1] == b"BAD NUL in a literal"
    wire.ok("NOOP")


def test_bare_lf_is_refused(imap):
    wire = imap()
    wire.send(b"x NOOP\n")
    assert wire.finish("x")[1] == b"BAD Lines end in CRLF, not in LF"
    wire.ok("NOOP")


@pytest.mark.parametrize("line, text", [
    (b"%s\n", b"BAD Lines end in CRLF, not in LF"), (b"%s\r\r\n", b"BAD CR in a command"),
    (b"%s\0\r\n", b"BAD NUL in a command")])
def test_lines_that_a_command_waits_for_are_held_to_the_same(imap, line, text):
    wire = imap(None)
    for answer in (b"AGFsaWNlAHBhc3M=", b"*"):
        tag = wire.begin("AUTHENTICATE PLAIN")
        wire.expect(b"+ ")
        wire.send(line % answer)
        assert wire.finish(tag) == ([], text)
    wire.login().ok("SELECT INBOX")
    tag = wire.begin("IDLE")
    wire.expect(b"+ idling")
    wire.send(line % b"DONE")
    assert wire.finish(tag)[1] == text
    wire.ok("NOOP")


def test_a_literal_behind_a_bare_lf_is_no_command(imap):
    wire = imap()
    wire.send(b"x CREATE {8+}\ny NOOP\r\n\r\n")
    assert wire.finish("x") == ([], b"BAD Lines end in CRLF, not in LF")
    wire.ok("NOOP")


def test_bare_cr_is_refused(imap):
    wire = imap()
    wire.send(b"x NO\rOP\r\n")
    assert wire.finish("x")[1] == b"BAD CR in a command"


def test_too_much_before_login(make_server):
    server = make_server({"limits": {"bytes-before-login": "2K"}})
    with ImapWire(server.port("imap")) as wire:
        wire.send(b"x NOOP\r\n" * 200)
        for _ in range(200):
            assert wire.finish("x")[1].startswith(b"OK")
        wire.send(b"x NOOP\r\n" * 100)
        wire.expect(b"* BYE [LIMIT] Too much was sent before login")
        wire.expect_close()
    with ImapWire(server.port("imap")) as wire:
        wire.login()
        wire.send(b"x NOOP\r\n" * 300)
        for _ in range(300):
            assert wire.finish("x")[1].startswith(b"OK")


def test_idle_timeout(make_server):
    server = make_server({"plugin imap": {"idle-timeout": "1s"}})
    with ImapWire(server.port("imap")) as wire:
        wire.login()
        wire.expect(b"* BYE Idle for too long")
        wire.expect_close()


def test_login_timeout(make_server):
    server = make_server({"limits": {"login-timeout": "1s"}})
    with ImapWire(server.port("imap")) as wire:
        wire.expect(b"* BYE Login took too long")
        wire.expect_close()


def test_client_that_vanishes_inside_a_literal_leaves_nothing(server, imap):
    wire = imap("carol")
    wire.begin("APPEND INBOX {100}")
    wire.expect(r"\+ .*")
    wire.send(b"Subject: half")
    wire.close()
    other = imap("carol")
    assert b"* 0 EXISTS" in other.ok("SELECT INBOX")
