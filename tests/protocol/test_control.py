# SPDX-License-Identifier: LGPL-2.1-or-later
"""rookctl against a running server: verbs, exit status, JSON; and hostile configuration files."""

import json
import re
import signal
import socket
import subprocess

import pytest
from rookery_harness import BUILD, SLOW, SOURCE, built, child_environment
from rookery_wire import ImapWire


@pytest.fixture
def server(make_server):
    return make_server(plugins=["storage-gdbm", "imap"])


def run_rookctl(*words):
    return subprocess.run([str(built("rookctl")), *map(str, words)], capture_output=True, text=True,
                          env=child_environment(), timeout=60 * SLOW)


def test_status_shows_version_uptime_memory_and_plugins(server):
    status = server.ctl("status", as_json=True)
    assert re.fullmatch(r"\d+\.\d+\.\d+", status["version"])
    assert status["pid"] == server.process.pid
    assert status["config"] == str(server.config_path)
    assert status["memory-bytes"] > 1 << 20
    assert status["uptime-seconds"] >= 0
    assert status["plugins"]["imap"] == "running"
    text = server.ctl("status")
    assert re.search(r"^memory: [\d.]+.(M|G)iB$", text, re.M)
    assert re.search(r"^  imap: running$", text, re.M)


def test_stats_are_the_same_as_text_and_json(server):
    rows = server.ctl("stats", "imap.command", as_json=True)
    noop = [row for row in rows if row["of"] == "NOOP"]
    assert noop and noop[0]["count"] == 0 and noop[0]["unit"] == "us"
    assert "METRIC" in server.ctl("stats").splitlines()[0]


def test_manual_has_every_verb(make_server):
    server = make_server(plugins=[name for name in ("storage-gdbm", "imap", "lmtp", "example")
                                  if (BUILD / f"plugins/{name}.la").exists()])
    page = (SOURCE / "doc/man/rookctl.8").read_text().splitlines()
    entries = {re.match(r'\.BR? "?([a-z][a-z -]*[a-z])"?( |$)', line).group(1) for above, line in zip(page, page[1:])
               if above == ".TP" and re.match(r'\.BR? "?[a-z]', line)}
    verbs = {row["verb"] for row in server.ctl("help", as_json=True)}
    assert verbs - entries == set()


def test_help_lists_what_the_running_server_has(server):
    verbs = {row["verb"] for row in server.ctl("help", as_json=True)}
    assert {"help", "status", "stats", "reload", "plugin list", "job list", "job run", "log level", "config check",
            "config describe"} <= verbs


def test_exit_status_tells_refusal_usage_and_silence_apart(server):
    assert server.ctl("log", "level", "loud", check=False).returncode == 1
    assert server.ctl("no-such-verb", check=False).returncode == 2
    assert server.ctl("job", "run", check=False).returncode == 2
    assert run_rookctl().returncode == 2
    assert run_rookctl("--no-such-option").returncode == 2
    silent = run_rookctl("--socket", server.run_directory / "nobody.sock", "status")
    assert silent.returncode == 3
    assert "nobody.sock" in silent.stderr


def test_log_level_changes_at_once_and_reload_takes_it_back(server):
    server.ctl("log", "level", "debug")
    assert server.ctl("log", "level") == "debug\n"
    server.ctl("reload")
    assert server.ctl("log", "level") == "info\n"


def test_config_check_tells_mistakes_and_changes_nothing(server):
    assert "good" in server.ctl("config", "check")
    server.configure({"log": {"levle": "debug"}})
    done = server.ctl("config", "check", check=False)
    assert done.returncode == 1
    assert re.search(r"rookery\.conf:\d+: \[log\] unknown key \"levle\"; did you mean \"level\"\?", done.stderr)
    assert server.ctl("log", "level") == "info\n"


def test_config_describe_knows_every_loaded_plugin(server):
    text = server.ctl("config", "describe")
    for title in ("[server]", "[log]", "[listener NAME]", "[plugin imap]", "[plugin storage-gdbm]"):
        assert f"\n{title}\n" in "\n" + text
    assert "[log]" not in server.ctl("config", "describe", "plugin", "imap")
    assert server.ctl("config", "describe", "zebra", check=False).returncode == 1


def test_config_describe_works_without_a_server():
    done = run_rookctl("--local", "--modules", built("plugins/.libs"), "config", "describe")
    assert done.returncode == 0
    assert "\n[plugin imap]\n" in done.stdout


def test_config_describe_as_json_is_data(server):
    groups = {group["group"]: group for group in server.ctl("config", "describe", as_json=True)}
    assert {"server", "log", "listener", "plugin imap"} <= set(groups)
    keys = {key["key"]: key for key in groups["listener"]["keys"]}
    assert groups["listener"]["named"] and not groups["log"]["named"]
    assert keys["tls"]["choices"] == ["none", "starttls", "implicit"] and keys["protocol"]["required"] is True
    (alone,) = server.ctl("config", "describe", "plugin", "imap", as_json=True)
    assert alone == groups["plugin imap"]
    assert server.ctl("config", "describe", "zebra", as_json=True, check=False).returncode == 1
    local = run_rookctl("--local", "--modules", built("plugins/.libs"), "config", "describe", "log", "--json")
    assert json.loads(local.stdout) == [groups["log"]]
    assert isinstance(server.ctl("config", "describe", "--sample", "log", as_json=True), str)


def test_options_stand_anywhere_and_unknown_ones_are_refused(server):
    path = server.run_directory / "control.sock"
    for words in (("status", "--json", "--socket", path), ("-s", path, "status", "-j"), ("status", "-j", f"--socket={path}")):
        done = run_rookctl(*words)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["version"]
    for words in (("status", "--nonsense"), ("config", "describe", "--nonsense"), ("job", "run", "--all")):
        done = server.ctl(*words, check=False)
        assert done.returncode == 2 and f"usage: {' '.join(words[:-1])}" in done.stderr
    # Behind "--" there is none.
    for words in (("job", "run", "--", "--all"), ("job", "--", "run", "--all"), ("--", "job", "run", "--all"),
                  ("job", "run", "--", "--"), ("config", "describe", "--", "--data"),
                  ("config", "describe", "--", "--sample")):
        done = server.ctl(*words, check=False)
        assert done.returncode == 1 and words[-1] in done.stderr
    assert server.ctl("--", "status").startswith("version")
    assert json.loads(server.ctl("--json", "config", "describe", "--", "log"))
    done = run_rookctl("--nonsense", "status")
    assert done.returncode == 2
    assert "unknown option --nonsense" in done.stderr and "Usage:" in done.stderr
    assert run_rookctl("config", "describe", "--local", "--nonsense").returncode == 2
    for value in ("-1", "many", "86401"):
        assert run_rookctl("status", "--timeout", value).returncode == 2


def test_server_that_is_stopped_is_given_up_and_said_to_hang(make_server):
    server = make_server(plugins=[])
    server.process.send_signal(signal.SIGSTOP)
    try:
        done = run_rookctl("--socket", server.run_directory / "control.sock", "--timeout", "1", "status")
    finally:
        server.process.send_signal(signal.SIGCONT)
    assert done.returncode == 3
    assert "control.sock has said nothing for 1 s: it hangs or is stopped" in done.stderr


def test_jobs_are_listed_and_unknown_ones_refused(server):
    server.ctl("job", "list")
    done = server.ctl("job", "run", "no-such-job", check=False)
    assert done.returncode == 1
    assert "no-such-job" in done.stderr


def test_raw_socket_gets_errors_for_rubbish_and_nobody_is_hurt(server):
    for request in (b"\xff\n", b"a\0b\n", b"'\n", b"\n", b"x" * 70000):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(20 * SLOW)
            raw.connect(str(server.run_directory / "control.sock"))
            try:
                raw.sendall(request)
            except BrokenPipeError:
                pass
            assert raw.recv(4096).startswith(b"error ")
    server.ctl("status")


def test_second_server_on_the_same_directories_is_refused(server):
    done = subprocess.run([server.program(), "--config", str(server.config_path)], capture_output=True, text=True,
                          env=child_environment(), timeout=60 * SLOW, **server.popen)
    assert done.returncode != 0
    assert done.stderr
    server.ctl("status")


HOSTILE = {
    "nul": b"[server]\nworkers=\0\n",
    "not-utf-8": b"[log]\nlevel=\xff\xfe\n",
    "binary": bytes(range(256)) * 100,
    "no-group": b"workers=1\n" * 1000,
    "huge": b"#" * (1 << 20) + b"\n",
    "long-line": b"[log]\nlevel=" + b"x" * 500000 + b"\n",
    "many-groups": b"".join(b"[listener l%d]\n" % i for i in range(20000)),
    "escape-sequences": b"[log]\nlevel=\x1b[2J\x1b]0;owned\x07\n",
    "brackets": b"[" * 100000 + b"\n",
    "equals": b"[log]\n" + b"=" * 100000 + b"\n",
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_snippet_is_refused_with_its_place_and_the_server_serves_on(server, name):
    snippet = server.directory / "conf.d" / "hostile.conf"
    snippet.write_bytes(HOSTILE[name])
    done = server.ctl("reload", check=False)
    assert done.returncode == 1
    assert str(snippet) in done.stderr
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", done.stderr)
    assert len(done.stderr) < 200000
    server.ctl("status")
    assert server.check_config().returncode == 1
    snippet.unlink()
    server.ctl("reload")


def test_tables_begin_with_the_name(server):
    """An order of people's, and not the one in which a hash table has the keys."""
    with ImapWire(server.port("imap")) as wire:
        wire.login("alice")
        heads = {verb: server.ctl(*verb.split()).split("\n")[0].split()[:2] for verb in (
            "connection list", "listener list", "store list", "mailbox list", "plugin list", "job list")}
        status = server.ctl("mailbox", "status", "user/alice").splitlines()
    assert heads == {"connection list": ["ID", "PROTOCOL"], "listener list": ["LISTENER", "PROTOCOL"],
                     "store list": ["NAME", "OPEN"], "mailbox list": ["NAME", "ID"], "plugin list": ["NAME", "STATE"],
                     "job list": ["NAME", "WHEN"]}
    assert [line.split(":")[0] for line in status[:3]] == ["name", "id", "uidvalidity"]


def test_unknown_verb_is_named_with_what_begins_like_it(server):
    done = server.ctl("listener", check=False)
    assert (done.returncode, done.stderr) == (2, 'rookctl: unknown verb "listener": there are listener list\n')
    assert server.ctl("zz", "top", check=False).stderr == 'rookctl: unknown verb "zz ...": see rookctl help\n'
    assert server.ctl("help", "zz", check=False).stderr == 'rookctl: unknown verb "zz": see rookctl help\n'


def test_help_shows_no_password_that_would_be_refused(server):
    assert "PASSWORD" not in server.ctl("help")
    done = server.ctl("user", "add", check=False)
    assert (done.returncode, done.stderr) == (2, "rookctl: usage: user add NAME\n")


def test_local_is_for_config_describe(server):
    done = server.ctl("--local", "status", check=False)
    assert done.returncode == 2 and "--local and --modules are for config describe" in done.stderr
