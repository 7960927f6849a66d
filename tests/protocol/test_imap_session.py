# SPDX-License-Identifier: LGPL-2.1-or-later
"""IMAP before a mailbox is selected: greeting, capabilities, TLS, login, logout."""

import base64

import pytest

from rookery_wire import ImapWire


def capabilities(response):
    assert response.startswith(b"* CAPABILITY ")
    return response.decode().split()[2:]


def plain(user, password="pass", authzid=""):
    return base64.b64encode(f"{authzid}\0{user}\0{password}".encode()).decode()


def test_greeting_lists_capabilities(imap):
    greeting = imap(None).greeting.decode()
    assert greeting.startswith("* OK [CAPABILITY IMAP4rev1 ")
    assert greeting.endswith(" Rookery ready")


def test_capability_before_and_after_login(imap):
    wire = imap(None)
    before = capabilities(wire.ok("CAPABILITY")[0])
    assert {"IMAP4rev1", "LITERAL+", "SASL-IR", "ID", "ENABLE", "STARTTLS", "AUTH=PLAIN"} <= set(before)
    assert "IDLE" not in before
    wire.login()
    after = capabilities(wire.ok("CAPABILITY")[0])
    assert {"IMAP4rev1", "LITERAL+", "IDLE", "NAMESPACE", "UIDPLUS", "MOVE", "UNSELECT", "CHILDREN"} <= set(after)
    assert not any(name.startswith("AUTH=") or name == "STARTTLS" for name in after)


def test_login_answers_with_capabilities(imap):
    tagged = imap(None).command("LOGIN alice pass")[1]
    assert tagged.startswith(b"OK [CAPABILITY IMAP4rev1 ")


def test_login_by_literals(imap):
    wire = imap(None)
    _, tagged = wire.command("LOGIN {5}", (b"alice", " {4}"), (b"pass", ""))
    assert tagged.startswith(b"OK ")


def test_login_by_non_synchronising_literals(imap):
    wire = imap(None)
    wire.send(b"x LOGIN {5+}\r\nalice {4+}\r\npass\r\n")
    assert wire.finish("x")[1].startswith(b"OK ")


def test_wrong_password_is_refused(imap):
    wire = imap(None)
    assert wire.command("LOGIN alice wrong")[1] == b"NO [AUTHENTICATIONFAILED] Authentication failed"
    wire.login()


def test_login_twice_is_bad(imap):
    assert imap().command("LOGIN alice pass")[1].startswith(b"BAD ")


def test_authenticate_plain_with_initial_response(imap):
    wire = imap(None)
    assert wire.command(f"AUTHENTICATE PLAIN {plain('alice')}")[1].startswith(b"OK [CAPABILITY ")


def test_authenticate_plain_in_two_steps(imap):
    wire = imap(None)
    tag = wire.begin("AUTHENTICATE PLAIN")
    wire.expect(b"+ ")
    wire.send(plain("alice"))
    assert wire.finish(tag)[1].startswith(b"OK ")


def test_authenticate_login(imap):
    wire = imap(None)
    tag = wire.begin("AUTHENTICATE LOGIN")
    wire.expect(r"\+ .*")
    wire.send(base64.b64encode(b"alice") + b"\r\n")
    wire.expect(r"\+ .*")
    wire.send(base64.b64encode(b"pass") + b"\r\n")
    assert wire.finish(tag)[1].startswith(b"OK ")


def test_authzid_equal_to_authcid_is_allowed(imap):
    wire = imap(None)
    assert wire.command(f"AUTHENTICATE PLAIN {plain('alice', authzid='alice')}")[1].startswith(b"OK ")


def test_only_admins_act_as_others(imap):
    wire = imap(None)
    tagged = wire.command(f"AUTHENTICATE PLAIN {plain('alice', authzid='bob')}")[1]
    assert tagged.startswith(b"NO [AUTHORIZATIONFAILED]")
    assert wire.command(f"AUTHENTICATE PLAIN {plain('admin', authzid='bob')}")[1].startswith(b"OK ")


def test_authenticate_is_cancelled_by_a_star(imap):
    wire = imap(None)
    tag = wire.begin("AUTHENTICATE PLAIN")
    wire.expect(b"+ ")
    wire.send("*")
    assert wire.finish(tag)[1].startswith(b"BAD ")
    wire.login()


def test_broken_base64_is_bad(imap):
    wire = imap(None)
    assert wire.command("AUTHENTICATE PLAIN !!!")[1].startswith(b"BAD ")
    tag = wire.begin("AUTHENTICATE PLAIN")
    wire.expect(b"+ ")
    wire.send("=foo=")
    assert wire.finish(tag)[1].startswith(b"BAD ")
    wire.login()


def test_unknown_mechanism_is_refused(imap):
    assert imap(None).command("AUTHENTICATE NTLM")[1].startswith(b"NO ")


def test_implicit_tls(server):
    with ImapWire(server.port("imaps"), tls=server.certificate) as wire:
        assert b"STARTTLS" not in wire.greeting
        wire.login()


def test_starttls_begins_anew(server, imap):
    wire = imap(None)
    wire.ok("STARTTLS")
    wire.start_tls(server.certificate)
    assert "STARTTLS" not in capabilities(wire.ok("CAPABILITY")[0])
    assert wire.command("STARTTLS")[1].startswith(b"BAD ")
    wire.login()


def test_what_is_pipelined_before_tls_is_thrown_away(server, imap):
    wire = imap(None)
    wire.send(b"x STARTTLS\r\ny LOGIN alice pass\r\n")
    assert wire.finish("x")[1].startswith(b"OK ")
    wire.start_tls(server.certificate)
    wire.send(b"z LIST \"\" *\r\n")
    untagged, tagged = wire.finish("z")
    assert untagged == [] and tagged == b"BAD Log in first"


def test_plaintext_login_needs_tls_where_the_settings_say_so(make_server):
    server = make_server({"auth": {"allow-plaintext-on-loopback": False}})
    with ImapWire(server.port("imap")) as wire:
        before = capabilities(wire.ok("CAPABILITY")[0])
        assert "LOGINDISABLED" in before and "AUTH=PLAIN" not in before
        assert wire.command("LOGIN alice pass")[1].startswith(b"NO [PRIVACYREQUIRED]")
        wire.ok("STARTTLS")
        wire.start_tls(server.certificate)
        wire.login()


def test_logout_says_bye_and_closes(imap):
    wire = imap()
    untagged, tagged = wire.command("LOGOUT")
    assert untagged == [b"* BYE Logging out"]
    assert tagged == b"OK Completed"
    wire.expect_close()


def test_nothing_after_logout_is_carried_out(imap):
    wire = imap()
    wire.send(b"x LOGOUT\r\ny NOOP\r\n")
    assert wire.finish("x") == ([b"* BYE Logging out"], b"OK Completed")
    wire.expect_close()


def test_id(imap):
    wire = imap(None)
    assert wire.ok('ID ("name" "test" "version" NIL)')[0].startswith(b'* ID ("name" "Rookery" "version" "')
    wire.ok("ID NIL")
    assert wire.command("ID foo")[1].startswith(b"BAD ")


def test_enable_knows_nothing_yet(imap):
    wire = imap()
    assert wire.ok("ENABLE X-UNKNOWN") == [b"* ENABLED"]
    assert wire.command("ENABLE")[1].startswith(b"BAD ")


def test_commands_are_pipelined(imap):
    wire = imap(None)
    wire.send(b"1 NOOP\r\n2 LOGIN alice pass\r\n3 NOOP\r\n4 LOGOUT\r\n")
    assert wire.finish("1")[1] == b"OK Completed"
    assert wire.finish("2")[1].startswith(b"OK ")
    assert wire.finish("3")[1] == b"OK Completed"
    assert wire.finish("4")[1] == b"OK Completed"


@pytest.mark.parametrize("command, text", [
    ("SELECT INBOX", b"BAD Log in first"),
    ("FOO", b"BAD Unknown command"),
    ("UID NOOP", b"BAD Unknown command"),
    ("NOOP now", b"BAD Unexpected text after the command"),
    ("LOGIN alice", b"BAD Missing argument"),
    ("LOGIN", b"BAD Missing argument"),
    ('LOGIN alice "pass', b"BAD Quoted string without end"),
    ("", b"BAD Expected an atom"),
])
def test_bad_commands_before_login(imap, command, text):
    assert imap(None).command(command)[1] == text


def test_selected_state_is_needed(imap):
    assert imap().command("FETCH 1 FLAGS")[1] == b"BAD Select a mailbox first"


@pytest.mark.parametrize("line", [b"* NOOP\r\n", b"(a NOOP\r\n", b"+ NOOP\r\n", b"\r\n"])
def test_bad_tags_are_answered_untagged(imap, line):
    wire = imap(None)
    wire.send(line)
    wire.expect(r"\* BAD .*|\+ BAD .*")
    wire.ok("NOOP")
