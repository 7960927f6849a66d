# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon as a process: command line, start and stop."""

import subprocess

from rookery_harness import built, child_environment


def rookeryd(*arguments):
    return subprocess.run([built(".libs/rookeryd", "rookeryd"), *arguments], capture_output=True, text=True,
                          env=child_environment(), timeout=60)


def test_version_is_printed():
    done = rookeryd("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("rookeryd ")


def test_unknown_option_is_a_usage_error():
    done = rookeryd("--no-such-option")
    assert done.returncode == 2
    assert "no-such-option" in done.stderr


def test_starts_and_stops_cleanly_without_any_plugin(make_server):
    make_server(plugins=[], config={"tls": None, "auth": None, "partition default": None})


def test_unknown_group_is_reported_with_file_and_line(make_server):
    server = make_server(plugins=[], start=False)
    server.prepare()
    server.config_path.write_text("[server]\nworkers=1\n\n[sever]\nworkers=2\n")
    done = server.check_config()
    assert done.returncode == 1
    assert f"{server.config_path}:4:" in done.stdout + done.stderr
