#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds the tables of tests/contracts against the public headers and the tests; README.md there says how.

  contracts.py check SRCDIR BUILDDIR    as TAP: what the headers say, what the tables say and what there is to run agree
  contracts.py update SRCDIR [NAME ...] rewrites tables in the order of their headers, keeping the tests they name
"""
import collections
import difflib
import pathlib
import re
import subprocess
import sys

Sentence = collections.namedtuple("Sentence", "anchor text line legend")
MARKS = ("names", "binds the caller", "open")
TOP = "The header"
NOTHING = re.compile(r"\((?:out|optional|nullable|unowned|owned|transfer|element-type)\b[^()]*\)|Returns:|< private >")


# --- headers ------------------------------------------------------------------------------------------------------------


def sentences_of(comment):
    """The sentences of a comment's text. A paragraph, an item and an @argument begin a new one; rulers say nothing, nor do
    annotations alone."""
    lines = [re.sub(r"^\s*\*+ ?", "", line).rstrip() for line in comment.split("\n")]
    text = "\n".join("" if re.search(r"^\s*---|---\s*$", line) else line for line in lines)
    for paragraph in re.split(r"\n\s*\n|\n(?=- |@[\w.]+:)", text):
        paragraph = re.sub(r"^- |^\w+:$", "", " ".join(paragraph.split()))
        for piece in re.split(r"(?<=[.!?])\s+(?=[A-Z`@#%\"\[(0-9])", paragraph):
            if re.search(r"\w", NOTHING.sub("", piece)):
                yield piece


def declared(code):
    """What the beginning of @code declares: a function, a member or a type."""
    code = re.sub(r"/\*.*?\*/", " ", code, flags=re.S).lstrip()
    if match := re.match(r"typedef (?:struct|enum)\s*\w*\s*{.*?}\s*(\w+);", code, re.S):
        return match[1]
    if match := re.match(r"#\s*define (\w+)", code):
        return match[1]
    statement = re.match(r"[^;{]*", code)[0]
    if match := re.search(r"\(\*(\w+)\)", statement):
        return match[1]
    if match := re.match(r"[^(=,\[]*?(\w+)\s*(?:\(|=|,|\[|$)", statement.strip()):
        return match[1]
    return TOP


def enclosing(code, position):
    """The type whose definition @position lies in, if it does."""
    bare = re.sub(r"/\*.*?\*/", lambda comment: " " * len(comment[0]), code, flags=re.S)
    for match in re.finditer(r"(?:struct|enum)\s*(\w*)\s*{([^{}]*)}\s*(\w*);", bare):
        if match.start(2) <= position < match.end(2):
            return (match[3] or match[1]) + "."
    return ""


def read_header(path):
    """Every sentence of a header's comments, with what it is said of. The opening sentence is a title and left out."""
    code = path.read_text()
    found = []
    for index, match in enumerate(list(re.finditer(r"/\*(.*?)\*/", code, re.S))[1:]):
        begin = code.rfind("\n", 0, match.start()) + 1
        legend = bool(code[begin : match.start()].strip())
        after = code[begin:] if legend else code[match.end() :]
        anchor = enclosing(code, match.start()) + declared(after) if index > 0 else TOP
        line = code.count("\n", 0, match.start()) + 1
        texts = list(sentences_of(match[1]))
        found += [Sentence(anchor, text, line, legend) for text in (texts if index > 0 else texts[1:])]
    return found


# --- tables -------------------------------------------------------------------------------------------------------------


def read_table(path):
    """{(anchor, sentence): [what shows it]}, and what is wrong with the form."""
    rows, wrong = collections.OrderedDict(), []
    anchor = row = None
    for number, line in enumerate(path.read_text().splitlines() if path.exists() else [], 1):
        if line.startswith("## "):
            anchor = line[3:]
        elif line.startswith("- ") and anchor:
            row = rows.setdefault((anchor, line[2:]), [])
        elif line.startswith("  - ") and row is not None:
            row.append(line[4:])
        elif line and anchor:
            wrong.append(f"{path.name}:{number}: neither heading, sentence nor test: {line}")
    return rows, wrong


def write_table(path, header, rows):
    lines = [f"# {header}"]
    anchor = None
    for (said_of, text), shown in rows.items():
        if said_of != anchor:
            anchor = said_of
            lines += ["", f"## {anchor}"]
        lines += [f"- {text}"] + [f"  - {one}" for one in shown]
    path.write_text("\n".join(lines) + "\n")


def update(table, header, name):
    """A row for each sentence: its own, that of the sentence it seems to have been, or one that says TODO."""
    old, _ = read_table(table)
    wanted = collections.OrderedDict()
    for one in read_header(header):
        key = (one.anchor, one.text)
        if key in old or not one.legend:
            wanted[key] = old.get(key, ["TODO"])
    gone = [key for key in old if key not in wanted]
    for key in [key for key in wanted if wanted[key] == ["TODO"]]:
        near = difflib.get_close_matches(key[1], [text for _, text in gone], 1, 0.6)
        if near:
            was = next(one for one in gone if one[1] == near[0])
            gone.remove(was)
            wanted[key] = old[was]
            print(f"{table.name}: does it still hold? {key[1]}\n    was: {was[1]}\n    shown by: {', '.join(old[was])}")
    for key in gone:
        print(f"{table.name}: dropped: {key[1]}\n    was shown by: {', '.join(old[key])}")
    write_table(table, name, wanted)


# --- checks -------------------------------------------------------------------------------------------------------------


def programs(source, build):
    """The unit test programs that are built, and whether that is all."""
    sources = [*source.glob("tests/unit/test-*.c"), *source.glob("tests/conformance/test-*.c")]
    wanted = [one.relative_to(source).with_suffix("") for one in sources]
    built = [build / one for one in wanted if (build / one).exists()]
    return built, len(built) == len(wanted)


def tests_of(source, build):
    """Every path and pytest name there is, and whether all programs could be asked."""
    built, complete = programs(source, build)
    tests = set()
    for program in built:
        listed = subprocess.run([program, "-l"], stdout=subprocess.PIPE, text=True, check=True).stdout
        tests.update(line for line in listed.splitlines() if line.startswith("/"))
    for path in source.glob("tests/*/test_*.py"):
        tests.update(f"{path.name}::{name}" for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M))
    return tests, complete


class Tap:
    number = failed = 0

    def told(self, name, wrong, skip=""):
        self.number += 1
        self.failed += bool(wrong)
        print(f"{'not ok' if wrong else 'ok'} {self.number} - /contracts/{name}{' # SKIP ' + skip if skip else ''}")
        for line in wrong:
            print(f"# {line}")


def check_header(tap, header, table, tests, complete):
    name, said, (rows, malformed) = header.stem, read_header(header), read_table(table)
    must = {(one.anchor, one.text): one for one in said if not one.legend}
    may = {(one.anchor, one.text) for one in said}
    missing = [
        f"{header.name}:{one.line}: no row has this sentence (of {one.anchor}): {one.text}"
        for key, one in must.items()
        if key not in rows
    ]
    gone = [f"{table.name}: {header.name} no longer says this (of {key[0]}): {key[1]}" for key in rows if key not in may]
    bare, unknown, marks = [], [], collections.Counter()
    for (_, text), shown in rows.items():
        marks.update(mark for mark in MARKS if any(one.split(":")[0] == mark for one in shown))
        if not shown or "TODO" in shown:
            bare.append(f"{table.name}: nothing shows: {text}")
        unknown += [
            f"{table.name}: no such test: {one} (of: {text})"
            for one in shown
            if one != "TODO" and one not in tests and one.split(":")[0] not in MARKS
        ]
    tap.told(f"{name}/every-sentence-has-a-row", missing + malformed)
    tap.told(f"{name}/every-row-has-its-sentence", gone)
    tap.told(f"{name}/every-row-is-shown", bare)
    if complete:
        tap.told(f"{name}/every-test-exists", unknown)
    else:
        tap.told(f"{name}/every-test-exists", [], "not every plugin is built")
    excused = sum(marks.values())
    many = [f"{excused} of {len(rows)} sentences have a word in place of a test"] if excused > max(8, len(rows) // 3) else []
    tap.told(f"{name}/words-in-place-of-tests-are-few", many)
    print(f"# {name}: {len(rows)} sentences; " + ", ".join(f"{mark}: {marks[mark]}" for mark in MARKS))


def headers_of(source):
    paths = sorted(source.glob("core/include/rookery/*.h")) + sorted(source.glob("plugins/*/*-[0-9].h"))
    return [(path, source / "tests/contracts" / (path.stem + ".md")) for path in paths]


def main(arguments):
    command, source = arguments[0], pathlib.Path(arguments[1])
    if command == "update":
        for header, table in headers_of(source):
            if not arguments[2:] or header.stem in arguments[2:]:
                update(table, header, header.relative_to(source))
        return 0
    tap = Tap()
    tests, complete = tests_of(source, pathlib.Path(arguments[2]))
    for header, table in headers_of(source):
        check_header(tap, header, table, tests, complete)
    if tap.failed:
        print("# After a change of a header: make update-contracts, then name in tests/contracts what shows each sentence.")
    print(f"1..{tap.number}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
