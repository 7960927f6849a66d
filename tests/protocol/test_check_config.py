# SPDX-License-Identifier: LGPL-2.1-or-later
"""rookeryd --check-config: what is not good is not called good, and every mistake is told with its file and line."""

import os
import re
import shutil
import subprocess

import pytest
from rookery_harness import BUILD, SOURCE, merge, write_config

PLUGINS = [name for name in ("storage-gdbm", "imap", "lmtp") if (BUILD / f"plugins/{name}.la").exists()]
HAS_MAIL = len(PLUGINS) == 3


def check(server, changes):
    """Writes the configuration with `changes`. Returns (status, what was said by line of the configuration)."""
    server.prepare()
    server.configure(changes)
    return look(server)


def look(server):
    done = server.check_config()
    lines = server.config_path.read_text().splitlines()
    said = {}
    for what in done.stderr.splitlines():
        place = re.match(rf"{re.escape(str(server.config_path))}:(\d+): (.*)", what)
        key = lines[int(place.group(1)) - 1] if place else ""
        said.setdefault(key, []).append(place.group(2) if place else what)
    return done.returncode, said


@pytest.fixture
def server(make_server):
    return make_server(start=False)


def test_mechanisms_that_the_backend_can_not_do_are_a_mistake(server):
    status, said = check(server, {"auth": {"backend": "saslauthd", "mechanisms": ["SCRAM-SHA-256", "SCRAM-SHA-1"]}})
    assert status == 1
    (what,) = said["mechanisms=SCRAM-SHA-256;SCRAM-SHA-1"]
    assert what.startswith("[auth] mechanisms: none of these can be offered with backend saslauthd")
    assert check(server, {"auth": {"backend": "saslauthd", "mechanisms": ["SCRAM-SHA-256", "PLAIN"]}}) == (0, {})


@pytest.mark.parametrize("backend", ["saslauthd", "sasldb"])
def test_no_mechanism_at_all_is_what_somebody_may_want(server, backend):
    assert check(server, {"auth": {"backend": backend, "mechanisms": ""}}) == (0, {})


@pytest.mark.skipif(not HAS_MAIL, reason="built without mail")
def test_what_nobody_offers_is_told(server):
    status, said = check(server, {
        "auth": {"backend": "ldap"}, "mailbox": {"storage": "foo"}, "job forget-delivery": {"when": "never"},
        "job forget-deliveries": {"when": "never"},
        "partition second": {"path": server.directory / "second", "storage": "gbdm"}})
    assert status == 1
    assert said == {
        "backend=ldap": ['[auth] backend: no enabled plugin offers password checker "ldap"'],
        "storage=foo": ['[mailbox] storage: no enabled plugin offers storage backend "foo"'],
        "storage=gbdm": ['[partition second] storage: no enabled plugin offers storage backend "gbdm"; did you mean "gdbm"?'],
        "[job forget-delivery]": ['[job forget-delivery] no enabled plugin offers job "forget-delivery"; '
                                  'did you mean "forget-deliveries"?'],
    }


@pytest.mark.skipif(not HAS_MAIL, reason="built without mail")
def test_mail_without_a_place_or_a_store_is_told(server):
    status, said = check(server, {"partition default": None})
    assert status == 1 and set(said) == {"[plugin imap]", "[plugin lmtp]"}
    assert said["[plugin lmtp]"][0].startswith("[plugin lmtp] serves mail, and there is no place for any: write a [partition")
    status, said = check(server, {"plugin storage-gdbm": None})
    assert (status, said) == (1, {"[partition default]": [
        '[partition default] storage: no enabled plugin offers storage backend "gdbm"']})


def test_what_is_shipped_is_good_without_any_plugin(server):
    """data/rookery.conf.in with places of this test's, and nothing more than rookery-core: no plugin serves mail yet."""
    server.prepare()
    text = (SOURCE / "data" / "rookery.conf.in").read_text()
    for shipped, ours in (("@localstatedir@/spool/rookery", server.spool), ("@sysconfdir@/rookery/cert.pem", server.certificate),
                          ("@sysconfdir@/rookery/key.pem", server.key)):
        assert shipped in text
        text = text.replace(shipped, str(ours))
    server.config_path.write_text(text)
    write_config(server.directory / "conf.d" / "places.conf", {"server": server.default_config()["server"]})
    assert look(server) == (0, {})
    # A backend that is named is meant.
    server.config_path.write_text(text.replace("[tls]", "storage=gdbm\n[tls]"))
    status, said = look(server)
    assert (status, said) == (1, {"storage=gdbm": [
        '[partition default] storage: no enabled plugin offers storage backend "gdbm"']})
    server.config_path.write_text(text + "[mailbox]\nstorage=other\n")
    status, said = look(server)
    assert (status, said) == (1, {"storage=other": ['[mailbox] storage: no enabled plugin offers storage backend "other"']})


@pytest.mark.skipif(not HAS_MAIL, reason="built without mail")
def test_plugins_that_can_not_be_loaded_hide_nothing(server):
    status, said = check(server, {
        "plugin nosuch": {}, "plugin nothing": {}, "plugin off": {"enabled": False}, "auth": {"backend": "ldap"},
        "mailbox": {"storage": "gbdm"}, "job tidy-up": {"when": "never"}, "listener pop": {
            "protocol": "pop3", "address": "127.0.0.1:0"}})
    assert status == 1
    assert set(said) == {"[plugin nosuch]", "[plugin nothing]", "backend=ldap", "storage=gbdm", "[job tidy-up]",
                         "protocol=pop3"}
    unless = " (unless plugin nosuch or nothing does)"
    assert said["backend=ldap"] == [f'[auth] backend: no enabled plugin offers password checker "ldap"{unless}']
    assert said["storage=gbdm"] == [
        f'[mailbox] storage: no enabled plugin offers storage backend "gbdm"{unless}; did you mean "gdbm"?']
    assert said["[job tidy-up]"] == [f'[job tidy-up] no enabled plugin offers job "tidy-up"{unless}']
    assert said["protocol=pop3"][0].startswith(f'[listener pop] protocol: no enabled plugin offers protocol "pop3"{unless}')


def test_start_warns_of_what_nobody_offers_and_serves(server):
    server.prepare()
    server.configure({"auth": {"backend": "ldap"}})
    server.start()
    server.wait_log(r'warning config\.warning reason=.*no enabled plugin offers password checker ."ldap')
    # Nobody can log in as it is, so a reload makes nothing worse.
    server.reload({"auth": {"backend": "ldapp"}})
    server.wait_log(r'warning config\.warning reason=.*password checker ."ldapp')


def test_reload_that_would_lock_everybody_out_is_refused(server):
    server.start()
    done = server.reload({"auth": {"backend": "ldap"}}, check=False)
    assert done.returncode == 1
    assert re.fullmatch(r"rookctl: nothing was changed:\n\S+:\d+: \[auth\] backend: no enabled plugin offers password "
                        r'checker "ldap"\n', done.stderr)
    server.ctl("user", "add", "zoe", stdin="x\n")  # sasldb's still
    server.reload({})


def test_key_that_stands_twice_in_a_file_is_a_mistake(server):
    server.prepare()
    text = server.config_path.read_text()
    line = text.splitlines().index("workers=2") + 1
    server.config_path.write_text(text.replace("workers=2", "workers=2\nworkers=3"))
    status, said = look(server)
    what = f"[server] workers: line {line} sets it already: take one of the two out"
    assert (status, said) == (1, {"workers=3": [what]})
    # A server takes it, the last one counting, and says so.
    server.start()
    warning = rf"warning config\.warning reason=.*{re.escape(what)}"
    server.wait_log(warning)
    server.log_path.write_text("")
    server.ctl("reload")
    server.wait_log(warning)
    assert server.ctl("config", "check", check=False).returncode == 1
    # In another file it is what conf.d is for.
    server.config_path.write_text(text)
    (server.directory / "conf.d" / "more.conf").write_text("[server]\nworkers=3\n")
    assert look(server) == (0, {})


@pytest.mark.skipif(not HAS_MAIL, reason="built without mail")
def test_tls_group_that_is_not_there_is_a_mistake_without_tls_too(server):
    status, said = check(server, {"listener lmtp": {"tls-group": "nope"}})
    assert (status, said) == (1, {"tls-group=nope": ["[listener lmtp] tls-group: there is no [tls nope]"]})


def test_names_that_no_client_can_ask_for_are_mistakes(server):
    status, said = check(server, {"tls": {"names": ["*", "a b", "mail.example.org", "*.example.org", "-x.example", "a..b"]}})
    assert status == 1
    (whats,) = said.values()
    assert [re.search(r'names: ("[^"]*") is no host name', what).group(1) for what in whats] == [
        '"*"', '"a b"', '"-x.example"', '"a..b"']


def test_folders_that_can_be_none_are_mistakes(server):
    status, said = check(server, {"mailbox": {"autocreate-folders": ["Sent", "..", "a//b", "Ok/Deeper", "*"]}})
    assert status == 1
    (whats,) = said.values()
    assert [re.search(r'autocreate-folders: ("[^"]*") can be no folder: .', what).group(1) for what in whats] == [
        '".."', '"a//b"', '"*"']


def test_partition_that_overlaps_by_way_of_a_link_is_a_mistake(server):
    server.prepare()
    link = server.directory / "link"
    link.symlink_to(server.spool)
    status, said = check(server, {"partition second": {"path": link / "not" / "yet"}})
    assert status == 1
    (what,) = said[f"path={link}/not/yet"]
    assert "overlaps with the path of partition default" in what
    assert f"they lead to {server.spool}/not/yet and {server.spool}" in what


def test_partition_among_what_the_server_keeps_is_a_mistake(server):
    server.prepare()
    own = server.state_directory / "mailboxes"
    for path in (own, own / "deep", f"{server.state_directory}//mailboxes/.", server.state_directory, server.state_directory / "x"):
        status, said = check(server, {"partition second": {"path": path}})
        assert (status, said) == (1, {f"path={path}": [
            f"[partition second] path: the state directory ({server.state_directory}) lies inside it"
            if path == server.state_directory else
            f"[partition second] path: lies inside the state directory ({server.state_directory})"]})
    assert check(server, {"partition second": {"path": f"{server.state_directory}2"}}) == (0, {})
    run = {"server": {"run-directory": server.directory / "run"}}
    status, said = check(server, {**run, "partition second": {"path": server.directory / "run/mail"}})
    assert status == 1 and "lies inside the run directory" in said[f"path={server.directory}/run/mail"][0]
    run = {"server": {"run-directory": server.directory / "second/run"}}
    status, said = check(server, {**run, "partition second": {"path": server.directory / "second"}})
    assert status == 1 and "the run directory" in said[f"path={server.directory}/second"][0]
    elsewhere = server.directory / "elsewhere"
    elsewhere.mkdir()
    own.symlink_to(elsewhere)
    for path in (elsewhere, elsewhere / "deep"):
        status, said = check(server, {"partition second": {"path": path}})
        assert status == 1 and f"the server's own store ({elsewhere})" in said[f"path={path}"][0]


def test_overlaps_are_found_among_neighbours_that_sort_between(server):
    places = {"a": "x", "b": "x-y", "c": "x/z", "d": "x.y/z", "e": "x/z/deep", "f": "x!"}
    status, said = check(server, {f"partition {name}": {"path": server.directory / path} for name, path in places.items()})
    assert status == 1
    assert sorted(what.split(" ")[1] for whats in said.values() for what in whats) == ["c]", "e]"]


def test_many_partitions_are_checked(server):
    many = {f"partition p{n}": {"path": server.directory / f"p{n}"} for n in range(6000)}
    status, said = check(server, {**many, "partition last": {"path": server.directory / "p17" / "in"}})
    assert status == 1 and len(said) == 1


@pytest.mark.parametrize("group,key,value", [
    ("server", "hostname", "a b"), ("server", "hostname", r"mail\nevil"), ("server", "hostname", "a..b"), ("server", "hostname", "x@y"),
    ("server", "hostname", "[::1"), ("auth", "default-realm", "a@b"), ("auth", "default-realm", "x y"),
    ("auth", "realms", r"ok.example;a@b;x\ty"), ("auth", "saslauthd-socket", "/" + "s" * 107),
], ids=str)
def test_value_that_nothing_good_can_come_of_is_a_mistake(server, group, key, value):
    status, said = check(server, {group: {key: value}})
    assert status == 1 and list(said) == [f"{key}={value}"]
    assert all(what.startswith(f"[{group}] {key}: ") for what in said[f"{key}={value}"])
    assert len(said[f"{key}={value}"]) == (2 if key == "realms" else 1)


def test_values_that_look_odd_and_are_none_the_worse_for_it(server):
    for hostname in ("mail", "mail.example.org", "under_score.example", "[192.0.2.1]", "[2001:db8::1]", "x" * 255):
        assert check(server, {"server": {"hostname": hostname}}) == (0, {}), hostname
    assert check(server, {"auth": {"realms": ["two.example", "EXAMPLE"], "saslauthd-socket": "/" + "s" * 106}}) == (0, {})


def test_every_mistake_of_a_list_is_told(server):
    status, said = check(server, {"limits": {"exempt-addresses": "127.0.0.1/33;::1/129;::1;foo"}})
    assert (status, said) == (1, {"exempt-addresses=127.0.0.1/33;::1/129;::1;foo": [
        '[limits] exempt-addresses: "127.0.0.1/33", "::1/129" and "foo" are no networks:'
        " write an address, address/bits, or unix"]})


def test_one_socket_in_two_spellings_is_a_mistake(server):
    server.prepare()
    run = server.run_directory
    (server.directory / "link").symlink_to(run)
    for path in (f"{run}/../{run.name}/one.sock", f"{run}//one.sock", server.directory / "link/one.sock", f"{run}/none/../one.sock"):
        status, said = check(server, {"listener one": {"protocol": "lmtp", "address": run / "one.sock", "tls": "none"},
                                      "listener two": {"protocol": "lmtp", "address": path, "tls": "none"}})
        assert (status, said) == (1, {f"address={path}": [
            f"[listener two] address: {path} overlaps with the address {run}/one.sock of [listener one]"]})


@pytest.mark.parametrize("change", ["mode", "owner"])
def test_groups_that_anybody_may_write_are_a_mistake(server, change):
    server.prepare()
    groups = server.directory / "groups"
    groups.write_text("wheel: alice\n")
    groups.chmod(0o644)
    assert check(server, {"auth": {"groups-file": groups, "admins": ["group:wheel"]}}) == (0, {})
    if change == "mode":
        groups.chmod(0o666)
    elif os.geteuid() == 0:
        os.chown(groups, 12345, 12345)
    else:
        pytest.skip("needs root")
    status, said = check(server, {"auth": {"groups-file": groups, "admins": ["group:wheel"]}})
    what = "can be written to by others" if change == "mode" else "belongs to somebody else"
    assert status == 1 and said[f"groups-file={groups}"][0].startswith(f"[auth] groups-file: {groups} {what}")


def test_key_with_a_passphrase_is_told_to_be_one(server):
    server.prepare()
    key = server.directory / "encrypted.key"
    subprocess.run(["openssl", "pkey", "-in", server.key, "-aes128", "-passout", "pass:secret", "-out", key], check=True)
    if os.geteuid() == 0:
        shutil.chown(key, server.user)
    status, said = check(server, {"tls": {"private-key": key}})
    assert status == 1
    assert said[f"private-key={key}"][0].startswith(f"[tls] private-key: {key} is encrypted with a passphrase")
    assert f"openssl pkey -in {key}" in said[f"private-key={key}"][0]


def test_all_mistakes_of_a_tls_group_are_told(server):
    server.prepare()
    missing, broken = server.directory / "missing.crt", server.directory / "broken.key"
    broken.write_text("no key\n")
    broken.chmod(0o600)
    if os.geteuid() == 0:
        shutil.chown(broken, server.user)
    status, said = check(server, {"tls": {"certificate": missing, "private-key": broken, "ciphers": "NONSENSE",
                                          "names": ["a b"]}})
    assert status == 1
    assert "No such file or directory" in said[f"certificate={missing}"][0]
    assert f"{broken} can't be read as a key" in said[f"private-key={broken}"][0]
    assert "names no cipher" in said["ciphers=NONSENSE"][0]
    assert "is no host name" in said["names=a b"][0]


def test_tls_settings_without_a_certificate_are_told_and_serve_all_the_same(server):
    server.prepare()
    for group in ("tls", "tls other"):
        changes = {"listener imaps": None, "listener imap": {"tls": "none"}, "listener lmtp": {"tls": "none"},
                   group: {"certificate": None, "private-key": server.key, "ciphers": "HIGH", "ca": server.certificate,
                           "min-version": "TLSv1.3"}}
        status, said = check(server, changes)
        assert status == 1
        assert said == {line: [f"[{group}] {key}: has no effect, since this group names no certificate"]
                        for line, key in ((f"private-key={server.key}", "private-key"), ("ciphers=HIGH", "ciphers"))}
    server.start()
    server.wait_log(r"warning config\.warning .*has no effect")


def make_dated_certificate(server, name, start, end):
    """Signed by itself, valid in that time (YYYYMMDDHHMMSSZ)."""
    folder = server.directory / name
    folder.mkdir()
    (folder / "ca.conf").write_text(
        "[ca]\ndefault_ca=it\n[it]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=any\n"
        "[any]\ncommonName=supplied\n")
    (folder / "index").touch()
    (folder / "serial").write_text("01\n")
    run = {"cwd": folder, "check": True, "capture_output": True}
    subprocess.run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "key",
                    "-out", "request"], **run)
    subprocess.run(["openssl", "ca", "-config", "ca.conf", "-batch", "-selfsign", "-keyfile", "key", "-in", "request",
                    "-startdate", start, "-enddate", end, "-out", "crt", "-notext"], **run)
    (folder / "key").chmod(0o600)
    if os.geteuid() == 0:
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, server.user)
    return folder / "crt", folder / "key"


def test_certificate_out_of_its_time_is_told_and_serves_all_the_same(server):
    server.prepare()
    for name, start, end, complaint in (
            ("old", "20200101000000Z", "20200201000000Z", "has expired (2020-02-01 00:00 UTC)"),
            ("new", "20900101000000Z", "20910101000000Z", "is not valid before 2090-01-01 00:00 UTC")):
        certificate, key = make_dated_certificate(server, name, start, end)
        changes = {"tls": {"certificate": certificate, "private-key": key}}
        status, said = check(server, changes)
        assert status == 1
        (what,) = said[f"certificate={certificate}"]
        assert f"[tls] certificate: {certificate} {complaint}" in what
    server.start()
    server.wait_log(r"warning config\.warning .*is not valid before")
    server.reload({"tls": {"certificate": server.directory / "old/crt", "private-key": server.directory / "old/key"}})
    server.wait_log(r"warning config\.warning .*has expired")


def test_file_that_cannot_be_read_is_told_and_no_consequence_of_it(server):
    server.prepare()
    server.start()
    server.config_path.rename(server.directory / "aside")
    server.config_path.mkdir()
    told = f"{server.config_path}: cannot be read: not a regular file\n"
    done = server.check_config()
    assert (done.returncode, done.stderr) == (1, told)
    done = server.ctl("reload", check=False)
    assert (done.returncode, done.stderr) == (1, f"rookctl: nothing was changed:\n{told}")
    done = server.ctl("config", "check", check=False)
    assert (done.returncode, done.stderr) == (1, f"rookctl: {told}")


def test_group_that_comes_or_goes_is_named_once(server):
    server.prepare()
    server.start()
    done = server.reload({"partition second": {"path": server.directory / "second"}}, check=False)
    assert re.search(r":\d+: \[partition second\] has come, which a running server can't take: restart it\n$", done.stderr)
    settings = merge(server.default_config(), {"partition default": {"path": server.directory / "other"}})
    write_config(server.config_path, settings)
    done = server.ctl("reload", check=False)
    assert re.search(r":\d+: \[partition default\] path: has changed, which a running server can't take: restart it\n$",
                     done.stderr)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_user_that_is_not_there_is_named_once(make_server):
    server = make_server(start=False, as_root=True)
    status, said = check(server, {"server": {"user": "nosuchuser"}})
    assert status == 1
    (what,) = said["user=nosuchuser"]
    assert what.startswith("[server] user: there is no user 'nosuchuser'")


def test_partition_that_can_not_be_opened_is_warned_of(server):
    """It is no mistake: the disk may come, and the rest runs without it."""
    missing = server.directory / "gone" / "mail"
    status, said = check(server, {"partition far": {"path": missing}})
    assert status == 0, said
    assert f"{server.directory}/gone does not exist, so the partition can't be opened, nor made" in str(said)
    away = server.directory / "away"
    assert check(server, {"partition far": {"path": away}}) == (0, {})  # a first start makes it
    store = server.state_directory / "mailboxes"
    store.mkdir(mode=0o700)
    (store / "log").touch(mode=0o600)
    if os.geteuid() == 0:
        for path in (store, store / "log"):
            shutil.chown(path, server.user)
    try:
        status, said = check(server, {"partition far": {"path": away}})
    finally:
        shutil.rmtree(store)
    assert status == 0, said
    assert f"{away} does not exist: a new partition is made there" in str(said)


def test_backend_pam_is_saslauthd(server):
    status, said = check(server, {"auth": {"backend": "pam"}})
    assert status == 1 and 'did you mean "saslauthd"?' in str(said)
