# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Debian packages: built, checked by lintian, installed into a root of their own, used there, removed again.

The root is made by debootstrap, once; its tarball is kept in build/package/. Needs root, and a Debian mirror. The server
runs in the root by chroot, and shares the machine's loopback interface, so the clients here reach it.
"""

import imaplib
import os
import re
import shutil
import signal
import smtplib
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from rookery_harness import SOURCE, free_port, make_certificate, run_quietly

BUILD = Path(os.environ.get("ROOKERY_PACKAGE_DIR", SOURCE / "build" / "package")).resolve()
PLUGINS = ("imap", "lmtp", "storage-gdbm")
ROOT = BUILD / "root"
PASSWORD = "pass"
LMTP = "/run/rookery/lmtp.sock"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for chroot")


def mirror():
    """Of this machine, so that what works here works in the root."""
    texts = [p.read_text() for p in (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*"))
             if p.is_file()]
    found = re.search(r"(?:^URIs:|^deb(?: \[.*?\])?)\s+(\S*/debian/?)(?:\s|$)", "\n".join(texts), re.M)
    return found.group(1) if found else "http://deb.debian.org/debian"


def in_root(*command, **options):
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    return run_quietly("chroot", str(ROOT), *command, env=environment, **options).decode()


def dpkg(*arguments):
    return in_root("dpkg", *arguments)


def module(name):
    return list(ROOT.glob(f"usr/lib/*/rookery/plugins/{name}.so"))


def snippet(name):
    return ROOT / f"etc/rookery/conf.d/{name}.conf"


@pytest.fixture(scope="module")
def debs():
    """Built from the files of the checkout, without what else lies there."""
    source = BUILD / "source" / "rookery"
    shutil.rmtree(source.parent, ignore_errors=True)
    source.mkdir(parents=True)
    names = run_quietly("git", "-C", str(SOURCE), "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, names.decode().split("\0")):
        if (SOURCE / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(SOURCE / name, source / name)
    options = f"nocheck parallel={os.cpu_count()}"
    run_quietly("dpkg-buildpackage", "-us", "-uc", "-b", cwd=source, env={**os.environ, "DEB_BUILD_OPTIONS": options})
    return source.parent


@pytest.fixture(scope="module")
def root(debs):
    """A minimal Debian with the packages installed."""
    tarball = BUILD / "base.tar"
    unmount()
    shutil.rmtree(ROOT, ignore_errors=True)
    if not tarball.exists():
        fresh = BUILD / "base"
        shutil.rmtree(fresh, ignore_errors=True)
        run_quietly("debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", str(fresh), mirror())
        run_quietly("tar", "-C", str(fresh), "-cf", str(tarball) + ".new", ".")
        os.rename(str(tarball) + ".new", tarball)
        shutil.rmtree(fresh)
    ROOT.mkdir(parents=True)
    run_quietly("tar", "-C", str(ROOT), "-xf", str(tarball))
    shutil.copy("/etc/resolv.conf", ROOT / "etc/resolv.conf")
    (ROOT / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (ROOT / "usr/sbin/policy-rc.d").chmod(0o755)
    run_quietly("mount", "-t", "proc", "proc", str(ROOT / "proc"))
    (ROOT / "debs").mkdir()
    for deb in debs.glob("*.deb"):
        if "dbgsym" not in deb.name:
            shutil.copy(deb, ROOT / "debs")
    in_root("apt-get", "-q", "update")
    install("core", *PLUGINS)
    in_root("apt-get", "-q", "-y", "--no-install-recommends", "install", "sasl2-bin", "libsasl2-modules-db")
    yield ROOT
    unmount()


def unmount():
    subprocess.run(["umount", "-l", str(ROOT / "proc")], capture_output=True)


def install(*names):
    packages = ["/debs/" + next((ROOT / "debs").glob(f"rookery-{name}_*.deb")).name for name in names]
    return in_root("apt-get", "-q", "-y", "--no-install-recommends", "install", *packages)


class InstalledServer:
    """rookeryd as the package has it, but for ports, users and a certificate."""

    def __init__(self):
        self.imap_port = free_port()
        certificate, key = make_certificate(ROOT / "etc/rookery")
        self.certificate = certificate
        (ROOT / "etc/rookery/conf.d/test.conf").write_text(
            "[tls]\n"
            f"certificate=/etc/rookery/{certificate.name}\nprivate-key=/etc/rookery/{key.name}\n"
            "[mailbox]\nautocreate=delivery\n"
            "[auth]\nbackend=sasldb\nsasldb-path=/etc/rookery/sasldb2\ndefault-realm=example.org\n")
        in_root("saslpasswd2", "-p", "-c", "-f", "/etc/rookery/sasldb2", "-u", "example.org", "alice",
                input=PASSWORD.encode())
        in_root("chown", "rookery", "/etc/rookery/sasldb2")
        # Readable for a reload too, when the server is root no more.
        in_root("chgrp", "rookery", f"/etc/rookery/{key.name}")
        in_root("chmod", "0640", f"/etc/rookery/{key.name}")
        # The snippet is the administrator's to edit: here, the port.
        text = snippet("imap").read_text().replace("address=127.0.0.1:143;[::1]:143", f"address=127.0.0.1:{self.imap_port}")
        assert str(self.imap_port) in text
        snippet("imap").write_text(text)
        self.process = None

    def start(self):
        self.log = open(BUILD / "rookeryd.log", "ab")
        self.process = subprocess.Popen(["chroot", str(ROOT), "/usr/sbin/rookeryd"], stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.ctl("status")
                return self
            except AssertionError:
                time.sleep(0.1)
        pytest.fail("rookeryd did not start: " + (BUILD / "rookeryd.log").read_text()[-4000:])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def ctl(self, *words):
        return in_root("rookctl", *words)

    def deliver(self, subject):
        with smtplib.LMTP(str(ROOT) + LMTP) as client:
            client.sendmail("sender@example.net", ["alice"],
                            f"From: sender@example.net\r\nSubject: {subject}\r\n\r\nHello.\r\n")

    def subjects(self):
        context = ssl.create_default_context(cafile=str(self.certificate))
        client = imaplib.IMAP4("localhost", self.imap_port, timeout=30)
        client.starttls(context)
        client.login("alice", PASSWORD)
        client.select(readonly=True)
        _, data = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        client.logout()
        return [part[1].decode().strip() for part in data if isinstance(part, tuple)]


@pytest.fixture(scope="module")
def installed(root):
    (BUILD / "rookeryd.log").unlink(missing_ok=True)
    server = InstalledServer().start()
    yield server
    if server.process.poll() is None:
        server.stop()


def test_lintian_finds_no_error(debs):
    changes = next(debs.glob("*.changes"))
    run_quietly("lintian", "--allow-root", "--fail-on", "error", str(changes))


def test_unit_is_valid_and_tight(root):
    unit = next(root.glob("lib/systemd/system/rookeryd.service"))
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    # The root has no systemd, and this machine no rookeryd.
    text = re.sub(r"/usr/s?bin/rook\w+", "/bin/true", unit.read_text())
    (BUILD / "rookeryd.service").write_text(text)
    sockets = sorted(shutil.copy(path, BUILD) for path in root.glob("lib/systemd/system/rookeryd-*.socket"))
    assert [Path(path).name for path in sockets] == [f"rookeryd-{name}.socket" for name in ("imap", "imaps", "lmtp")]
    run_quietly("systemd-analyze", "verify", "--man=no", str(BUILD / "rookeryd.service"), *sockets)
    run_quietly("systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit))


def test_packages_are_installed_with_module_and_snippet(root):
    for name in PLUGINS:
        assert module(name) and snippet(name).exists(), name
        assert "ok installed" in dpkg("-s", f"rookery-{name}")


def test_installed_configuration_is_valid(root):
    in_root("rookeryd", "--check-config")


def test_mail_goes_in_by_lmtp_and_out_by_imap(installed):
    installed.deliver("from a package")
    assert "Subject: from a package" in installed.subjects()


def test_removing_a_plugin_takes_module_and_snippet_away(installed):
    in_root("apt-get", "-q", "-y", "remove", "rookery-lmtp")
    assert not module("lmtp") and not snippet("lmtp").exists()
    in_root("rookeryd", "--check-config")
    with pytest.raises(OSError):
        installed.deliver("nobody listens")
    assert "Subject: from a package" in installed.subjects()


def test_installing_it_again_brings_it_back(installed):
    install("lmtp")
    assert module("lmtp") and snippet("lmtp").exists()
    installed.deliver("taken up while it runs")
    assert "Subject: taken up while it runs" in installed.subjects()


def test_stops_cleanly_and_keeps_the_mail(installed):
    assert installed.stop() == 0
    installed.start()
    assert "Subject: from a package" in installed.subjects()
    assert installed.stop() == 0


def test_purging_leaves_the_mail_and_nothing_else(installed):
    in_root("apt-get", "-q", "-y", "purge", *[f"rookery-{name}" for name in PLUGINS], "rookery-core")
    assert not list(ROOT.glob("usr/lib/*/rookery")) and not list(ROOT.glob("etc/rookery/conf.d/[!t]*"))
    assert list((ROOT / "var/spool/rookery").iterdir()), "mail must stay"
