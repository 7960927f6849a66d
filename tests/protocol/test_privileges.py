# SPDX-License-Identifier: LGPL-2.1-or-later
"""Root no more: what a server that starts as root is once it serves, and what it refuses to start with."""

import os
import pwd
import re
from pathlib import Path

import pytest
from rookery_harness import Server, build_module
from rookery_wire import Wire
from test_daemon import BARE, run_once

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
NOBODY = pwd.getpwnam("nobody")
BIND_SERVICE = 1 << 10


@pytest.fixture
def low_port():
    """One that only root may bind."""
    for port in range(700, 1000):
        try:
            Wire(port).close()
        except ConnectionRefusedError:
            return port
    pytest.skip("no port below 1024 is free")


def notify_groups(*addresses, **listener):
    return {**BARE, "plugin example": {}, "listener notify": {"protocol": "notify", "address": list(addresses), **listener}}


def tasks(server):
    for task in Path(f"/proc/{server.process.pid}/task").iterdir():
        yield (task / "status").read_text()


def field(status, name):
    return re.search(rf"^{name}:\s+(.*)$", status, re.M).group(1).split()


def test_every_thread_is_the_user_and_cannot_go_back(low_port):
    with Server(as_root=True, plugins=[], config=notify_groups(f"127.0.0.1:{low_port}")) as server:
        with Wire(low_port) as wire:
            wire.expect(r"\+OK .*")
        for status in tasks(server):
            assert set(field(status, "Uid")) == {str(NOBODY.pw_uid)}
            assert set(field(status, "Gid")) == {str(NOBODY.pw_gid)}
            assert int(field(status, "CapEff")[0], 16) & ~BIND_SERVICE == 0
            assert int(field(status, "CapPrm")[0], 16) & ~BIND_SERVICE == 0
            assert field(status, "NoNewPrivs") == ["1"]


def test_low_port_comes_back_at_a_reload(low_port):
    groups = notify_groups(f"127.0.0.1:{low_port}")
    with Server(as_root=True, plugins=[], config=groups) as server:
        server.reload({**groups, "plugin example": {"enabled": False}})
        server.reload(groups)
        with Wire(low_port) as wire:
            wire.expect(r"\+OK .*")


def test_what_it_makes_is_the_users(free_port_number):
    server = Server(as_root=True, plugins=[])
    server.changes = notify_groups(server.path("watch"), **{"socket-mode": "0660"})
    server.prepare()
    server.state_directory.rmdir()
    log = server.directory / "rookery.log"
    server.configure({**server.changes, "log": {"target": "file", "file": log}})
    with server:
        server.ctl("status")
        server.reload()
        for path in (log, server.state_directory, server.path("watch"), server.run_directory / "control.sock"):
            assert path.stat().st_uid == NOBODY.pw_uid, path
        assert server.state_directory.stat().st_mode & 0o777 == 0o700


@pytest.fixture
def root_only(free_port_number):
    """A server, and its settings, whose key and certificate nobody but root can reach: a function starts it."""
    server = Server(as_root=True, plugins=[])
    secret = server.directory / "secret"
    groups = {**notify_groups(f"127.0.0.1:{free_port_number}", tls="implicit"),
              "tls": {"certificate": server.directory / "localhost.crt", "private-key": secret / "key.pem"}}

    def start(together=False, hidden=False):
        server.prepare()
        secret.mkdir()
        text = server.key.read_text() + (server.certificate.read_text() if together else "")
        (secret / "key.pem").write_text(text)
        (secret / "key.pem").chmod(0o600)
        secret.chmod(0o700 if hidden else 0o755)
        if together:
            groups["tls"] = {"certificate": secret / "key.pem"}
        server.configure(groups)
        server.start()
        return server, groups, secret / "key.pem"

    try:
        yield start
        server.stop()
    finally:
        server.cleanup()


def served(server, groups):
    port = int(groups["listener notify"]["address"][0].rsplit(":")[1])
    with Wire(port, tls=server.certificate) as wire:
        wire.expect(r"\+OK .*")


@pytest.mark.parametrize("hidden", [False, True], ids=["in-sight", "out-of-sight"])
@pytest.mark.parametrize("together", [False, True], ids=["key", "key-and-certificate"])
def test_key_of_root_serves_across_reloads(root_only, together, hidden):
    server, groups, _ = root_only(together, hidden)
    served(server, groups)
    for limit in (50, 60):
        server.reload({**groups, "limits": {"connections-per-address": limit}})
        served(server, groups)
    assert "server.reload-will-fail" not in server.log()


def test_key_of_root_that_changed_is_refused_and_the_old_one_serves(root_only):
    server, groups, key = root_only()
    key.write_text(key.read_text() + "\n")
    done = server.reload(groups, check=False)
    assert done.returncode != 0 and f"{key}: Permission denied" in done.stderr and "takes a restart" in done.stderr
    served(server, groups)


def test_another_key_of_root_is_refused_by_name(root_only):
    server, groups, key = root_only()
    other = key.with_name("other.pem")
    key.rename(other)
    for tls in ({"private-key": other}, {"private-key": None, "certificate": other}):
        done = server.reload({**groups, "tls": {**groups["tls"], **tls}}, check=False)
        assert done.returncode != 0 and f"{other}: Permission denied" in done.stderr
        served(server, groups)


def test_certificate_is_renewed_beside_a_key_of_root(root_only):
    server, groups, _ = root_only()
    renewed = server.certificate.read_text()
    server.certificate.write_text("\n" + renewed)
    server.reload(groups)
    served(server, groups)
    server.certificate.write_text("nonsense")
    done = server.reload(groups, check=False)
    assert done.returncode != 0 and str(server.certificate) in done.stderr
    server.certificate.write_text(renewed)
    served(server, groups)


def refusal(server):
    done = run_once(server)
    server.cleanup()
    return done.returncode, done.stderr


def test_nobody_else_is_root_for_a_moment():
    """All ids are given to all threads, so there may be but one: a module that starts one as it is loaded is in the way."""
    server = Server(as_root=True, plugins=[])
    server.changes = {**BARE, "server": {"plugin-directory": server.directory / "modules"}, "plugin eager": {}}
    server.prepare()
    server.directory.chmod(0o755)
    os.chown(server.directory, 0, 0)
    (server.directory / "modules").mkdir()
    (server.directory / "modules").chmod(0o755)
    build_module("eager", server.directory / "modules")
    status, text = refusal(server)
    assert status == 3
    assert "there is a second thread while the server is root" in text


def test_foreign_state_directory_is_refused_by_name():
    server = Server(as_root=True, plugins=[], config=BARE)
    server.prepare()
    os.chown(server.state_directory, 12345, 12345)
    status, text = refusal(server)
    assert status == 1
    assert f"{server.state_directory}: belongs to user 12345" in text and f"chown {NOBODY.pw_uid} " in text


def test_open_state_directory_is_refused_by_name():
    server = Server(as_root=True, plugins=[], config=BARE)
    server.prepare()
    server.state_directory.chmod(0o777)
    status, text = refusal(server)
    assert status == 1
    assert f"chmod 0750 {server.state_directory}" in text


KEEPING = {"tls": None}


def refused_when(spoil, config=KEEPING):
    """What is said once spoil(server) has been at what is prepared; --check-config has to say the same."""
    server = Server(as_root=True, plugins=["storage-gdbm"], config=config)
    server.prepare()
    spoil(server)
    checked = server.check_config()
    status, text = refusal(server)
    assert (status, checked.returncode, checked.stderr) == (1, 1, text)
    return server, text


def test_foreign_partition_is_refused_by_name():
    server, text = refused_when(lambda server: os.chown(server.spool, 12345, 12345))
    assert f"{server.spool}: belongs to user 12345" in text and f"chown {NOBODY.pw_uid} {server.spool}" in text


def test_partition_that_everybody_may_write_to_is_refused_by_name():
    server, text = refused_when(lambda server: server.spool.chmod(0o777))
    assert f"chmod 0755 {server.spool}" in text


def test_state_store_that_everybody_may_write_to_is_refused_by_name():
    def spoil(server):
        store = server.state_directory / "mailboxes"
        store.mkdir()
        os.chown(store, NOBODY.pw_uid, NOBODY.pw_gid)
        store.chmod(0o777)

    server, text = refused_when(spoil)
    assert f"chmod 0755 {server.state_directory}/mailboxes" in text


@pytest.mark.parametrize("name", ["schedule", "cursors", "directory", "mailboxes/log.1"])
def test_foreign_and_readable_state_is_refused_by_name(name):
    def spoil(server):
        path = server.state_directory / name
        path.parent.mkdir(exist_ok=True)
        os.chown(path.parent, NOBODY.pw_uid, NOBODY.pw_gid)
        path.touch()
        path.chmod(0o644)

    server, text = refused_when(spoil)
    path = server.state_directory / name
    assert f"{path}: belongs to user 0, expected the server's user ({NOBODY.pw_uid}): chown {NOBODY.pw_uid} {path}\n" in text
    assert f"{path}: mode 0644 gives others too much: chmod 0640 {path}\n" in text
    assert len(text.splitlines()) == 2


def test_foreign_files_of_a_partition_are_counted():
    def spoil(server):
        for name in ("log.1", "segment.1", "segment.2"):
            (server.spool / name).touch(0o600)
        (server.spool / "lost+found").mkdir(0o700)  # of the file system that is mounted there

    server, text = refused_when(spoil)
    assert f"{server.spool}: so do 2 more in there: chown -R {NOBODY.pw_uid} {server.spool}" in text
    assert len(text.splitlines()) == 2
    assert "lost+found" not in text


def test_owner_and_mode_of_all_directories_are_told_at_once():
    def spoil(server):
        for path in (server.state_directory, server.run_directory):
            os.chown(path, 12345, 12345)
            path.chmod(0o777)

    server, text = refused_when(spoil)
    for path, mode in ((server.state_directory, "0750"), (server.run_directory, "0755")):
        assert f": {path}: belongs to user 12345, expected" in text
        assert f": chmod {mode} {path}" in text
    assert len(text.splitlines()) == 4


@pytest.mark.parametrize("inside", [False, True], ids=["named", "default"])
def test_foreign_and_readable_passwords_are_refused_by_name(inside):
    def spoil(server):
        path = server.state_directory / "sasldb2" if inside else server.sasldb
        path.write_bytes(b"")
        os.chown(path, 12345, 12345)
        path.chmod(0o644)

    server, text = refused_when(spoil, {**KEEPING, "auth": {"sasldb-path": None}} if inside else KEEPING)
    path = server.state_directory / "sasldb2" if inside else server.sasldb
    assert f"{path}: belongs to user 12345" in text and f"chown {NOBODY.pw_uid} {path}" in text
    assert f"chmod 0640 {path}" in text


def test_passwords_may_be_roots_and_shared_with_a_group():
    server = Server(as_root=True, plugins=[], config={**KEEPING, "partition default": None})
    server.prepare()
    server.sasldb.touch()
    os.chown(server.sasldb, 0, NOBODY.pw_gid)
    server.sasldb.chmod(0o660)
    with server:
        pass


def test_key_that_everybody_may_read_is_refused_by_name(free_port_number):
    server = Server(as_root=True, plugins=[])
    server.changes = {**notify_groups(f"127.0.0.1:{free_port_number}", tls="implicit"),
                      "tls": {"certificate": server.directory / "localhost.crt",
                              "private-key": server.directory / "localhost.key"}}
    server.prepare()
    server.key.chmod(0o644)
    status, text = refusal(server)
    assert status == 1
    assert f"{server.key} can be read by everybody (chmod 0600" in text


@pytest.mark.parametrize("user", ["root", "nobody-by-that-name"])
def test_user_that_cannot_be_is_refused(user):
    status, text = refusal(Server(as_root=True, plugins=[], config={**BARE, "server": {"user": user}}))
    assert status == 1
    assert f"'{user}'" in text


def test_descriptor_limit_is_raised():
    with Server(as_root=True, plugins=[], config={**BARE, "server": {"max-open-files": 3000}}) as server:
        limits = Path(f"/proc/{server.process.pid}/limits").read_text()
        assert re.search(r"^Max open files\s+3000\s", limits, re.M)
