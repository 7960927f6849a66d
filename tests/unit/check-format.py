# SPDX-License-Identifier: LGPL-2.1-or-later
"""doc/format.md says what the sources write: each field that they name stands where they put it, each table and tag is
listed and nothing else is, and no byte of what has a fixed size is left out.

Speaks TAP. Argument: the source tree.
"""

import re
import sys
from pathlib import Path

TOP = Path(sys.argv[1])
MAILBOX = TOP / "core" / "mailbox"
DOC = (TOP / "doc" / "format.md").read_text()
RECORD_H = (MAILBOX / "record.h").read_text()
CACHE_C = (TOP / "core" / "mime" / "cache.c").read_text()
SOURCES = "".join(path.read_text() for path in [*MAILBOX.glob("*.[ch]"), *TOP.glob("plugins/storage-gdbm/*.h")])
SIZES = {"u8": 1, "u16": 2, "i16": 2, "u32": 4, "u64": 8, "i64": 8}


def rows(heading):
    """Cells of the first table of a section."""
    section = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^#)", DOC + "\n#", re.M | re.S).group(1)
    table = re.search(r"^\| --- .*\n((?:\|.*\n)+)", section, re.M).group(1)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def value_of(text):
    if not text.isdigit():
        text = re.search(rf"#define {text} (\d+)", SOURCES).group(1)
    return int(text)


def members(text, prefix):
    """Of enums: the numbers of the members with a prefix."""
    return {value_of(number) for number in re.findall(rf"^ *{prefix}\w+ = (\w+)\b", text, re.M)}


def layout(heading, source, size):
    """What is wrong with a table of offsets."""
    fields = [(int(at), SIZES.get(kind) or int(kind), what) for at, kind, what in rows(heading)]
    named = members((MAILBOX / source).read_text().replace("AT_END =", ""), "AT_(?!RESERVED)")
    end = 0
    for at, length, _ in fields:
        if at != end:
            yield f"{heading}: {end} is followed by {at}"
        end = at + length
    if end != value_of(size):
        yield f"{heading}: ends at {end}"
    if len(named) < 5:
        yield f"{source}: only {len(named)} fields are found"
    for at in sorted(named - {at for at, _, what in fields if what != "zeros"}):
        yield f"{heading}: {source} has a field at {at}"


def tables(heading, prefix):
    listed = {int(row[0].split()[0]) for row in rows(heading) if row[0]}
    found = {int(number) for number in re.findall(rf"\b{prefix}\w+ = (\d+)", RECORD_H)}
    return [f"{heading}: {listed} in the document, {found} in record.h"] if listed != found or not found else []


def tags(heading, source):
    listed = {int(row[0]) for row in rows(heading)}
    found = members((MAILBOX / source).read_text(), "TAG_")
    return [f"{heading}: {listed} in the document, {found} in {source}"] if listed != found or not found else []


def numbers():
    """Versions and counts that the text names."""
    for text, name in (
            ("Version {}; 256 bytes", "ROOK_HEADER_VERSION"), ("Version 2; {} bytes", "ROOK_HEADER_SIZE"),
            ("{} bytes. From 88 on", "ROOK_RECORD_SIZE"), ("bytes. From {} on", "ROOK_RECORD_CHANGING"),
            ("modulo {} of page", "ROOK_PAGE_RECORDS"), ("0 u16 version {} · 2 u16 128", "ROOK_PAGE_VERSION"),
            ("for p < {};", "ROOK_HEADER_SUMMARIES"), ("modulo {} of block", "ROOK_BLOCK_SUMMARIES"),
            ("0 u16 version {} · 2 u16 32", "ROOK_BLOCK_VERSION"), ("version byte, {}, then fields", "ENTRY_VERSION"),
            ("like an entry, of version {},", "LABEL_VERSION"), ("0 u8 version {} · 1 u64 modseq", "SEEN_VERSION"),
            ("| `format` | u32: {} |", "ROOK_STATE_FORMAT"), ("| `format` | u32: {};", "ROOK_PART_FORMAT"), ("Format version {}. Numbers", "GS_FORMAT_VERSION")):
        if text.format(value_of(name)) not in DOC:
            yield f"no {text.format(value_of(name))!r}, as {name} is {value_of(name)}"


def cache():
    part, field = (re.search(rf'#define {name}_TYPE "(.*)"', CACHE_C).group(1) for name in ("PART", "FIELD"))
    kind = re.search(r"#define CACHE_TYPE (.*)", CACHE_C).group(1)
    kind = kind.replace("PART_TYPE", f'"{part}"').replace("FIELD_TYPE", f'"{field}"').replace('"', "").replace(" ", "")
    version = int(re.search(r'#define MAGIC "RkM\\(\d+)"', CACHE_C).group(1), 8)
    for text in (f"`{kind}`", f"`RkM`, the version {version} (u8)"):
        if text not in DOC:
            yield f"no {text!r}, as cache.c has it"


POINTS = {
    "header": lambda: layout("Header", "header.c", "ROOK_HEADER_SIZE"),
    "record": lambda: layout("Record", "record.c", "ROOK_RECORD_SIZE"),
    "summary": lambda: layout("Summary", "summary.c", "ROOK_SUMMARY_SIZE"),
    "state-tables": lambda: tables("Tables of the state store", "ROOK_STATE_"),
    "partition-tables": lambda: tables("Tables of a partition's store", "ROOK_PART_"),
    "entry-tags": lambda: tags("Entry", "entry.c"),
    "user-tags": lambda: tags("User", "users-codec.c"),
    "label-tags": lambda: tags("Blobs", "label.c"),
    "cached-structure": cache,
    "numbers": numbers,
}
for number, (name, point) in enumerate(POINTS.items(), 1):
    wrong = list(point())
    print(f"{'not ok' if wrong else 'ok'} {number} - /doc/format/{name}")
    for line in wrong:
        print(f"# {line}")
print(f"1..{len(POINTS)}")
