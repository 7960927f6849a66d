# SPDX-License-Identifier: LGPL-2.1-or-later
"""Jobs that run a program of the administrator's: what it is given, what becomes of its output and its status, and that it
ends at its deadline, with a reload that takes it away, and with the server."""

import os
import re
import signal
import stat
import subprocess
import textwrap
import threading
from pathlib import Path

import pytest
from rookery_harness import SANITIZED, SLOW, Server, wait_until

DEADLINE = f"{int(5 * SLOW)}s"


class Hooks:
    """A server with one hook, `hook`, whose program is a shell script."""

    def __init__(self):
        self.server = Server(plugins=[])
        self.script = self.server.directory / "hook.sh"
        self.server.directory.chmod(0o755)

    def groups(self, script, **settings):
        self.script.write_text("#!/bin/sh\n" + textwrap.dedent(script))
        self.script.chmod(0o755)
        return {"job hook": {"when": "never", "command": f"{self.script} 'one word'", **settings}}

    def start(self, script, **settings):
        self.server.changes = self.groups(script, **settings)
        self.server.start()

    def run(self):
        """rookctl job run."""
        return self.server.ctl("job", "run", "hook", check=False)

    def run_aside(self):
        thread = threading.Thread(target=self.run)
        thread.start()
        return thread

    def row(self):
        return next((row for row in self.server.ctl("job", "list", as_json=True) if row["name"] == "hook"), None)

    def printed(self):
        return re.findall(r'job\.output job=hook message=(?:"((?:[^"\\]|\\.)*)"|(\S+))', self.server.log_path.read_text())

    def lines(self):
        """Once its end is in the log, whose thread writes behind what rookctl is answered."""
        wait_until(lambda: re.search(r"job\.(done|failed) job=hook", self.server.log_path.read_text()))
        return [quoted or plain for quoted, plain in self.printed()]

    def wait_pid(self, name):
        """Of a process that wrote its number there."""
        path = self.server.state_directory / name
        wait_until(lambda: path.exists() and path.read_text().endswith("\n"))
        return int(path.read_text())


def is_there(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def hooks():
    one = Hooks()
    try:
        yield one
        one.server.stop()
    finally:
        one.server.cleanup()


def test_output_goes_to_the_log_and_the_status_to_rookctl(hooks):
    hooks.start("""
        echo "first: $1"
        echo second >&2
        printf 'no end of line'
        exit "${STATUS:-0}"
        """)
    done = hooks.run()
    assert (done.returncode, done.stdout.strip()) == (0, "exit status 0")
    hooks.server.wait_log(r"job\.done job=hook took-ms=\d+ message=\"exit status 0\"")
    assert hooks.lines() == ["first: one word", "second", "no end of line"]
    row = hooks.row()
    assert (row["state"], row["result"], row["runs"], row["failed"]) == ("done", "exit status 0", 1, 0)


def test_exit_status_and_signal_are_failures_with_the_last_words(hooks):
    hooks.start("echo no room; exit 3\n")
    done = hooks.run()
    assert done.returncode != 0 and "exit status 3: no room" in done.stderr
    assert (hooks.row()["state"], hooks.row()["result"]) == ("failed", "exit status 3: no room")
    hooks.server.reload(hooks.groups("kill -9 $$\n"))
    assert "ended by signal 9 (Killed)" in hooks.run().stderr
    assert hooks.row()["failed"] == 2


def test_it_is_given_nothing_of_the_servers(hooks):
    hooks.start("""
        env | sort | sed 's/^/env /'
        echo "pwd $(pwd)"
        grep -E '^(SigBlk|SigIgn|CapEff|CapPrm|CapAmb|NoNewPrivs):' /proc/self/status
        ps -o pgid= -p $$ | sed "s/^ *$$\\$/leads its group/"
        """)
    assert hooks.run().returncode == 0
    lines = hooks.lines()
    names = {line[4:].split("=")[0] for line in lines if line.startswith("env ")} - {"PWD", "_", "OLDPWD", "SHLVL"}
    assert names - {"TZ"} == {"PATH", "LANG", "ROOKERY_JOB", "ROOKERY_CONFIG", "ROOKERY_STATE_DIRECTORY",
                              "ROOKERY_RUN_DIRECTORY"}
    assert f"env ROOKERY_CONFIG={hooks.server.config_path}" in lines and "env ROOKERY_JOB=hook" in lines
    assert f"env ROOKERY_RUN_DIRECTORY={hooks.server.run_directory}" in lines
    assert "pwd /" in lines and "leads its group" in lines
    masks = {line.split("\\t")[0]: int(line.split("\\t")[1], 16) for line in lines if "\\t" in line}
    assert masks["SigBlk:"] == masks["CapEff:"] == masks["CapAmb:"] == 0
    assert masks["SigIgn:"] & 0x7fffffff == 0  # 32 and 33 are the C library's own


def test_it_inherits_three_descriptors(hooks):
    hooks.start("", command="/bin/ls -l /proc/self/fd")
    assert hooks.run().returncode == 0
    descriptors = dict(re.findall(r" (\d+) -> (.*)", "\n".join(hooks.lines())))
    assert re.fullmatch(r"/proc/\d+/fd", descriptors.pop("3"))  # the folder that ls reads
    assert set(descriptors) == {"0", "1", "2"} and descriptors["0"] == "/dev/null"
    assert descriptors["1"].startswith("pipe:") and descriptors["1"] == descriptors["2"]


def test_it_ends_at_its_deadline_with_all_that_it_started(hooks):
    hooks.start("""
        trap '' TERM
        sh -c 'trap "" TERM; echo $$ >"$0/child"; while :; do sleep 1; done' "$ROOKERY_STATE_DIRECTORY" &
        echo $$ >"$ROOKERY_STATE_DIRECTORY/leader"
        while :; do sleep 1; done
        """, deadline=DEADLINE)  # by when even a busy machine has started it
    thread = hooks.run_aside()
    leader, child = hooks.wait_pid("leader"), hooks.wait_pid("child")
    thread.join()
    assert hooks.row()["result"] == f"stopped at its deadline of {DEADLINE}: ended by signal 9 (Killed)"
    wait_until(lambda: not is_there(leader) and not is_there(child))


def test_what_it_leaves_behind_ends_with_it_and_holds_nothing_up(hooks):
    hooks.start("""
        (echo $$; exec sleep 1000000) &
        sh -c 'echo $$ >"$0/child"; exec sleep 1000000' "$ROOKERY_STATE_DIRECTORY" &
        setsid sh -c 'echo $$ >"$0/away"; while :; do echo away; sleep 0.01; done' "$ROOKERY_STATE_DIRECTORY" &
        while [ ! -s "$ROOKERY_STATE_DIRECTORY/child" ] || [ ! -s "$ROOKERY_STATE_DIRECTORY/away" ]; do sleep 0.1; done
        echo done
        """)
    done = hooks.run()
    assert (done.returncode, done.stdout.strip()) == (0, "exit status 0")
    child, away = hooks.wait_pid("child"), hooks.wait_pid("away")
    wait_until(lambda: not is_there(child))
    # It left the group; the pipe that it writes to is gone.
    wait_until(lambda: not is_there(away))


def test_a_flood_of_output_costs_a_hundred_lines(hooks):
    hooks.start("""
        head -c 50000000 /dev/zero
        yes | head -c 50000000
        echo the end
        """)
    before = hooks.server.resident_kib()
    assert hooks.run().returncode == 0
    assert SANITIZED or hooks.server.resident_kib() < before + 20000
    hooks.server.wait_log(r"job\.output-dropped job=hook lines=\d+")
    lines = hooks.lines()
    assert 0 < len(lines) < 5000 and max(map(len, lines)) < 8000
    assert hooks.row()["result"] == "exit status 0"


def test_it_can_ask_the_server(hooks):
    hooks.start(f"""
        LD_LIBRARY_PATH={os.environ.get("LD_LIBRARY_PATH", "")}
        read -r line <"$ROOKERY_CONFIG" && echo "reads $line"
        test -S "$ROOKERY_RUN_DIRECTORY/control.sock" && echo there
        """)
    assert hooks.run().returncode == 0
    assert hooks.lines() == ["reads [server]", "there"]


def test_a_reload_adds_changes_and_removes_it(hooks):
    hooks.server.changes = {}
    hooks.server.start()
    assert hooks.row() is None
    hooks.server.reload(hooks.groups("echo first\n"))
    assert hooks.run().returncode == 0
    hooks.server.reload(hooks.groups("""
        trap '' TERM
        echo $$ >"$ROOKERY_STATE_DIRECTORY/leader"
        while :; do sleep 1; done
        """, when="every 1h"))
    assert hooks.row()["when"] == "every 1h" and hooks.row()["runs"] == 1
    thread = hooks.run_aside()
    leader = hooks.wait_pid("leader")
    hooks.server.reload({})
    row = hooks.row()  # it gets ten seconds
    assert row is None or row["state"].startswith("running")
    thread.join()
    hooks.server.wait_log(r'job\.failed job=hook .*message="stopped before its end: ended by signal 9 \(Killed\)"')
    wait_until(lambda: hooks.row() is None)
    assert not is_there(leader)


def test_it_ends_with_the_server_and_may_clean_up(hooks):
    hooks.start("""
        trap 'sleep 1; echo cleaned; exit 0' TERM
        echo $$ >"$ROOKERY_STATE_DIRECTORY/leader"
        while :; do sleep 0.1; done
        """)
    thread = hooks.run_aside()
    leader = hooks.wait_pid("leader")
    hooks.server.stop()
    thread.join()
    assert not is_there(leader)
    assert hooks.lines()[-1] == "cleaned"
    hooks.server.start()
    assert (hooks.row()["state"], hooks.row()["result"]) == ("failed", "stopped before its end: exit status 0")


def test_a_second_signal_does_not_wait_for_it(hooks):
    hooks.start("""
        trap '' TERM
        echo $$ >"$ROOKERY_STATE_DIRECTORY/leader"
        while :; do sleep 1; done
        """)
    thread = hooks.run_aside()
    leader = hooks.wait_pid("leader")
    os.kill(hooks.server.process.pid, signal.SIGTERM)
    hooks.server.wait_log("server.stopping")
    hooks.server.stop()
    thread.join()
    wait_until(lambda: not is_there(leader))


def test_it_comes_round_and_is_skipped_while_it_runs(hooks):
    hooks.start("""
        echo round
        while [ ! -e "$ROOKERY_STATE_DIRECTORY/go" ]; do sleep 0.1; done
        """, when="every 1s")
    hooks.server.wait_log(r"job\.skipped job=hook")
    (hooks.server.state_directory / "go").touch()
    wait_until(lambda: hooks.row()["runs"] >= 2)
    assert hooks.row()["skipped"] >= 1


@pytest.mark.parametrize("settings, line, says", [
    ({"command": "/nowhere/at/all"}, "command=", "No such file or directory"),
    ({"command": "backup --now"}, "command=", "absolute path"),
    ({"command": "/etc/passwd"}, "command=", "no program that can be run"),
    ({"command": "/bin/sh 'open"}, "command=", "uote"),
    ({"when": None}, "[job hook]", "write when="),
    ({"command": None, "deadline": "5s"}, "deadline=", "only with a command"),
])
def test_check_config_names_the_line(hooks, settings, line, says):
    hooks.server.prepare()
    groups = hooks.groups("")
    groups["job hook"] = {key: value for key, value in {**groups["job hook"], **settings}.items() if value is not None}
    hooks.server.configure(groups)
    text = hooks.server.config_path.read_text().splitlines()
    number = next(i for i, one in enumerate(text, 1) if one.startswith(line) and i > text.index("[job hook]"))\
        if line != "[job hook]" else text.index(line) + 1
    done = hooks.server.check_config()
    assert done.returncode == 1
    assert re.search(rf"rookery\.conf:{number}: .*{re.escape(says)}", done.stderr), done.stderr


def test_a_name_that_the_server_uses_is_a_mistake_and_its_own_job_stays(hooks):
    hooks.server.prepare()
    hooks.server.changes = {"job expire": {"when": "never", "command": "/bin/false"}}
    hooks.server.configure(hooks.server.changes)
    assert "has a job of this name" in hooks.server.check_config().stderr
    hooks.server.start()
    assert "/bin/false" not in str(hooks.server.ctl("job", "list", as_json=True))


def test_a_program_that_has_gone_fails_by_name_and_the_server_runs(hooks):
    hooks.start("")
    hooks.script.unlink()
    assert "can't be started: No such file or directory" in hooks.run().stderr
    hooks.script.write_text("no program\n")
    hooks.script.chmod(stat.S_IRUSR)
    assert "can't be started: Permission denied" in hooks.run().stderr
    assert subprocess.run(hooks.server.ctl_command("status"), capture_output=True).returncode == 0
