# SPDX-License-Identifier: LGPL-2.1-or-later
"""A plugin by others: built with nothing but what is installed, dropped in, used, taken away."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from rookery_harness import BUILD, SANITIZED, SOURCE, Server, child_environment, free_port, programs
from rookery_wire import Wire


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """What `make install` puts in place, under a root of its own. Returns it and the prefix in it."""
    root = tmp_path_factory.mktemp("root")
    done = subprocess.run(["make", "-C", str(BUILD), "install", f"DESTDIR={root}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    # Where it lies is not where it was made for.
    original = next(root.rglob("rookery-1.pc"))
    moved = tmp_path_factory.mktemp("pkgconfig") / "rookery-1.pc"
    lines = original.read_text().splitlines()
    moved.write_text("\n".join(re.sub(r"^(\w+=)/", rf"\1{root}/", line) for line in lines) + "\n")
    yield root, moved


# Over what is there: the installation is seen, and kept, by this shell and its children alone.
INSTALL = """
set -e
mount -t tmpfs tmpfs "$1"
for folder in /usr/local /etc /var/cache/ldconfig; do
  upper=$1/$(echo $folder | tr / _)
  mkdir -p "$upper" "$upper.work"
  [ ! -d $folder ] || mount -t overlay -o lowerdir=$folder,upperdir="$upper",workdir="$upper.work" overlay $folder || exit 77
done
make -C "$2" install
rookeryd --version
rookctl --version
make -C "$2" uninstall
if ldconfig -p | grep librookery; then echo "still in the cache"; exit 1; fi
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_programs_installed_by_root_find_their_library(tmp_path):
    """In /usr/local, whose libraries the loader finds by its cache alone."""
    if "prefix = /usr/local\n" not in (BUILD / "Makefile").read_text():
        pytest.skip("is not built for /usr/local")
    environment = {**os.environ, "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    environment.pop("LD_LIBRARY_PATH", None)
    done = subprocess.run(["unshare", "--mount", "sh", "-c", INSTALL, "sh", str(tmp_path), str(BUILD)], env=environment,
                          capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip("can mount nothing over /usr/local")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def outside_environment(pc):
    """To build with pkg-config alone, as the installed library was built."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("C_INCLUDE", "CPATH"))}
    environment.update(PKG_CONFIG_PATH=str(pc.parent))
    made = dict(line.split(" = ", 1) for line in (BUILD / "Makefile").read_text().splitlines()
                if line.startswith(("CC = ", "ROOK_LDFLAGS = ")))
    sanitizers = [flag for flag in made.get("ROOK_LDFLAGS", "").split() if flag.startswith("-fsanitize")]
    if sanitizers:  # whose run-time library must be the server's
        environment.update(CC=made["CC"], LDFLAGS=" ".join(sanitizers))
    return environment


@pytest.fixture
def outside(installed, tmp_path):
    """A copy of the example as it is installed, under another name, and built."""
    root, pc = installed
    source = tmp_path / "mine"
    shutil.copytree(next(root.rglob("plugin.mk")).parent, source)
    plugin = source / "example-plugin.c"
    plugin.write_text(plugin.read_text().replace('.name = "example"', '.name = "mine"'))
    environment = outside_environment(pc)
    done = subprocess.run(["make", "-f", "plugin.mk", "NAME=mine"], cwd=source, env=environment, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stderr
    return source / "mine.so"


def test_makefile_is_short(installed):
    makefile = next(installed[0].rglob("plugin.mk"))
    assert len(makefile.read_text().splitlines()) <= 11


def test_headers_stand_alone(installed, tmp_path):
    root, pc = installed
    flags = subprocess.run(["pkg-config", "--cflags", "rookery-1"], capture_output=True, text=True, check=True,
                           env={**os.environ, "PKG_CONFIG_PATH": str(pc.parent)})
    for header in sorted((next(root.rglob("rookery-1")) / "rookery").glob("*.h")):
        source = tmp_path / f"{header.stem}.c"
        source.write_text(f'#include "rookery/{header.name}"\n')
        done = subprocess.run(["cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", str(source),
                               *flags.stdout.split()], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


# What a store's author may get wrong, each a change of the example; and a part of the suite that says so.
MISTAKES = {
    "loses a patch": ("apply_patch (disk, key, op);", "(void) apply_patch;", "value/patch"),
    "leaves a hole unfilled": ("g_malloc0 (size + 1)", "memset (g_malloc (size + 1), 'x', size)",
                               "value/patch-past-the-end-fills-with-zeros"),
    "keeps what was released": ("g_hash_table_remove (disk->blobs, &op->blob);", "", "blob/release"),
    "gives an id again": ("return disk->next_id++;", "return disk->next_id++ % 8 + 1;", "blob/ids-never-given-again"),
    "opens twice": ("if (disk->open)", "if (FALSE)", "open/second-open-locked"),
    "commits the last first": ("g_queue_pop_head (&disk->queue));", "g_queue_pop_tail (&disk->queue));",
                               "order/settled-and-completed-in-order-of-submission"),
}


class Suite:
    """The installed conformance suite around a copy of its example."""

    def __init__(self, installed, folder):
        root, pc = installed
        self.building = outside_environment(pc)
        library = next(root.rglob("librookery-core.so")).parent
        self.running = child_environment({"LD_LIBRARY_PATH": str(library), "ROOKERY_TEST_SECONDS": "1"})
        suite = subprocess.run(["pkg-config", "--variable=conformancedir", "rookery-1"], env=self.building,
                               capture_output=True, text=True, check=True).stdout.strip()
        assert suite.startswith(str(root))
        self.folder = folder
        self.makefile = f"{suite}/conformance.mk"
        shutil.copytree(f"{suite}/example", folder)

    def build(self, **environment):
        done = subprocess.run(["make", "-f", self.makefile], cwd=self.folder, capture_output=True, text=True,
                              env={**self.building, **environment})
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def run(self, *arguments):
        return subprocess.run([self.folder / "conformance-test", *arguments], capture_output=True, text=True,
                              env=self.running)


def test_conformance_suite_passes_on_its_example(installed, tmp_path):
    suite = Suite(installed, tmp_path / "mine")
    assert "warning" not in suite.build().stderr
    listed = {line for line in suite.run("-l").stdout.split() if line.startswith("/")}
    done = suite.run("--tap")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    passed = set(re.findall(r"^ok \d+ (\S+)$", done.stdout, re.MULTILINE))
    assert passed == listed
    assert {"/conformance/memory/model/random", "/conformance/memory/blob/stage"} <= passed


def test_main_of_the_guide_compiles_with_the_suite(installed, tmp_path):
    suite = Suite(installed, tmp_path / "mine")
    blocks = re.findall(r"^```c\n(.*?)^```$", (SOURCE / "doc" / "plugin-guide.md").read_text(), re.M | re.S)
    main = next(block for block in blocks if "rook_conformance_add_tests" in block)
    (suite.folder / "test-conformance-memory.c").write_text(
        '#include "conformance.h"\nextern const RookStorageBackend mine_backend;\nvoid mine_remove (const char *path);\n'
        + main)
    suite.build(CFLAGS="-O0 -Wall -Wextra -Wno-unused-parameter -Werror -Wmissing-declarations "
                "-Wno-unused-command-line-argument -fsyntax-only")


@pytest.mark.skipif(SANITIZED, reason="what the suite finds does not depend on how it is built")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_conformance_suite_fails_on_a_broken_backend(installed, tmp_path, mistake):
    right, wrong, sentence = MISTAKES[mistake]
    suite = Suite(installed, tmp_path / "mine")
    backend = suite.folder / "storage" / "memory.c"
    text = backend.read_text()
    assert text.count(right) == 1
    backend.write_text(text.replace(right, wrong))
    suite.build(CFLAGS="-O0")
    done = suite.run("--tap", "-p", f"/conformance/memory/{sentence}")
    assert done.returncode != 0
    assert not re.search(rf"^ok .*/{sentence}$", done.stdout, re.MULTILINE)


def test_plugin_is_dropped_in_used_and_taken_away(outside):
    port = free_port()
    with Server(plugins=[], config={"partition default": None, "tls": None, "auth": None}) as server:
        server.stop()
        # A plugin directory of this test's own.
        directory = server.directory / "plugins"
        shutil.copytree(programs() / "plugins" / ".libs", directory, ignore=shutil.ignore_patterns("*.la*", "*.o"))
        groups = {**server.changes, "server": {"plugin-directory": directory}}
        server.configure(groups)
        server.start()
        assert server.ctl("plugin", "list", as_json=True) == []

        shutil.copy(outside, directory / "mine.so")
        (directory / "mine.so").chmod(0o644)
        snippet = server.directory / "conf.d" / "50-mine.conf"
        snippet.write_text(f"[plugin mine]\n[listener mine]\nprotocol=notify\naddress=127.0.0.1:{port}\n")
        snippet.chmod(0o644)
        assert "started mine" in server.ctl("reload")
        with Wire(port) as wire:
            wire.expect(r"\+OK .* notify")
            wire.send("PING")
            wire.expect(b"+OK")
            assert server.ctl("notify", "status", as_json=True) == {"messages": 0, "watchers": 0}

            snippet.unlink()
            assert "stopped mine" in server.ctl("reload")
            wire.expect(b"* BYE going down")
        (directory / "mine.so").unlink()
        assert server.ctl("plugin", "list", as_json=True) == []
        assert server.ctl("notify", "status", check=False).returncode != 0
        assert "mine.so" not in Path(f"/proc/{server.process.pid}/maps").read_text()


@pytest.mark.skipif(not all((BUILD / f"plugins/{name}.la").exists() for name in ("lmtp", "storage-gdbm")),
                    reason="built without mail")
def test_plugin_from_outside_hears_of_mail(outside):
    server, port = Server(), free_port()
    server.prepare()
    modules = server.directory / "plugins"
    shutil.copytree(programs() / "plugins" / ".libs", modules, ignore=shutil.ignore_patterns("*.la*", "*.o"))
    shutil.copy(outside, modules / "mine.so")
    (modules / "mine.so").chmod(0o644)
    server.configure({"server": {"plugin-directory": modules}, "plugin mine": {},
                      "listener mine": {"protocol": "notify", "address": f"127.0.0.1:{port}"}})
    with server, Wire(port) as wire:
        wire.expect(r"\+OK .* notify")
        wire.send("WATCH")
        wire.expect(b"+OK")
        server.deliver("Subject: one\n\nx\n")
        wire.expect(b"* MessageNew user/alice 1")
        assert server.ctl("notify", "status", as_json=True) == {"messages": 1, "watchers": 1}
