# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may log in, as clients and administrators meet it: IMAP over real sockets, users by the real rookctl."""

import base64
import hashlib
import hmac
import os
import re
import shutil
import smtplib
import ssl
import subprocess
import time

import pytest

from rookery_harness import REALM, SLOW, Server, make_certificate, merge
from rookery_wire import ImapWire, Scram

QUIET = {"failure-delay": "0"}


def auth_server(**auth):
    return Server(config={"auth": auth})


def plain(user, password, authzid=""):
    return base64.b64encode(f"{authzid}\0{user}\0{password}".encode()).decode()


def auth_words(wire):
    """What CAPABILITY offers."""
    untagged = wire.ok("CAPABILITY")
    return {word for line in untagged for word in line.decode().split()}


def attempt(wire, user, password, authzid=""):
    return wire.command(f"AUTHENTICATE PLAIN {plain(user, password, authzid)}")[1]


@pytest.fixture(scope="module")
def server():
    with auth_server(**QUIET) as running:
        yield running


def test_login_and_plain(server):
    with ImapWire(server.port("imap")) as wire:
        assert wire.command("LOGIN alice wrong")[1].startswith(b"NO [AUTHENTICATIONFAILED]")
        assert attempt(wire, "alice", "wrong").startswith(b"NO [AUTHENTICATIONFAILED]")
        assert attempt(wire, "alice", "pass").startswith(b"OK")


def test_mechanisms_of_sasldb(server):
    with ImapWire(server.port("imap")) as wire:
        words = auth_words(wire)
        assert {"AUTH=PLAIN", "AUTH=LOGIN", "AUTH=SCRAM-SHA-256", "AUTH=SCRAM-SHA-1"} <= words
        assert not {"AUTH=EXTERNAL", "AUTH=ANONYMOUS", "AUTH=NTLM", "AUTH=OTP", "AUTH=SRP", "LOGINDISABLED"} & words


@pytest.mark.parametrize("mechanism,digest", [("SCRAM-SHA-256", "sha256"), ("SCRAM-SHA-1", "sha1")])
def test_scram(server, mechanism, digest):
    with ImapWire(server.port("imap")) as wire:
        assert Scram("alice", "wrong", digest).run(wire, mechanism).startswith(b"NO [AUTHENTICATIONFAILED]")
        assert Scram("nobody", "pass", digest).run(wire, mechanism).startswith(b"NO [AUTHENTICATIONFAILED]")
        assert Scram("alice", "pass", digest).run(wire, mechanism).startswith(b"OK")


def test_unknown_user_and_wrong_password_read_the_same(server):
    with ImapWire(server.port("imap")) as wire:
        assert attempt(wire, "alice", "wrong") == attempt(wire, "nobody", "wrong")


def test_acting_as_another_is_for_admins(server):
    with ImapWire(server.port("imap")) as wire:
        assert attempt(wire, "alice", "pass", "bob").startswith(b"NO [AUTHORIZATIONFAILED]")
        assert attempt(wire, "alice", "pass", "a/b").startswith(b"NO [AUTHORIZATIONFAILED]")  # nobody's name
        assert attempt(wire, "alice", "wrong", "a/b").startswith(b"NO [AUTHENTICATIONFAILED]")
        assert attempt(wire, "admin", "pass", "bob").startswith(b"OK")


def test_log_says_as_whom_somebody_wanted_to_act(server):
    for user in ("bob", "carol"):
        with ImapWire(server.port("imap")) as wire:
            wire.login(user)
    with ImapWire(server.port("imap")) as wire:
        assert attempt(wire, "bob", "pass", "carol").startswith(b"NO [AUTHORIZATIONFAILED]")
        server.wait_log("auth.failed .*user=bob authzid=carol .*reason=not-authorized")
        assert attempt(wire, "bob", "pass", "somebody-else").startswith(b"NO [AUTHORIZATIONFAILED]")
        server.wait_log(r"auth.failed .*user=bob authzid=\? .*reason=not-authorized")
    assert "somebody-else" not in server.log()


def test_authzid_equal_to_authcid_is_for_all(server):
    with ImapWire(server.port("imap")) as wire:
        assert attempt(wire, "alice", "pass", "alice").startswith(b"OK")


@pytest.mark.parametrize("answer", ["*", "=", "AAA", "A A=", "====", "\x01", "a" * 4000],
                         ids=lambda text: text[:4].encode().hex())
def test_what_is_no_answer(server, answer):
    with ImapWire(server.port("imap")) as wire:
        tag = wire.begin("AUTHENTICATE PLAIN")
        wire.expect(r"\+ ?")
        wire.send(answer)
        assert wire.finish(tag)[1].split()[0] in (b"BAD", b"NO")
        assert attempt(wire, "alice", "pass").startswith(b"OK")


def test_no_password_without_tls():
    with auth_server(**QUIET, **{"allow-plaintext-on-loopback": False}) as server:
        with ImapWire(server.port("imap")) as wire:
            words = auth_words(wire)
            assert "LOGINDISABLED" in words and not {"AUTH=PLAIN", "AUTH=LOGIN"} & words
            assert attempt(wire, "alice", "pass").startswith(b"NO [PRIVACYREQUIRED]")
            assert wire.command("LOGIN alice pass")[1].startswith(b"NO [PRIVACYREQUIRED]")
            assert Scram("alice", "pass", "sha256").run(wire, "SCRAM-SHA-256").startswith(b"OK")
        with ImapWire(server.port("imaps"), tls=server.certificate) as wire:
            assert "AUTH=PLAIN" in auth_words(wire)
            assert attempt(wire, "alice", "pass").startswith(b"OK")


def test_saslauthd_is_offered_no_scram_and_may_be_down(tmp_path):
    settings = {**QUIET, "backend": "saslauthd", "saslauthd-socket": tmp_path / "none"}
    with auth_server(**settings) as server, ImapWire(server.port("imap")) as wire:
        words = auth_words(wire)
        assert {"AUTH=PLAIN", "AUTH=LOGIN"} <= words and "AUTH=SCRAM-SHA-256" not in words
        assert attempt(wire, "alice", "pass").startswith(b"NO [UNAVAILABLE]")


def client_certificate(directory, name):
    """One signed by itself. Returns a context that shows it."""
    certificate, key = make_certificate(directory, name, names=("localhost",))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(certificate, key)
    return certificate, context


def test_external_is_for_whoever_shows_a_certificate(tmp_path):
    certificate, context = client_certificate(tmp_path, "alice")
    server = auth_server(**QUIET)
    server.prepare()
    authority = server.directory / "clients.pem"
    authority.write_bytes(certificate.read_bytes())
    authority.chmod(0o644)
    server.configure(merge(server.changes, {"tls": {"client-ca": authority}}))
    with server:
        with ImapWire(server.port("imaps"), tls=server.certificate) as wire:
            assert "AUTH=EXTERNAL" not in auth_words(wire)
            assert wire.command("AUTHENTICATE EXTERNAL =")[1].startswith(b"NO")
        with ImapWire(server.port("imaps"), tls=context) as wire:
            assert "AUTH=EXTERNAL" in auth_words(wire)
            tag = wire.begin(f"AUTHENTICATE EXTERNAL {base64.b64encode(b'bob').decode()}")
            assert wire.finish(tag)[1].startswith(b"NO [AUTHORIZATIONFAILED]")
            assert wire.command("AUTHENTICATE EXTERNAL =")[1].startswith(b"OK")


def test_failures_grow_slow_but_only_for_their_user():
    with auth_server(**{"failure-delay": "400ms"}) as slow, ImapWire(slow.port("imap")) as wire:
        times = []
        for _ in range(3):
            began = time.monotonic()
            attempt(wire, "alice", "wrong")
            times.append(time.monotonic() - began)
        assert times[1] >= 0.4 and times[2] >= 0.8
        with ImapWire(slow.port("imap")) as other:
            began = time.monotonic()
            assert attempt(other, "bob", "pass").startswith(b"OK")
            assert time.monotonic() - began < 0.4


# --- what is logged


def failures(server):
    """The lines of failed logins, in their order."""
    return [line for line in server.log_path.read_text().splitlines() if "auth.failed" in line]


def wait_failures(server, count):
    """Until there are so many: the log is written a little later than clients are answered."""
    deadline = time.monotonic() + 20 * SLOW
    while len(failures(server)) < count:
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.02)
    return failures(server)


@pytest.fixture
def quiet(server):
    """The number of failures logged, with nothing more to come."""
    with ImapWire(server.port("imap")) as wire:
        wire.command("LOGIN admin wrong")
        wire.ok(f"LOGIN {fresh_user(server)} x")
    server.wait_log(rf"auth\.ok .*user=quiet{server.fresh} ")
    return len(failures(server))


def fresh_user(server):
    server.fresh = getattr(server, "fresh", 0) + 1
    server.ctl("user", "add", f"quiet{server.fresh}", stdin="x\n")
    return f"quiet{server.fresh}"


def test_passwords_are_in_no_log(server, quiet):
    with ImapWire(server.port("imap")) as wire:
        attempt(wire, fresh_user(server), "geheimnis17")
        wire.command("LOGIN alice geheimnis17")
    lines = wait_failures(server, quiet + 2)
    assert f"user=quiet{server.fresh} " in lines[-2] and "reason=failed" in lines[-2]
    assert "geheimnis17" not in server.log_path.read_text()


@pytest.mark.parametrize("typed", ["geheimnis18", "Geheimnis 18", "geheim*18", "alice@geheimnis18.example", "g" * 300])
def test_what_was_typed_as_a_name_is_logged_only_if_it_is_one(server, quiet, typed):
    """People type their password where the name belongs. The address is there all the same, for who bans addresses."""
    with ImapWire(server.port("imap")) as wire:
        wire.command(f'LOGIN "{typed}" x')
        attempt(wire, typed, "x")
        Scram(typed, "x", "sha256").run(wire, "SCRAM-SHA-256")
    for line in wait_failures(server, quiet + 3)[quiet:]:
        assert re.search(r"user=\? tried=[0-9a-f]{8} address=127\.0\.0\.1 mechanism=\S+ reason=failed", line), line
    assert typed not in server.log_path.read_text() and "geheim" not in server.log_path.read_text().lower()


def test_same_name_is_known_again_in_the_log(server, quiet):
    with ImapWire(server.port("imap")) as wire:
        for name in ("first18", "first18", "second18"):
            wire.command(f"LOGIN {name} x")
    marks = [line.split("tried=")[1].split()[0] for line in wait_failures(server, quiet + 3)[quiet:]]
    assert marks[0] == marks[1] != marks[2]


@pytest.mark.parametrize("command", ["LOGIN {0} x", "AUTHENTICATE PLAIN {1}"])
def test_a_failed_login_is_one_line(server, quiet, command):
    """And names administrators, who may have no mailbox: an attack on them is what one wants to see."""
    before = len(server.log_path.read_text().splitlines())
    with ImapWire(server.port("imap")) as wire:
        wire.command(command.format("admin", plain("admin", "x")))
        wire.command("LOGIN admin mark")
    lines = wait_failures(server, quiet + 2)
    assert len(lines) == quiet + 2 and all("user=admin " in line for line in lines[quiet:])
    assert "login-failed" not in "".join(server.log_path.read_text().splitlines()[before:])


# --- rookctl user ...


def test_life_of_a_user(server):
    server.ctl("user", "add", "dora", stdin="first\n")
    assert "dora" in server.ctl("user", "list").split()
    with ImapWire(server.port("imap")) as wire:
        assert attempt(wire, "dora", "first").startswith(b"OK")
    server.ctl("user", "passwd", "dora", stdin="second\n")
    with ImapWire(server.port("imap")) as wire:
        assert attempt(wire, "dora", "first").startswith(b"NO")
        assert Scram("dora", "second", "sha256").run(wire, "SCRAM-SHA-256").startswith(b"OK")
    listed = subprocess.run(["/usr/sbin/sasldblistusers2", "-f", server.sasldb], capture_output=True, text=True)
    assert "dora@example.org: userPassword" in listed.stdout
    server.ctl("user", "delete", "dora")
    assert {"user": "dora"} not in server.ctl("user", "list", as_json=True)
    with ImapWire(server.port("imap")) as wire:
        assert attempt(wire, "dora", "second").startswith(b"NO")


def test_added_user_gets_mail_before_the_first_login():
    with Server(config={"mailbox": {"autocreate": "login", "autocreate-folders": ["Sent"]}}) as server:
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            server.deliver("Subject: too early\n\nx\n", "frida")
        server.ctl("user", "add", "Frida", stdin="first\n")
        server.deliver("Subject: for Frida\n\nx\n", "frida")
        with ImapWire(server.port("imap")) as wire:
            wire.login("Frida", "first")
            assert b"* 1 EXISTS" in wire.ok("SELECT INBOX")
            wire.ok("SELECT Sent")


def test_added_user_gets_no_inbox_where_none_is_to_be_made():
    with Server(config={"mailbox": {"autocreate": "never"}}) as server:
        server.ctl("user", "add", "frida", stdin="first\n")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            server.deliver("Subject: for Frida\n\nx\n", "frida")


def test_mistakes_with_users(server):
    assert server.ctl("user", "add", "alice", stdin="x\n", check=False).returncode == 1
    assert server.ctl("user", "passwd", "nobody", stdin="x\n", check=False).returncode == 1
    assert server.ctl("user", "delete", "nobody", check=False).returncode == 1
    assert server.ctl("user", "add", "a/b", stdin="x\n", check=False).returncode == 1
    assert server.ctl("user", "add", "empty", stdin="\n", check=False).returncode == 1


def test_one_person_has_one_password(server):
    for name in ("Admin", "ADMIN@example.org"):
        done = server.ctl("user", "add", name, stdin="evil\n", check=False)
        assert done.returncode == 1 and "is there already, as admin" in done.stderr
    server.add_user("Gina", "first")  # by saslpasswd2, which knows nothing of persons
    server.add_user("gina", "second")
    server.ctl("user", "delete", "gina")
    assert not {"gina", "Gina"} & set(server.ctl("user", "list").split())
    with ImapWire(server.port("imap")) as wire:
        assert attempt(wire, "Gina", "first").startswith(b"NO")


@pytest.mark.parametrize("name,password,why", [
    ("a\u202eb", "x\n", "can be no user's name"), ("a\nb", "x\n", "line end"), ("nul", "ab\0cd\n", "NUL"), ("none", "", "no password"),
], ids=["invisible", "line-end", "nul", "none"])
def test_what_can_be_no_user_and_no_password(server, name, password, why):
    before = server.ctl("user", "list")
    done = server.ctl("user", "add", name, stdin=password, check=False)
    assert done.returncode != 0 and why in done.stderr, done
    assert server.ctl("user", "list") == before


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["fifo", "folder"])
def test_password_file_that_is_none(make):
    """Nobody waits for a FIFO; and the server ends."""
    with auth_server(**QUIET) as server:
        server.sasldb.unlink()
        make(server.sasldb, 0o700)
        shutil.chown(server.sasldb, server.user)
        done = server.ctl("user", "list", check=False)
        assert done.returncode == 1 and f"{server.sasldb} is no file" in done.stderr
        with ImapWire(server.port("imap")) as wire:
            assert attempt(wire, "alice", "pass").startswith(b"NO [UNAVAILABLE]")
        for done in (server.check_config(), server.reload(check=False)):
            assert done.returncode == 1 and f"[auth] sasldb-path: {server.sasldb} is no file" in done.stderr


def test_password_is_never_an_argument(server):
    done = server.ctl("user", "add", "eve", "onthecommandline", check=False)
    assert done.returncode == 2 and "standard input" in done.stderr
    assert "eve" not in server.ctl("user", "list").split()


@pytest.mark.parametrize("password", ["--x", "-", "--", "--help", "-x y"])
def test_password_may_be_anything_that_looks_like_an_option(server, password):
    name = f"odd-{password.encode().hex()}"
    server.ctl("user", "add", name, stdin="first\n")
    server.ctl("user", "passwd", name, stdin=f"{password}\n")
    with ImapWire(server.port("imap")) as wire:
        assert Scram(name, password, "sha256").run(wire, "SCRAM-SHA-256").startswith(b"OK")
    server.ctl("user", "delete", name)
    server.ctl("user", "add", "--", name, stdin=f"{password}\n")
    with ImapWire(server.port("imap")) as wire:
        assert Scram(name, password, "sha256").run(wire, "SCRAM-SHA-256").startswith(b"OK")


def test_users_of_another_backend_are_not_ours():
    with auth_server(**{"backend": "saslauthd", "sasldb-path": None}) as server:
        done = server.ctl("user", "add", "eve", stdin="x\n", check=False)
        assert done.returncode == 1 and "saslauthd" in done.stderr


def test_reload_changes_what_is_offered(server):
    server.reload({**server.changes, "auth": {**QUIET, "mechanisms": ["PLAIN"]}})
    with ImapWire(server.port("imap")) as wire:
        assert {word for word in auth_words(wire) if word.startswith("AUTH=")} == {"AUTH=PLAIN"}
    server.reload(server.changes)


@pytest.mark.parametrize("mechanisms", [[], ["EXTERNAL"], ["SCRAM-SHA-256"]], ids=str)
def test_login_is_refused_where_no_password_is_taken(server, mechanisms):
    """Not for want of TLS, and not as a wrong password: it would not go better there, or with another one."""
    server.reload({**server.changes, "auth": {**QUIET, "mechanisms": mechanisms}})
    for options in ({"where": server.port("imap")}, {"where": server.port("imaps"), "tls": server.certificate}):
        with ImapWire(**options) as wire:
            assert "LOGINDISABLED" in auth_words(wire)
            assert wire.command("LOGIN alice pass")[1] == b"NO [CANNOT] Mechanism is not offered"
            assert attempt(wire, "alice", "pass") == b"NO [CANNOT] Mechanism is not offered"
    server.reload(server.changes)


def test_mail_and_login_agree_on_capital_letters():
    """Whose mail it is has one spelling. The file may have two, and then each its password."""
    with Server(users=("Dora", "dora", "alice")) as server:
        server.deliver("Subject: to Dora\n\nx\n", "Dora")
        for user in ("Dora", "dora"):
            with ImapWire(server.port("imap")) as wire:
                wire.login(user)
                assert b"* 1 EXISTS" in wire.ok("SELECT INBOX"), user
        for mechanism, digest in (("SCRAM-SHA-1", "sha1"), ("SCRAM-SHA-256", "sha256")):
            with ImapWire(server.port("imap")) as wire:
                assert Scram("Dora", "pass", digest).run(wire, mechanism).startswith(b"OK")
                assert b"* 1 EXISTS" in wire.ok("SELECT INBOX")


@pytest.mark.parametrize("name", ["Dora", "DORA", f"Dora@{REALM}", "Eve", "eVE"])
def test_capital_letters_make_no_difference_to_sasldb(name):
    """As phones type them, by whatever mechanism; whoever added the user in capitals, too."""
    mechanisms = ["PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "DIGEST-MD5", "CRAM-MD5"]
    with auth_server(**QUIET, mechanisms=mechanisms) as server:
        for user in ("dora", "EVE"):
            server.ctl("user", "add", user, stdin="pass\n")
        assert "dora" in server.ctl("user", "list") and "eve" in server.ctl("user", "list")
        with ImapWire(server.port("imap")) as wire:
            offered = auth_words(wire)
            assert {"AUTH=SCRAM-SHA-1", "AUTH=SCRAM-SHA-256", "AUTH=CRAM-MD5"} <= offered
            assert wire.command(f"LOGIN {name} wrong")[1].startswith(b"NO [AUTHENTICATIONFAILED]")
            wire.ok(f"LOGIN {name} pass")
            assert b"* 0 EXISTS" in wire.ok("SELECT INBOX")
        for run in (lambda wire: attempt(wire, name, "pass"), lambda wire: login_mechanism(wire, name, "pass"),
                    lambda wire: cram_md5(wire, name, "pass"), lambda wire: digest_md5(wire, name, "pass"),
                    lambda wire: Scram(name, "pass", "sha1").run(wire, "SCRAM-SHA-1"),
                    lambda wire: Scram(name, "pass", "sha256").run(wire, "SCRAM-SHA-256")):
            with ImapWire(server.port("imap")) as wire:
                assert run(wire).startswith(b"OK")
                assert b"* 0 EXISTS" in wire.ok("SELECT INBOX")
        with ImapWire(server.port("imap")) as wire:
            assert Scram(name, "wrong", "sha256").run(wire, "SCRAM-SHA-256").startswith(b"NO [AUTHENTICATIONFAILED]")
        for line in ("LOGIN Nobody pass", "LOGIN NOBODY wrong"):
            with ImapWire(server.port("imap")) as wire:
                assert wire.command(line)[1].startswith(b"NO [AUTHENTICATIONFAILED]")


def cram_md5(wire, user, password):
    tag = wire.begin("AUTHENTICATE CRAM-MD5")
    challenge = base64.b64decode(wire.expect(r"\+ (\S+)").group(1))
    wire.send(base64.b64encode(f"{user} {hmac.new(password.encode(), challenge, 'md5').hexdigest()}".encode()).decode())
    return wire.finish(tag)[1]


def digest_md5(wire, user, password):
    def md5(*parts):
        return hashlib.md5(b":".join(part if isinstance(part, bytes) else part.encode() for part in parts))

    tag = wire.begin("AUTHENTICATE DIGEST-MD5")
    challenge = base64.b64decode(wire.expect(r"\+ (\S+)").group(1)).decode()
    realm, nonce = (re.search(rf'{name}="([^"]*)"', challenge).group(1) for name in ("realm", "nonce"))
    secret = md5(md5(user, realm, password).digest(), nonce, "cnonce").hexdigest()
    proof = md5(secret, nonce, "00000001", "cnonce", "auth", md5("AUTHENTICATE", "imap/localhost").hexdigest()).hexdigest()
    wire.send(base64.b64encode((f'charset=utf-8,username="{user}",realm="{realm}",nonce="{nonce}",nc=00000001,cnonce="cnonce",'
                                f'digest-uri="imap/localhost",response={proof},qop=auth').encode()).decode())
    wire.expect(r"\+ .*")
    wire.send("")
    return wire.finish(tag)[1]


def login_mechanism(wire, user, password):
    tag = wire.begin("AUTHENTICATE LOGIN")
    for word in (user, password):
        wire.expect(r"\+ .*")
        wire.send(base64.b64encode(word.encode()).decode())
    return wire.finish(tag)[1]


def test_capital_letters_may_be_told_apart():
    with Server(config={"auth": {"lower-case": False}}, users=("Dora", "dora")) as server:
        server.deliver("Subject: to Dora\n\nx\n", "Dora")
        for user, count in (("Dora", 1), ("dora", 0)):
            with ImapWire(server.port("imap")) as wire:
                wire.login(user)
                wire.command("CREATE INBOX")
                assert b"* %d EXISTS" % count in wire.ok("SELECT INBOX"), user
