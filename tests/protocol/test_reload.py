# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reload: a new configuration, all or nothing."""

import contextlib
import os
import shutil
import signal
import socket

import pytest
from rookery_harness import BUILD, build_module, free_port, programs, wait_until
from rookery_wire import ImapWire, Wire


def has_service(name):
    try:
        return bool(socket.getservbyname(name, "tcp"))
    except OSError:
        return False


@pytest.fixture
def notify(make_server):
    """A server with the example plugin, and its port."""
    port = free_port()
    groups = {"partition default": None, "tls": None, "auth": None, "plugin example": {},
              "listener notify": {"protocol": "notify", "address": f"127.0.0.1:{port}"}}
    return make_server(plugins=[], config=groups), port, groups


def states(server):
    return {plugin["name"]: plugin["state"] for plugin in server.ctl("plugin", "list", as_json=True)}


def refused(port):
    try:
        Wire(port).close()
        return False
    except ConnectionRefusedError:
        return True


def test_plugin_is_switched_off_and_on(notify):
    server, port, groups = notify
    with Wire(port) as wire:
        wire.expect(r"\+OK .*")
        assert "stopped example" in server.reload({**groups, "plugin example": {"enabled": False}})
        wire.expect(b"* BYE going down")
        wire.expect_close()
    assert refused(port)
    assert states(server) == {"example": "disabled"}
    assert "started example" in server.reload(groups)
    with Wire(port) as wire:
        wire.expect(r"\+OK .*")


def test_sighup_while_the_server_starts_reloads_it_then(make_server):
    """Sent as plugins are loaded, long before there is somebody to take it."""
    server = make_server(plugins=[], start=False)
    server.prepare()
    modules = server.directory / "modules"
    modules.mkdir(mode=0o755)
    build_module("hangup", modules)
    server.configure({"partition default": None, "tls": None, "auth": None, "plugin hangup": {},
                      "server": {"plugin-directory": modules}})
    server.start()
    server.wait_log(r"notice server\.reloaded")


def test_what_a_reload_changed_is_told(make_server):
    server = make_server()
    assert server.reload() == "changes: none\n"
    changes = {"limits": {"connections": 77}, "log": {"level": "debug"}, "auth": {"failure-delay": "2s"},
               "tls other": {"min-version": "TLSv1.3"}}
    said = server.reload(changes)
    for what in ("changed limits/connections", "changed log/level", "changed auth/failure-delay", "added tls other"):
        assert what in said, said
    os.utime(server.certificate, (1, 1))
    assert server.reload(changes) == "changes: renewed certificate of [tls]\n"
    said = server.reload({})
    assert "removed tls other" in said and "renewed" not in said
    server.wait_log(r'server\.reloaded changes="?.*changed limits/connections')


def test_plugin_that_fails_is_not_enabled(make_server):
    server = make_server(config={"plugin nosuch": {}})
    before = server.ctl("plugin", "list")
    done = server.ctl("plugin", "enable", "nosuch", check=False)
    assert done.returncode == 1 and "nothing was changed" in done.stderr and "nosuch.so" in done.stderr
    assert server.ctl("plugin", "list") == before
    server.reload()  # which leaves what had failed before as it is


@pytest.mark.parametrize("again", [False, True], ids=["gone", "replaced"])
def test_sockets_that_were_taken_away_come_back(make_server, again):
    server = make_server()
    paths = [server.run_directory / "control.sock", *([server.path("lmtp")] if "listener lmtp" in server.settings else [])]
    for path in paths:
        path.unlink()
        if again:  # a left-over of somebody who is gone
            with socket.socket(socket.AF_UNIX) as left:
                left.bind(str(path))
    server.process.send_signal(signal.SIGHUP)
    server.wait_log(r"notice server\.reloaded")
    server.wait_log(r"warning control\.socket-lost .*control\.sock")
    for path in paths:
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(str(path))
    assert "pid" in server.ctl("status")


def test_sighup_reloads(notify):
    server, port, groups = notify
    server.configure({**groups, "plugin example": {"enabled": False}})
    server.process.send_signal(signal.SIGHUP)
    server.wait_log(r"server\.reloaded")
    assert refused(port)


def test_what_cannot_be_put_back_is_told(make_server):
    server = make_server(plugins=[], start=False)
    server.prepare()
    modules, marker = server.directory / "modules", server.state_directory / "marker"
    modules.mkdir()
    module = build_module("once", modules)
    if os.geteuid() == 0:
        for path in (modules, module):
            shutil.chown(path, server.user)
    groups = {"partition default": None, "tls": None, "auth": None, "server": {"plugin-directory": modules}}
    server.configure({**groups, "plugin once": {"marker": marker}})
    server.start()
    assert states(server) == {"once": "running"}
    again = {**groups, "plugin once": {"marker": marker, "size": 4}}
    done = server.reload(again, check=False)
    assert done.returncode == 1
    assert "refused, but not everything could be put back:" in done.stderr
    assert "lost once: once was enough" in done.stderr
    assert "nothing was changed" not in done.stderr
    server.wait_log(r'error plugin\.not-put-back plugin=once reason="once was enough"')
    assert states(server) == {"once": "failed"}
    marker.unlink()
    assert "started once" in server.reload(again)


def test_module_that_was_cut_short_is_named_and_the_server_lives(make_server):
    server = make_server(plugins=[], start=False)
    server.prepare()
    modules = server.directory / "modules"
    modules.mkdir(mode=0o755)
    module = modules / "example.so"
    groups = {"partition default": None, "tls": None, "auth": None, "server": {"plugin-directory": modules}}
    server.configure(groups)
    server.start()
    whole = (programs() / "plugins/.libs/example.so").read_bytes()
    with_example = {**groups, "plugin example": {}}
    for length in (0, 100, 4096, len(whole) // 2 & ~4095, len(whole) - 1):
        module.write_bytes(whole[:length])
        done = server.reload(with_example, check=False)
        assert done.returncode == 1
        assert f"[plugin example] {module}: " in done.stderr and "install it again" in done.stderr
        checked = server.check_config()
        assert checked.returncode == 1 and f"{module}: " in checked.stderr
    module.unlink()
    module.write_bytes(whole)
    module.chmod(0o644)
    if os.geteuid() == 0:
        shutil.chown(module, server.user)
    assert "started example" in server.reload(with_example)


def test_mistakes_are_all_told_and_nothing_changes(notify):
    server, port, groups = notify
    with Wire(port) as wire:
        wire.expect(r"\+OK .*")
        done = server.reload({**groups, "plugin example": {"enabled": False}, "log": {"level": "loud", "nonsense": 1},
                              "plugin nosuch": {}}, check=False)
        assert done.returncode != 0
        for word in ("nothing was changed", "loud", "nonsense", "nosuch.so", f"{server.config_path}:"):
            assert word in done.stderr
        wire.send("PING")
        wire.expect(b"+OK")
    assert states(server) == {"example": "running"}
    assert server.log().count("server.reload-refused") >= 3


def test_key_that_takes_a_restart_is_refused_by_name(notify):
    server, _, groups = notify
    done = server.reload({**groups, "server": {"workers": 3}}, check=False)
    assert done.returncode != 0
    assert "[server] workers: has changed" in done.stderr and "restart" in done.stderr


def test_live_key_disturbs_nobody(notify):
    server, port, groups = notify
    with Wire(port) as wire:
        wire.expect(r"\+OK .*")
        assert "reconfigured example" in server.reload({**groups, "plugin example": {"idle-timeout": "20m"}})
        wire.send("PING")
        wire.expect(b"+OK")


def test_restart_key_starts_the_plugin_anew(notify):
    server, port, groups = notify
    with Wire(port) as wire:
        wire.expect(r"\+OK .*")
        assert "restarted example" in server.reload({**groups, "plugin example": {"allow-from": "192.0.2.0/24"}})
        wire.expect(b"* BYE going down")
    with Wire(port) as wire:
        wire.expect(b"* BYE not from there")


def test_plugin_that_refuses_its_settings_keeps_its_old_ones(notify):
    server, port, groups = notify
    done = server.reload({**groups, "plugin example": {"allow-from": "no network at all"}}, check=False)
    assert done.returncode != 0
    assert "no network at all" in done.stderr
    assert states(server) == {"example": "running"}
    with Wire(port) as wire:
        wire.expect(r"\+OK .*")


def test_two_plugins_with_one_protocol_are_refused(notify):
    server, port, groups = notify
    done = server.reload({**groups, "plugin second": {"module": "example"}}, check=False)
    assert done.returncode != 0
    assert "plugin 'second'" in done.stderr and "already" in done.stderr
    assert states(server) == {"example": "running"}
    with Wire(port) as wire:
        wire.expect(r"\+OK .*")


def test_listener_comes_and_goes(notify):
    server, port, groups = notify
    other = free_port()
    more = {**groups, "listener other": {"protocol": "notify", "address": f"127.0.0.1:{other}"}}
    with Wire(port) as wire:
        wire.expect(r"\+OK .*")
        server.reload(more)
        with Wire(other) as second:
            second.expect(r"\+OK .*")
        server.reload(groups)
        assert refused(other)
        wire.send("PING")
        wire.expect(b"+OK")


def test_listener_that_cannot_be_bound_refuses_the_reload(notify):
    server, port, groups = notify
    with Wire(port) as wire:
        wire.expect(r"\+OK .*")
        taken = wire.socket.getsockname()[1]
        done = server.reload({**groups, "plugin example": {"enabled": False},
                              "listener other": {"protocol": "notify", "address": f"127.0.0.1:{taken}"}}, check=False)
        assert done.returncode != 0
        assert str(taken) in done.stderr
        wire.send("PING")
        wire.expect(b"+OK")


def test_listener_moves_to_loopback_and_back(notify):
    server, port, groups = notify
    everywhere = {**groups, "listener notify": {"protocol": "notify", "address": f"*:{port}"}}
    with contextlib.ExitStack() as stack:
        wires = []
        for target in (everywhere, groups, everywhere):
            assert "moved listener notify" in server.reload(target)
            wires.append(stack.enter_context(Wire(port)))
            wires[-1].expect(r"\+OK .*")
            for wire in wires:
                wire.send("PING")
                wire.expect(b"+OK")
        taken = wires[0].socket.getsockname()[1]
        done = server.reload({**groups, "listener other": {"protocol": "notify", "address": f"127.0.0.1:{taken}"}},
                             check=False)
        assert done.returncode != 0 and str(taken) in done.stderr
        for wire in wires:
            wire.send("PING")
            wire.expect(b"+OK")
        with Wire(("127.0.0.2", port)) as wire:  # it is still everywhere
            wire.expect(r"\+OK .*")


def test_changes_name_listeners_too(notify):
    server, port, groups = notify
    more = {**groups, "listener other": {"protocol": "notify", "address": f"127.0.0.1:{free_port()}"}}
    assert "added listener other" in server.reload(more)
    more["listener other"]["max-connections"] = 3
    assert "changed listener other" in server.reload(more)
    assert "removed listener other" in server.reload(groups)
    assert "listener" not in server.reload(groups)


@pytest.mark.skipif(not (BUILD / "plugins/lmtp.la").exists(), reason="built without LMTP")
@pytest.mark.skipif(has_service("lmtp"), reason="the system's list of services knows the port beforehand")
def test_port_that_only_the_new_plugin_knows_refuses_the_reload_if_it_cannot_be_bound(notify):
    server, port, groups = notify
    with contextlib.ExitStack() as stack:
        wire = stack.enter_context(Wire(port))
        wire.expect(r"\+OK .*")
        holder = stack.enter_context(socket.socket())
        with contextlib.suppress(PermissionError):  # then the server may not have port 24 either
            holder.bind(("127.0.0.1", 24))
            holder.listen()
        done = server.reload({**groups, "plugin lmtp": {}, "listener lmtp": {"protocol": "lmtp", "address": "127.0.0.1"},
                              "plugin example": {"enabled": False}}, check=False)
        assert done.returncode != 0
        assert "127.0.0.1:lmtp (lmtp): can't bind" in done.stderr
        assert states(server) == {"example": "running"}
        wire.send("PING")  # what was to go had not even been told
        wire.expect(b"+OK")
        assert "server.reloaded" not in server.log()


def test_disable_and_enable_last_until_the_next_reload(notify):
    server, port, groups = notify
    server.ctl("plugin", "disable", "example")
    assert refused(port) and states(server) == {"example": "disabled"}
    server.ctl("reload")
    assert states(server) == {"example": "running"}
    server.reload({**groups, "plugin example": {"enabled": False}})
    server.ctl("plugin", "enable", "example")
    with Wire(port) as wire:
        wire.expect(r"\+OK .*")
    done = server.ctl("plugin", "disable", "stranger", check=False)
    assert done.returncode != 0 and "has no [plugin stranger]" in done.stderr


def test_many_reloads_at_once_are_all_answered(notify):
    import threading

    server, port, groups = notify
    outcomes = []
    threads = [threading.Thread(target=lambda: outcomes.append(server.ctl("reload", check=False).returncode))
               for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [0] * 12
    with Wire(port) as wire:
        wire.expect(r"\+OK .*")


def test_stop_during_a_reload_is_clean(notify):
    server, port, groups = notify
    server.configure({**groups, "plugin example": {"enabled": False}})
    server.process.send_signal(signal.SIGHUP)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0


@pytest.mark.skipif(not (BUILD / "plugins/storage-gdbm.la").exists(), reason="built without a store")
def test_storage_plugin_in_use_cannot_be_switched_off(make_server):
    server = make_server()
    done = server.reload({"plugin storage-gdbm": {"enabled": False}}, check=False)
    assert done.returncode != 0
    assert "'storage-gdbm' can't be switched off" in done.stderr and str(server.spool) in done.stderr
    assert states(server)["storage-gdbm"] == "running"
    server.deliver("Subject: still stored\n\nHello\n", "alice")


def test_port_that_somebody_else_listens_at_meanwhile_is_told_and_taken_when_it_is_free(make_server):
    """Linux lets others listen where ours is bound and does not listen: while its plugin is switched off."""
    server = make_server()

    def state():
        return next(row["state"] for row in server.ctl("listener", "list", as_json=True) if row["listener"] == "imap")

    server.ctl("plugin", "disable", "imap")
    assert state() == "bound"
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", server.port("imap")))
        other.listen()
        server.ctl("plugin", "enable", "imap")
        assert state() == "failed"
        assert "[listener imap]" in server.log() and "Address already in use" in server.log()
    wait_until(lambda: state() == "listening")
    with ImapWire(server.port("imap")) as wire:
        wire.login()
    assert server.log().count("Address already in use") == 1
