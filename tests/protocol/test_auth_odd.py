# SPDX-License-Identifier: LGPL-2.1-or-later
"""What clients send that is no login: names, passwords and answers of every wrong shape, by every mechanism."""

import base64

import pytest

from rookery_harness import Server
from rookery_wire import ImapWire, Scram, Wire

MECHANISMS = ["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "DIGEST-MD5"]
LONG = "x" * 300
NAMES = {
    "empty": b"", "space": b" ", "nul": b"al\0ice", "nul-behind": b"alice\0", "long": LONG.encode(), "huge": b"y" * 9000,
    "slash": b"alice/../bob", "wildcard": b"al*ce", "newline": b"alice\r\nbob", "not-utf8": b"al\xffice", "anyone": b"anyone",
    "dots": b"..", "domain-only": b"@example.org", "no-domain": b"alice@", "foreign": b"alice@other.example",
    "two-domains": b"alice@example.org@example.org", "identifier": b"group:staff", "negative": b"-alice", "bell": b"ali\x07ce",
}


@pytest.fixture(scope="module")
def server():
    auth = {"failure-delay": "0", "mechanisms": MECHANISMS, "proxyservers": ["bob"], "admins": ["admin"]}
    with Server(config={"auth": auth, "plugin lmtp": {"bad-command-limit": 1000}}) as running:
        yield running


def encode(data):
    return base64.b64encode(data).decode() or "="


def run(wire, mechanism, *answers):
    """Gives `answers` (raw) one after the other for as long as it is asked; what is left to answer gets a "*"."""
    tag = wire.begin(f"AUTHENTICATE {mechanism}")
    waiting = [encode(answer) if answer else "" for answer in answers]
    line = wire.response()
    while line.startswith(b"+"):
        wire.send(waiting.pop(0) if waiting else "*")
        line = wire.response()
    assert line.startswith(tag.encode() + b" "), line
    return line.split(b" ", 1)[1]


def login(wire, user, password):
    """By LOGIN with literals, which can hold anything."""
    return wire.command(f"LOGIN {{{len(user)}}}", (user, f" {{{len(password)}}}"), (password, ""))[1]


def is_refused(answer):
    return answer.startswith((b"NO [AUTHENTICATIONFAILED]", b"BAD "))


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_that_are_none(server, name):
    with ImapWire(server.port("imap")) as wire:
        assert is_refused(run(wire, "PLAIN", b"\0" + name + b"\0pass"))
        assert is_refused(run(wire, "LOGIN", name, b"pass"))
        assert is_refused(run(wire, "CRAM-MD5", name + b" " + b"0" * 32))
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-1"):
            assert is_refused(run(wire, mechanism, b"n,,n=" + name + b",r=fyko+d2lbbFgONRv9qkxdawL", b"c=biws,r=x,p=eA=="))
        if b"\0" not in name and len(name) < 8000:
            assert is_refused(login(wire, name, b"pass"))
        wire.ok("LOGIN alice pass")


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_that_are_none_to_act_as(server, name):
    """Empty is oneself; the rest is nobody, for an administrator too."""
    with ImapWire(server.port("imap")) as wire:
        answer = run(wire, "PLAIN", name + b"\0admin\0pass")
        if name == b"":
            assert answer.startswith(b"OK")
        else:
            assert answer.startswith((b"NO [AUTH", b"BAD ")), answer
            wire.ok("LOGIN alice pass")


@pytest.mark.parametrize("password", [b"", b"\0", b"pass\0", b"\0pass", b"pass ", b"PASS", b"p" * 1025, b"p" * 9000, b"\xff"],
                         ids=lambda p: repr(p[:8]))
def test_passwords_that_are_wrong(server, password):
    with ImapWire(server.port("imap")) as wire:
        assert is_refused(run(wire, "PLAIN", b"\0alice\0" + password))
        assert is_refused(run(wire, "LOGIN", b"alice", password))
        if b"\0" not in password and len(password) < 8000:
            assert is_refused(login(wire, b"alice", password))
        wire.ok("LOGIN alice pass")


@pytest.mark.parametrize("answer", [
    "*", "AAA", "A A=", "====", "=", "A", "AAAA=", "AB==", "AAAA\tAAAA", "AAAA AAAA", "\x80AAA", "AAAA" * 4000 + "A",
    "AAAA" * 5000, "-_-_", "AGFsaWNlAHBhc3M"], ids=lambda text: repr(text[:8]))
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_answers_that_are_none(server, mechanism, answer):
    """Not base64, cancelled, or more than there is room for: the session goes on."""
    with ImapWire(server.port("imap")) as wire:
        tag = wire.begin(f"AUTHENTICATE {mechanism}")
        wire.response()
        wire.send(answer.encode("latin-1") + b"\r\n")
        assert wire.finish(tag)[1].startswith((b"BAD ", b"NO ")), answer
        wire.ok("LOGIN alice pass")


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_cut_off_in_the_middle(server, mechanism):
    for count in range(2):
        with ImapWire(server.port("imap")) as wire:
            wire.begin(f"AUTHENTICATE {mechanism}")
            wire.response()
            if count:
                wire.send(encode(b"n,,n=alice,r=fyko+d2lbbFgONRv9qkxdawL"))
    with ImapWire(server.port("imap")) as wire:
        wire.ok("LOGIN alice pass")


@pytest.mark.parametrize("first", [
    b"", b"n", b"n,", b"n,,", b"n,,n=", b"n,,n=alice", b"n,,n=alice,", b"n,,n=alice,r", b"n,,n=alice,r=", b"n,a=,n=alice,r=x",
    b"n,a=bob,n=alice,r=xxxxxxxxxx", b"n,,n==,r=xxxxxxxxxx", b"n,,n=al=2,r=xxxxxxxxxx", b"n,,m=x,n=alice,r=xxxxxxxxx", b"q,,n=a,r=xxxxxxx",
    b"p,,n=alice,r=xxxxxxxxxxx", b"p=tls-unique,,n=alice,r=xxxxxxxxxxx", b"p=" + b"k" * 900 + b",,n=alice,r=x", b"\0" * 20, b"," * 100],
                         ids=lambda first: repr(first[:30]))
def test_scram_that_is_none(server, first):
    with ImapWire(server.port("imap")) as wire:
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-1"):
            for final in (b"", b"c=", b"c=biws", b"c=biws,r=,p=", b"c=biws,r=x,p=eA==", b"\0", b"c=" + b"A" * 6000):
                assert run(wire, mechanism, first, final).startswith((b"BAD ", b"NO ")), final
        wire.ok("LOGIN alice pass")


@pytest.mark.parametrize("name", ["alice", "ALICE@EXAMPLE.ORG".lower(), "alice@EXAMPLE.org", " alice "])
def test_other_spellings_of_a_name(server, name):
    with ImapWire(server.port("imap")) as wire:
        assert run(wire, "PLAIN", b"\0" + name.encode() + b"\0pass").startswith(b"OK")
        wire.ok("SELECT INBOX")
        with ImapWire(server.port("imap")) as other:
            other.ok(f'LOGIN "{name}" pass')


def test_scram_proxies_as_plain_does(server):
    """A proxy server acts as others, administrator or not, and is none itself."""
    for user, authzid, expected in (("bob", "alice", b"OK"), ("alice", "bob", b"NO [AUTHORIZATIONFAILED]"),
                                    ("admin", "carol", b"OK"), ("bob", "admin", b"OK")):
        with ImapWire(server.port("imap")) as wire:
            scram = Scram(user, "pass", "sha256")
            scram.header = f"n,a={authzid},".encode()
            assert scram.run(wire, "SCRAM-SHA-256").startswith(expected), (user, authzid)
        with ImapWire(server.port("imap")) as wire:
            assert run(wire, "PLAIN", f"{authzid}\0{user}\0pass".encode()).startswith(expected), (user, authzid)


def test_lmtp_takes_the_same_and_no_more(server):
    def say(wire, line, code):
        wire.send(line)
        while (answer := wire.line())[3:4] == b"-":
            pass
        assert answer.startswith(code), (line[:60], answer)

    with Wire(server.path("lmtp")) as wire:
        wire.line()
        say(wire, "LHLO x", b"250")
        for name in NAMES.values():
            wire.send("AUTH PLAIN " + encode(b"\0" + name + b"\0pass"))
            assert wire.line()[:3] in (b"535", b"501", b"500"), name
        say(wire, "AUTH PLAIN", b"334")
        say(wire, "*", b"501")
        say(wire, "AUTH LOGIN", b"334")
        say(wire, "AAA", b"501")
        say(wire, "AUTH NTLM", b"504")
        say(wire, "AUTH PLAIN " + encode(b"\0alice\0pass"), b"501 5.5.4")
        say(wire, "AUTH PLAIN " + encode(b"\0admin\0pass"), b"235")
        say(wire, "AUTH PLAIN " + encode(b"\0admin\0pass"), b"503")
