# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon as a process: command line, start, stop, what it tells the service manager."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest
from rookery_harness import BUILD, SLOW, HarnessError, child_environment, programs
from rookery_wire import Wire

# A server that has no mail to keep.
BARE = {"partition default": None, "tls": None, "auth": None}


def rookeryd(*arguments, **options):
    return subprocess.run([programs() / ".libs/rookeryd", *arguments], capture_output=True, text=True,
                          env=child_environment(), timeout=60 * SLOW, **options)


def run_once(server):
    """A start that is to fail."""
    server.prepare()
    return rookeryd("--config", str(server.config_path), **server.popen)


def notify_config(port):
    return {**BARE, "plugin example": {}, "listener notify": {"protocol": "notify", "address": f"127.0.0.1:{port}"}}


def test_version_is_printed():
    done = rookeryd("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("rookeryd ")


def test_unknown_option_is_a_usage_error():
    done = rookeryd("--no-such-option")
    assert done.returncode == 2
    assert "no-such-option" in done.stderr


def test_arguments_are_a_usage_error():
    assert rookeryd("something").returncode == 2


def test_missing_configuration_is_named(tmp_path):
    done = rookeryd("--config", str(tmp_path / "none.conf"))
    assert done.returncode == 1
    assert f"{tmp_path}/none.conf" in done.stderr


def test_starts_and_stops_cleanly_without_any_plugin(make_server):
    make_server(plugins=[], config=BARE)


def test_unknown_group_is_reported_with_file_and_line(make_server):
    server = make_server(plugins=[], start=False)
    server.prepare()
    server.config_path.write_text("[server]\nworkers=1\n\n[sever]\nworkers=2\n")
    done = server.check_config()
    assert done.returncode == 1
    assert f"{server.config_path}:4:" in done.stdout + done.stderr


# --- --check-config


def test_check_config_says_good_and_touches_nothing(make_server):
    server = make_server(start=False, plugins=[], config=BARE)
    server.prepare()
    server.state_directory.rmdir()
    done = server.check_config()
    assert (done.returncode, done.stderr) == (0, "")
    assert not server.state_directory.exists()
    assert list(server.spool.iterdir()) == []


def test_check_config_prints_every_mistake_with_file_and_line(make_server):
    server = make_server(start=False, plugins=["nosuch"], config={
        "server": {"workers": "many", "drain-timeout": "forever"},
        "log": {"colour": "red"},
        "listener broken": {"protocol": "imap", "address": "nowhere", "tls": "none"},
        "tls": {"certificate": "/nonexistent.pem"},
        "nonsense": {"a": 1},
    })
    done = server.check_config()
    assert done.returncode == 1
    text = server.config_path.read_text().splitlines()
    for line in ("workers=many", "drain-timeout=forever", "colour=red", "address=nowhere", "certificate=/nonexistent.pem",
                 "[nonsense]", "[plugin nosuch]"):
        assert f"{server.config_path}:{text.index(line) + 1}: " in done.stderr, f"{line}:\n{done.stderr}"


def complaints(server, *lines):
    """What --check-config says about each of these lines of the configuration."""
    done = server.check_config()
    assert done.returncode == 1
    text = server.config_path.read_text().splitlines()
    said = done.stderr.splitlines()
    return [[what for what in said if what.startswith(f"{server.config_path}:{text.index(line) + 1}: ")] for line in lines]


def test_check_config_finds_a_listener_whose_protocol_nobody_offers(make_server, free_port_number):
    config = notify_config(free_port_number)
    config["listener notify"] = {**config["listener notify"], "protocol": "notfy"}
    config["listener off"] = {"protocol": "other", "enabled": False, "address": "127.0.0.1:0"}
    server = make_server(start=False, plugins=[], config=config)
    (said,), = complaints(server, "protocol=notfy")
    assert said.endswith('[listener notify] protocol: no enabled plugin offers protocol "notfy"; did you mean "notify"?')
    server.configure({**config, "plugin example": {"enabled": False}})
    (said,), = complaints(server, "protocol=notfy")
    assert said.endswith('no enabled plugin offers protocol "notfy"')


@pytest.mark.parametrize("spoil, complaint", [
    (lambda log: log.mkdir(), "Is a directory"),
    (lambda log: (log.touch(), log.chmod(0o400)), "Permission denied: chown it to the server's user"),
    (lambda log: log.parent.chmod(0o500), "Permission denied"),
    (lambda log: log.parent.rmdir(), "No such file or directory"),
], ids=["folder", "read-only", "read-only-folder", "no-folder"])
def test_check_config_finds_a_log_that_cannot_be_written(make_server, spoil, complaint):
    server = make_server(start=False, plugins=[], config=BARE)
    server.prepare()
    log = server.directory / "logs" / "rookery.log"
    log.parent.mkdir()
    spoil(log)
    for path in (log, log.parent):
        if os.geteuid() == 0 and path.exists():
            shutil.chown(path, server.user)
    server.configure({**BARE, "log": {"target": "file", "file": log}})
    (said,), = complaints(server, f"file={log}")
    assert complaint in said
    assert list(log.parent.glob("*")) in ([], [log])  # looked at, and not made


@pytest.mark.parametrize("key, name", [("certificate", "none.pem"), ("client-ca", "none.pem"), ("ca", "none.pem"),
                                       ("certificate", "fifo"), ("private-key", "fifo"), ("certificate", "folder")])
def test_check_config_says_what_is_wrong_with_a_file_of_tls(make_server, key, name):
    server = make_server(start=False, plugins=[])
    server.prepare()
    path = server.directory / name
    if name == "fifo":
        os.mkfifo(path, 0o600)
    elif name == "folder":
        path.mkdir()
    if os.geteuid() == 0 and path.exists():
        shutil.chown(path, server.user)
    server.configure({"tls": {key: path}})
    said, = complaints(server, f"{key}={path}")
    assert len(said) == 1
    assert ("is no regular file: name a PEM file" if name != "none.pem" else
            "No such file or directory: put the file there, or name another") in said[0]


@pytest.mark.parametrize("below, complaint", [
    ("", "overlaps with the path of partition default"),
    ("/deeper", "overlaps with the path of partition default"),
    ("/./", "overlaps with the path of partition default"),
    ("/../spool", 'is not an absolute path without ".."'),
    ("/../spool/deeper", 'is not an absolute path without ".."'),
])
def test_check_config_refuses_partitions_that_overlap(make_server, below, complaint):
    server = make_server(start=False, plugins=[], config={"tls": None})
    path = f"{server.spool}{below}"
    server.changes = {"tls": None, "partition second": {"path": path}}
    done = server.check_config()
    text = server.config_path.read_text()
    line = text[:text.index(f"path={path}\n", text.index("[partition second]"))].count("\n") + 1
    assert done.returncode == 1
    assert re.search(rf"^{server.config_path}:{line}: .*{re.escape(complaint)}", done.stderr, re.M), done.stderr


def test_start_with_mistakes_is_refused_with_status_1(make_server):
    server = make_server(start=False, plugins=[], config={**BARE, "server": {"workers": "many"}})
    done = run_once(server)
    assert done.returncode == 1
    assert "workers" in done.stderr


def test_listener_whose_protocol_nobody_offers_is_named(make_server, free_port_number):
    config = notify_config(free_port_number)
    config["listener notify"] = {**config["listener notify"], "protocol": "notfy"}
    server = make_server(plugins=[], config=config)
    server.wait_log(r'net\.unserved .*\[listener notify\] no running plugin offers protocol .*notfy.*'
                    r'did you mean .*notify')


def test_plugin_that_cannot_be_loaded_does_not_hold_the_rest_up(make_server, free_port_number):
    server = make_server(plugins=["nosuch"], config=notify_config(free_port_number))
    plugins = {plugin["name"]: plugin for plugin in server.ctl("plugin", "list", as_json=True)}
    assert plugins["example"]["state"] == "running"
    assert plugins["nosuch"]["state"] == "failed"
    assert "nosuch.so: No such file" in plugins["nosuch"]["reason"]


def test_required_plugin_that_cannot_be_loaded_refuses_the_start(make_server):
    server = make_server(start=False, plugins=[], config={**BARE, "plugin nosuch": {"required": True}})
    done = run_once(server)
    assert done.returncode == 3
    assert "plugin 'nosuch' is required and failed" in done.stderr


def test_port_in_use_refuses_the_start_and_is_named(make_server):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = make_server(start=False, plugins=[], config=notify_config(port))
        done = run_once(server)
    assert done.returncode == 3
    assert f"127.0.0.1:{port}" in done.stderr


@pytest.mark.skipif(not (BUILD / "plugins/lmtp.la").exists(), reason="built without LMTP")
def test_port_that_only_the_plugin_knows_refuses_the_start_if_it_cannot_be_bound(make_server):
    server = make_server(start=False, plugins=["lmtp"], config={
        **BARE, "listener lmtp": {"protocol": "lmtp", "address": "127.0.0.1", "tls": "none"}})
    with socket.socket() as taken:
        with contextlib.suppress(PermissionError):  # then the server may not have port 24 either
            taken.bind(("127.0.0.1", 24))
            taken.listen()
        done = run_once(server)
    assert done.returncode == 3
    assert "[listener lmtp] address: 127.0.0.1:lmtp (lmtp): can't bind" in done.stderr


@pytest.mark.skipif(not (BUILD / "plugins/lmtp.la").exists(), reason="built without LMTP")
def test_mailboxes_are_nowhere_while_the_plugin_that_knows_does_not_run(make_server):
    server = make_server({"plugin nosuch": {"provides-directory": True}})
    with Wire(server.path("lmtp")) as wire:
        wire.expect(r"220 .*")
        wire.send("LHLO test")
        while not wire.line().startswith(b"250 "):
            pass
        wire.send("MAIL FROM:<>")
        wire.expect(r"250 .*")
        wire.send("RCPT TO:<alice>")
        wire.expect(r"451 .*")
    server.reload({})
    server.deliver("Subject: here\n\nHello\n", "alice")


def test_storm_of_signals_is_a_reload_or_two(make_server, free_port_number):
    server = make_server(plugins=[], config=notify_config(free_port_number))
    with Wire(free_port_number) as wire:
        wire.expect(r"\+OK .* notify")
        for _ in range(2000):
            server.process.send_signal(signal.SIGHUP)
        server.ctl("reload")
        server.ctl("status")
        assert server.log(1 << 20).count("server.reloaded") < 2000
        server.process.send_signal(signal.SIGTERM)
        for _ in range(100):
            server.process.send_signal(signal.SIGHUP)
        wire.expect(b"* BYE going down")
    assert server.process.wait(20 * SLOW) == 0
    server.check_log()


# --- stop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_it_cleanly(make_server, number):
    server = make_server(plugins=[], config=BARE)
    server.process.send_signal(number)
    assert server.process.wait(20 * SLOW) == 0
    server.check_log()


@pytest.mark.parametrize("closed", [(0, 1, 2), (2,), (0, 2)])
def test_standard_streams_that_are_closed_are_not_anything_else_s(make_server, closed):
    server = make_server(start=False, plugins=[], config=BARE)
    server.prepare()
    closing = " ".join(f"{fd}>&-" for fd in closed)
    process = subprocess.Popen(["sh", "-c", f'exec "$@" {closing}', "sh", server.program(), "--config",
                                str(server.config_path)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env=child_environment(), **server.popen)
    try:
        deadline = time.monotonic() + 60 * SLOW
        while server.ctl("status", check=False).returncode != 0 and time.monotonic() < deadline:
            time.sleep(0.1)
        server.ctl("status")
        assert [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in (0, 1, 2)] == ["/dev/null"] * 3
        process.send_signal(signal.SIGTERM)
        assert process.wait(60 * SLOW) == 0
    finally:
        process.kill()
        process.wait()


def test_log_that_takes_nothing_does_not_hold_up_the_stop(make_server):
    server = make_server(start=False, plugins=[], config=BARE)
    server.prepare()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 512)
    os.set_blocking(writing, True)
    process = subprocess.Popen([server.program(), "--config", str(server.config_path)], stderr=writing,
                               env=child_environment(), **server.popen)
    try:
        deadline = time.monotonic() + 60 * SLOW
        while server.ctl("status", check=False).returncode != 0 and time.monotonic() < deadline:
            time.sleep(0.1)
        server.ctl("status")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60 * SLOW) == 0
    finally:
        os.close(reading)
        os.close(writing)
        process.kill()
        process.wait()


def test_idle_session_is_told_at_the_stop(make_server, free_port_number):
    server = make_server(plugins=[], config=notify_config(free_port_number))
    with Wire(free_port_number) as wire:
        wire.expect(r"\+OK .* notify")
        server.process.send_signal(signal.SIGTERM)
        wire.expect(b"* BYE going down")
    assert server.process.wait(20 * SLOW) == 0


def test_second_signal_ends_the_wait(make_server):
    server = make_server(plugins=[], config=BARE)
    server.process.send_signal(signal.SIGTERM)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(10 * SLOW) == 0


# --- the service manager


def receive(manager, seconds=10):
    manager.settimeout(seconds * SLOW)
    return manager.recv(4096).decode().split("\n")


@pytest.fixture
def manager(tmp_path):
    """A socket like systemd's, with a short path."""
    path = f"\0rookery-test-{os.getpid()}-{time.monotonic_ns()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(path)
        yield receiver, "@" + path[1:]


def run_managed(server, path, **more):
    server.prepare()
    with open(server.log_path, "ab") as log:
        server.process = subprocess.Popen(
            [programs() / ".libs/rookeryd", "--config", str(server.config_path)], stdout=log, stderr=log,
            env=child_environment({"NOTIFY_SOCKET": path, **more}), **server.popen)


def test_manager_is_told_ready_reloading_stopping(make_server, manager):
    receiver, path = manager
    server = make_server(start=False, plugins=[], config=BARE)
    run_managed(server, path)
    ready = receive(receiver)
    assert "READY=1" in ready and f"MAINPID={server.process.pid}" in ready
    server.process.send_signal(signal.SIGHUP)
    reloading = receive(receiver)
    assert "RELOADING=1" in reloading
    assert any(re.fullmatch(r"MONOTONIC_USEC=\d+", line) for line in reloading)
    assert "READY=1" in receive(receiver)
    server.process.send_signal(signal.SIGTERM)
    assert "STOPPING=1" in receive(receiver)


def test_watchdog_is_fed(make_server, manager):
    receiver, path = manager
    server = make_server(start=False, plugins=[], config=BARE)
    run_managed(server, path, WATCHDOG_USEC="300000")
    assert any("WATCHDOG=1" in receive(receiver) for _ in range(3))
    assert "WATCHDOG=1" in receive(receiver)


def test_what_is_no_socket_is_not_taken_away(make_server):
    server = make_server(start=False)
    server.prepare()
    path = server.run_directory / "control.sock"
    path.write_text("somebody's\n")
    with pytest.raises(HarnessError, match=f"no control socket: {path} is no socket: move it away"):
        server.start()
    assert server.stop(check=False) == 3
    assert path.read_text() == "somebody's\n"
