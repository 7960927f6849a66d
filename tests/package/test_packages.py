# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Debian packages: checked by lintian, installed on a Debian that runs systemd, used there, upgraded, removed.

The tests build on each other, in their order. The server is started by systemd, in the sandbox of its unit, and asks a
real saslauthd; it shares this machine's loopback interface, so the clients here reach it.
"""

import imaplib
import os
import re
import smtplib
import ssl
from pathlib import Path

import pytest
from conftest import NEXT_VERSION
from rookery_harness import SLOW, free_port, make_certificate, run_quietly

PLUGINS = ("imap", "lmtp", "storage-gdbm")
PASSWORD = "pass"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


class Installed:
    """The packages on the machine, and the server that they start."""

    def __init__(self, machine):
        self.machine, self.root, self.run = machine, machine.root, machine.run
        self.imap_port = self.notify_port = None

    def apt(self, verb, *words):
        return self.run("apt-get", "-q", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold", verb, *words)

    def install(self, *names, folder="debs"):
        self.apt("install", *[f"/{folder}/" + next((self.root / folder).glob(f"rookery-{name}_*.deb")).name for name in names])

    def module(self, name):
        return list(self.root.glob(f"usr/lib/*/rookery/plugins/{name}.so"))

    def snippet(self, name):
        return self.root / f"etc/rookery/conf.d/{name}.conf"

    def is_there(self, name):
        """Module and snippet, which only come and go together."""
        assert bool(self.module(name)) == self.snippet(name).exists()
        return bool(self.module(name))

    def plugins(self):
        """Names of the plugins that run."""
        return set(re.findall(r"^(\S+) +running", self.run("rookctl", "plugin", "list"), re.M))

    def pid(self):
        return self.machine.show("rookeryd", "MainPID")

    def configure(self):
        """As an administrator would, in files of their own but for the port, which is in the snippet."""
        self.imap_port, self.notify_port = free_port(), free_port()
        certificate, key = make_certificate(self.root / "etc/rookery")
        self.certificate = certificate
        self.run("chgrp", "rookery", f"/etc/rookery/{key.name}")
        self.run("chmod", "0640", f"/etc/rookery/{key.name}")
        (self.root / "etc/rookery/conf.d/site.conf").write_text(
            f"[tls]\ncertificate=/etc/rookery/{certificate.name}\nprivate-key=/etc/rookery/{key.name}\n"
            "[mailbox]\nautocreate=delivery\n")
        text = self.snippet("imap").read_text().replace("address=127.0.0.1:143;[::1]:143", f"address=127.0.0.1:{self.imap_port}")
        assert str(self.imap_port) in text
        self.snippet("imap").write_text(text)

    def deliver(self, subject):
        """By the socket that the MTA uses: seen from here, the run directory lies in the machine's own mount."""
        with smtplib.LMTP(f"/proc/{self.machine.init}/root/run/rookery/lmtp.sock") as client:
            client.sendmail("sender@example.net", ["alice"],
                            f"From: sender@example.net\r\nSubject: {subject}\r\n\r\nHello.\r\n")

    def connect(self):
        client = imaplib.IMAP4("localhost", self.imap_port, timeout=30 * SLOW)
        client.starttls(ssl.create_default_context(cafile=str(self.certificate)))
        return client

    def subjects(self, user="alice", password=PASSWORD):
        client = self.connect()
        client.login(user, password)
        client.select(readonly=True)
        _, data = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        client.logout()
        return [part[1].decode().strip() for part in data if isinstance(part, tuple)]


@pytest.fixture(scope="module")
def site(machine):
    """Everything but the example is installed, by one command, beside a saslauthd that asks PAM for users of the system."""
    one = Installed(machine)
    one.apt("install", "sasl2-bin", "libsasl2-modules-db", "libpam-modules")
    (one.root / "etc/pam.d/imap").write_text("auth required pam_unix.so\naccount required pam_unix.so\n")
    defaults = one.root / "etc/default/saslauthd"
    defaults.write_text("START=yes\nDESC=saslauthd\nNAME=saslauthd\nMECHANISMS=pam\nMECH_OPTIONS=\nTHREADS=2\n"
                        'OPTIONS="-c -m /var/run/saslauthd"\n')
    one.run("useradd", "--no-create-home", "alice")
    one.run("chpasswd", input=f"alice:{PASSWORD}\n".encode())
    one.run("systemctl", "restart", "saslauthd")
    one.install("core", *PLUGINS)
    return one


def test_lintian_finds_no_error(debs):
    changes = next(debs.glob("*.changes"))
    run_quietly("lintian", "--allow-root", "--fail-on", "error", str(changes))


# --- installed


def test_packages_are_installed_with_module_and_snippet(site):
    for name in PLUGINS:
        assert site.is_there(name), name
        assert "ok installed" in site.run("dpkg", "-s", f"rookery-{name}")


def test_installed_server_runs_as_it_comes(site):
    assert site.machine.show("rookeryd", "ActiveState") == "active", site.machine.journal("rookeryd")
    assert site.machine.show("rookeryd", "UnitFileState") == "enabled"
    assert site.plugins() == set(PLUGINS)
    site.run("rookeryd", "--check-config")


def test_units_are_valid_and_tight(site):
    units = sorted(path.name for path in site.root.glob("lib/systemd/system/rookeryd*"))
    assert units == ["rookeryd-imap.socket", "rookeryd-imaps.socket", "rookeryd-lmtp.socket", "rookeryd.service"]
    site.run("systemd-analyze", "verify", "--man=no", *(f"/lib/systemd/system/{unit}" for unit in units))
    site.run("systemd-analyze", "security", "--threshold=20", "rookeryd.service")


def test_mail_goes_in_by_lmtp_and_out_by_imap_with_passwords_of_the_system(site):
    site.configure()
    site.run("systemctl", "reload", "rookeryd")
    site.deliver("from a package")
    assert "Subject: from a package" in site.subjects()
    with pytest.raises(imaplib.IMAP4.error):
        site.connect().login("alice", "wrong")


# --- in its sandbox


def status_of(site):
    text = Path(f"/proc/{site.machine.init}/root/proc/{site.pid()}/status").read_text()
    return dict(re.findall(r"^(\w+):\s*(.*)$", text, re.M))


def test_process_is_no_root_and_can_never_be(site):
    status = status_of(site)
    user = site.run("id", "-u", "rookery").strip()
    assert set(status["Uid"].split()) == {user}
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 1 << 10  # CAP_NET_BIND_SERVICE
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


@pytest.mark.parametrize("path, writable", [
    ("/usr", False), ("/etc", False), ("/etc/passwd", False), ("/var/lib/dpkg", False), ("/proc/sys/kernel/core_pattern", False),
    ("/home", False), ("/root", False), ("/tmp", True), ("/var/lib/rookery", True), ("/var/spool/rookery", True),
    ("/run/rookery", True),
])
def test_process_sees_a_file_system_that_is_read_only_but_for_its_own(site, path, writable):
    """Asked as root, in the mounts of the process: what is refused there is refused by the mount."""
    done = site.machine.try_run("nsenter", "--target", site.pid(), "--mount", "test", "-w", path)
    assert (done.returncode == 0) == writable, done.stderr


def test_process_has_a_tmp_of_its_own(site):
    site.run("touch", "/tmp/of-everybody")
    done = site.machine.try_run("nsenter", "--target", site.pid(), "--mount", "ls", "/tmp")
    assert done.stdout == ""


def test_users_of_sasldb_are_managed_through_the_sandbox(site):
    """sasldb is copied, changed and renamed by the daemon; sasldblistusers2 runs as its child."""
    snippet = site.root / "etc/rookery/conf.d/users.conf"
    snippet.write_text("[auth]\nbackend=sasldb\nsasldb-path=/var/lib/rookery/sasldb2\ndefault-realm=example.org\n")
    site.run("rookctl", "reload")
    site.run("rookctl", "user", "add", "bob", input=b"secret\n")
    assert "bob" in site.run("rookctl", "user", "list")
    site.connect().login("bob", "secret")
    site.run("rookctl", "user", "delete", "bob")
    assert "bob" not in site.run("rookctl", "user", "list")
    snippet.unlink()
    site.run("rookctl", "reload")


def test_sandbox_refuses_nothing_that_the_server_asks_for(site):
    journal = site.machine.journal("rookeryd")
    assert not re.search(r"not permitted|read-only file system|permission denied", journal, re.I), journal


def test_journal_has_a_field_for_each_value(site):
    entries = site.machine.journal_entries("_SYSTEMD_UNIT=rookeryd.service", "ROOKERY_EVENT=imap.login")
    assert entries
    for entry in entries:
        assert entry["SYSLOG_IDENTIFIER"] == "rookeryd" and entry["PRIORITY"] == "6"
        assert entry["ROOKERY_PROTOCOL"] == "imap" and entry["ROOKERY_USER"] and entry["ROOKERY_CONN"]
        assert "MESSAGE" in entry and PASSWORD not in entry["MESSAGE"].split()


# --- the service manager


def test_reload_tells_the_manager_and_is_refused_whole(site):
    before = site.pid()
    site.run("systemctl", "reload", "rookeryd")
    broken = site.root / "etc/rookery/conf.d/broken.conf"
    broken.write_text("[log]\nlevel=loud\n")
    assert site.machine.try_run("systemctl", "reload", "rookeryd").returncode != 0
    broken.unlink()
    site.run("systemctl", "reload", "rookeryd")
    assert site.machine.show("rookeryd", "ActiveState") == "active"
    assert site.pid() == before


def test_killed_server_is_started_again_and_has_its_mail(site):
    before = site.pid()
    site.run("systemctl", "kill", "--signal=KILL", "rookeryd")
    site.machine.wait_for("runs again", lambda: site.pid() not in ("0", before)
                          and site.machine.show("rookeryd", "ActiveState") == "active")
    assert "Subject: from a package" in site.subjects()


# --- plugins come and go


def test_installing_a_plugin_while_the_server_runs_brings_it(site):
    before = site.pid()
    assert not site.is_there("example")
    site.install("example")
    assert site.is_there("example")
    assert "example" in site.plugins()
    assert site.pid() == before


def test_removing_a_plugin_while_the_server_runs_takes_it(site):
    before = site.pid()
    site.apt("remove", "rookery-example")
    assert not site.is_there("example")
    assert site.plugins() == set(PLUGINS)
    assert site.pid() == before
    site.run("rookeryd", "--check-config")
    site.apt("remove", "rookery-lmtp")
    assert not site.is_there("lmtp")
    with pytest.raises(OSError):
        site.deliver("nobody listens")
    assert "Subject: from a package" in site.subjects()


def test_installing_it_again_brings_it_back(site):
    site.install("lmtp")
    assert site.is_there("lmtp")
    site.deliver("taken up while it runs")
    assert "Subject: taken up while it runs" in site.subjects()


# --- upgrade, stop, purge


def test_upgrade_keeps_configuration_and_mail_and_restarts_the_server(site):
    before, edited = site.pid(), site.snippet("imap").read_text()
    site.install("core", *PLUGINS, folder="next")
    for name in ("core", *PLUGINS):
        state = site.run("dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", f"rookery-{name}")
        assert state == f"{NEXT_VERSION} installed"
    assert site.snippet("imap").read_text() == edited
    assert not list((site.root / "etc/rookery").rglob("*.dpkg-*"))
    assert site.machine.show("rookeryd", "ActiveState") == "active", site.machine.journal("rookeryd")
    assert site.pid() != before
    assert site.plugins() == set(PLUGINS)
    site.deliver("after the upgrade")
    assert {"Subject: from a package", "Subject: after the upgrade"} <= set(site.subjects())


def test_stops_cleanly_and_keeps_the_mail(site):
    site.run("systemctl", "stop", "rookeryd")
    assert site.machine.show("rookeryd", "Result") == "success"
    assert site.machine.show("rookeryd", "ExecMainStatus") == "0"
    site.run("systemctl", "start", "rookeryd")
    assert "Subject: from a package" in site.subjects()


def test_purging_leaves_the_mail_and_nothing_else(site):
    site.apt("purge", *[f"rookery-{name}" for name in (*PLUGINS, "example")], "rookery-core")
    assert site.machine.show("rookeryd", "ActiveState") == "inactive"
    assert not list(site.root.glob("usr/lib/*/rookery"))
    assert [path.name for path in site.root.glob("etc/rookery/conf.d/*")] in ([], ["site.conf"])
    assert list((site.root / "var/spool/rookery").iterdir()), "mail must stay"
