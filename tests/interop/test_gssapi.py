# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kerberos: a KDC of our own on loopback, Cyrus's imtest with a ticket, and the security layer that GSSAPI brings."""

import base64
import os
import re
import subprocess
import time

import pytest

from rookery_harness import SLOW, Server, child_environment, free_port, run_quietly
from rookery_wire import ImapWire

REALM = "EXAMPLE.ORG"
HOST = "localhost"
IMTEST = "/usr/lib/cyrus/bin/imtest"
# What imtest is told (by itself it takes 128 at most, which AES-256 is not), and the strength that comes of it.
LAYERS = {"privacy": (["-l", "256"], 256), "integrity": (["-l", "1"], 1), "none": (["-l", "0"], 0)}


class Kdc:
    """A realm with the service imap/localhost, whose key is in a keytab, and users whose password is "pass"."""

    def __init__(self, directory, users=("alice", "admin")):
        self.directory, self.port, self.process = directory, free_port(), None
        self.keytab, self.log = directory / "imap.keytab", directory / "kdc.log"
        (directory / "krb5.conf").write_text(
            f"[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n"
            f" dns_canonicalize_hostname = false\n rdns = false\n udp_preference_limit = 1\n"
            f"[realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{self.port}\n }}\n"
            f"[domain_realm]\n {HOST} = {REALM}\n")
        (directory / "kdc.conf").write_text(
            f"[kdcdefaults]\n kdc_listen = \"\"\n kdc_tcp_listen = 127.0.0.1:{self.port}\n"
            f"[realms]\n {REALM} = {{\n  database_name = {directory}/principal\n  key_stash_file = {directory}/stash\n"
            f"  acl_file = {directory}/none\n  max_life = 1h\n }}\n"
            f"[logging]\n kdc = FILE:{self.log}\n")
        self.environment = {"KRB5_CONFIG": str(directory / "krb5.conf"), "KRB5_KDC_PROFILE": str(directory / "kdc.conf"),
                            "KRB5CCNAME": f"FILE:{directory}/tickets", "KRB5RCACHENAME": "none:"}
        self.run("/usr/sbin/kdb5_util", "create", "-s", "-P", "master", "-r", REALM)
        for user in users:
            self.admin(f"add_principal -pw pass {user}")
        self.admin(f"add_principal -randkey imap/{HOST}")
        self.admin(f"ktadd -k {self.keytab} imap/{HOST}")

    def run(self, *command, **options):
        return run_quietly(*command, env={**os.environ, **self.environment}, **options)

    def admin(self, request):
        self.run("/usr/sbin/kadmin.local", "-r", REALM, "-q", request)

    def __enter__(self):
        self.process = subprocess.Popen(["/usr/sbin/krb5kdc", "-n", "-r", REALM, "-P", str(self.directory / "pid")],
                                        env={**os.environ, **self.environment}, stdin=subprocess.DEVNULL)
        return self

    def __exit__(self, *ignored):
        self.process.terminate()
        self.process.wait()

    def ticket(self, user):
        """As soon as the KDC answers."""
        deadline = time.monotonic() + 30 * SLOW
        while True:
            try:
                return self.run("kinit", user, input=b"pass\n")
            except AssertionError:
                assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.1)


@pytest.fixture(scope="module")
def kdc(tmp_path_factory):
    with Kdc(tmp_path_factory.mktemp("kdc")) as running:
        yield running


@pytest.fixture(scope="module")
def server(kdc):
    one = Server(config={"server": {"hostname": HOST},
                         "auth": {"failure-delay": "0", "default-realm": "example.org",
                                  "mechanisms": ["GSSAPI", "PLAIN"], "minimum-ssf": 0}})
    one.prepare()
    (one.state_directory / "imap.keytab").write_bytes(kdc.keytab.read_bytes())
    (one.state_directory / "imap.keytab").chmod(0o600)
    run_quietly("chown", one.user, str(one.state_directory / "imap.keytab"))
    conf = one.directory / "krb5.conf"
    conf.write_bytes((kdc.directory / "krb5.conf").read_bytes())
    conf.chmod(0o644)
    one.environment.update({"KRB5_KTNAME": str(one.state_directory / "imap.keytab"), "KRB5_CONFIG": str(conf),
                            "KRB5RCACHENAME": "none:"})
    with one:
        yield one


def imtest(server, kdc, *arguments, listener="imap", commands=b'a1 LIST "" *\r\na2 LOGOUT\r\n'):
    tls = ["-s"] if listener == "imaps" else []
    done = subprocess.run([IMTEST, "-p", str(server.port(listener)), *tls, "-m", "GSSAPI", *arguments, HOST],
                          input=commands, capture_output=True, timeout=60 * SLOW,
                          env={**child_environment(), **kdc.environment})
    return done.stdout.decode(errors="replace")


@pytest.mark.parametrize("layer", LAYERS)
def test_logs_in_with_a_ticket(server, kdc, layer):
    arguments, strength = LAYERS[layer]
    kdc.ticket("alice")
    output = imtest(server, kdc, *arguments, "-u", "alice")
    assert "\nAuthenticated.\n" in output and "\na1 OK" in output, output
    assert f"Security strength factor: {strength}\n" in output
    server.wait_log(r"auth\.ok .*user=alice .*mechanism=GSSAPI")


def test_much_goes_through_the_layer(server, kdc):
    """More than one frame each way."""
    kdc.ticket("alice")
    text = b"Subject: large\r\n\r\n" + b"x" * 70 * 1000 + b"\r\n"
    commands = (b"a1 APPEND INBOX {%d+}\r\n" % len(text) + text
                + b"\r\na2 SELECT INBOX\r\na3 FETCH * BODY.PEEK[]\r\na4 LOGOUT\r\n")
    output = imtest(server, kdc, "-l", "256", "-u", "alice", commands=commands)
    assert "\na1 OK" in output and "\na3 OK" in output and "x" * 70 * 1000 in output


def test_under_tls_there_is_no_layer(server, kdc):
    kdc.ticket("alice")
    output = imtest(server, kdc, "-u", "alice", listener="imaps")
    assert "\nAuthenticated.\n" in output and "\na1 OK" in output, output


def test_acting_as_another_is_for_admins(server, kdc):
    kdc.ticket("alice")
    assert "Authentication failed." in imtest(server, kdc, "-u", "bob")
    kdc.ticket("admin")
    assert "\nAuthenticated.\n" in imtest(server, kdc, "-u", "bob")
    server.wait_log(r"auth\.ok .*user=bob authcid=admin .*mechanism=GSSAPI")


def test_without_a_ticket(server, kdc):
    kdc.run("kdestroy", "-q")
    output = imtest(server, kdc, "-u", "alice")
    assert "Authenticated." not in output


def test_what_is_no_token(server, kdc):
    with ImapWire(server.port("imap")) as wire:
        for token in (b"nonsense", b"", b"\x60\x82\xff\xff", bytes(3000)):
            tag = wire.begin("AUTHENTICATE GSSAPI")
            wire.expect(r"\+ ?")
            wire.send(base64.b64encode(token).decode())
            line = wire.response()
            if line.startswith(b"+"):
                wire.send("*")
                line = wire.finish(tag)[1]
            assert re.search(rb"\b(NO|BAD) ", line + b" "), line
        wire.ok("NOOP")
