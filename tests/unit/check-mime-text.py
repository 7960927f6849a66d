#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Mail that Python's email package writes is read back by rookery/mime-text.h as it was meant: header fields, parameters, file
names and bodies in many charsets, some hundred of each, as TAP.

  check-mime-text.py LIBRARY    (ROOKERY_TEST_SEED: the seed that a run has printed)
"""
import base64
import ctypes
import email.charset
import email.header
import email.message
import email.policy
import os
import quopri
import random
import sys

ROUNDS = 300
LETTERS = {
    "utf-8": "aäß€日😀 ,?=_\"",
    "iso-8859-1": "aäßéø =?_",
    "iso-8859-2": "ačřž .-",
    "iso-8859-5": "aжшя",
    "iso-8859-15": "a€ž",
    "koi8-r": "aжшя ",
    "windows-1251": "aжшя ",
    "gb2312": "a中国 ",
    "gb18030": "a中国€ ",
    "big5": "a中文 ",
    "euc-kr": "a한국 ",
    "shift_jis": "a日本語 ",
    "euc-jp": "a日本語 ",
    "iso-2022-jp": "a日本語 ",
    "utf-7": "aä日+ ",
}


class Part(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("header_offset", "header_length", "body_offset", "body_length")]
    _fields_ += [("body_lines", ctypes.c_uint32), ("n_parts", ctypes.c_uint32)]
    _fields_ += [(name, ctypes.c_char_p) for name in ("type", "subtype", "encoding", "charset")]


class GString(ctypes.Structure):
    _fields_ = [("str", ctypes.c_void_p), ("len", ctypes.c_size_t), ("allocated_len", ctypes.c_size_t)]


class Library:
    """The functions that are tried, and those of GLib that they need."""

    def __init__(self, path):
        self.core = ctypes.CDLL(path)
        self.glib = ctypes.CDLL("libglib-2.0.so.0")
        for library, name, result, *arguments in (
            (self.core, "rook_charsets_new", ctypes.c_void_p),
            (self.core, "rook_mime_decode_header", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t),
            (self.core, "rook_mime_decode_param", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p),
            (self.core, "rook_mime_decode_filename", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t),
            (self.core, "rook_mime_parse", ctypes.c_void_p, ctypes.c_void_p),
            (self.core, "rook_mime_unref", None, ctypes.c_void_p),
            (self.core, "rook_mime_find_part", ctypes.POINTER(Part), ctypes.c_void_p, ctypes.c_char_p),
            (self.core, "rook_part_text_new", ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(Part)),
            (self.core, "rook_part_text_feed", None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(GString)),
            (self.core, "rook_part_text_finish", None, ctypes.c_void_p, ctypes.POINTER(GString)),
            (self.core, "rook_part_text_free", None, ctypes.c_void_p),
            (self.glib, "g_bytes_new", ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t),
            (self.glib, "g_bytes_unref", None, ctypes.c_void_p),
            (self.glib, "g_string_new", ctypes.POINTER(GString), ctypes.c_char_p),
            (self.glib, "g_string_free", ctypes.c_void_p, ctypes.POINTER(GString), ctypes.c_int),
            (self.glib, "g_free", None, ctypes.c_void_p),
        ):
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
        self.charsets = self.core.rook_charsets_new()

    def take(self, pointer):
        if not pointer:
            return None
        text = ctypes.string_at(pointer).decode("utf-8")
        self.glib.g_free(pointer)
        return text

    def header(self, value):
        return self.take(self.core.rook_mime_decode_header(self.charsets, value, len(value)))

    def param(self, value, name):
        return self.take(self.core.rook_mime_decode_param(self.charsets, value, len(value), name.encode()))

    def filename(self, header):
        return self.take(self.core.rook_mime_decode_filename(self.charsets, header, len(header)))

    def body(self, message, size):
        """The text of a message's only part, given in pieces of @size bytes."""
        held = self.glib.g_bytes_new(message, len(message))
        mime = self.core.rook_mime_parse(held)
        part = self.core.rook_mime_find_part(mime, b"1")
        text, out = self.core.rook_part_text_new(self.charsets, part), self.glib.g_string_new(None)
        body = message[part.contents.body_offset : part.contents.body_offset + part.contents.body_length]
        for at in range(0, len(body), size):
            self.core.rook_part_text_feed(text, body[at : at + size], len(body[at : at + size]), out)
        self.core.rook_part_text_finish(text, out)
        self.core.rook_part_text_free(text)
        self.core.rook_mime_unref(mime)
        self.glib.g_bytes_unref(held)
        return self.take(self.glib.g_string_free(out, 0))


def make_text(dice, charset, longest):
    return "".join(dice.choice(LETTERS[charset]) for _ in range(dice.randint(1, longest))).strip() or "a"


def headers(library, dice, charset):
    text = make_text(dice, charset, 80)
    written = email.header.Header(text, charset, maxlinelen=dice.randint(40, 76), header_name="Subject").encode(linesep="\r\n")
    return text, library.header(written.encode("ascii")), written


def params(library, dice, charset):
    text = make_text(dice, charset, 40)
    message = email.message.Message()
    message.add_header("Content-Disposition", "attachment", filename=(charset, "en", text))
    written = message["Content-Disposition"]
    return text, library.param(written.encode("ascii"), "filename"), written


def filenames(library, dice, _charset):
    text = make_text(dice, "utf-8", 120)
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message.set_content(b"x", "application", "pdf", filename=text)
    written = message.as_bytes()
    return text, library.filename(written), written


def bodies(library, dice, charset):
    text = make_text(dice, charset, 3000)
    data = text.encode(charset)
    encoding = dice.choice(("base64", "quoted-printable", "8bit"))
    message = email.message.Message()
    message["Content-Type"] = f'text/plain; charset="{charset}"'
    message["Content-Transfer-Encoding"] = encoding
    if encoding == "base64":
        data = base64.encodebytes(data)
    elif encoding == "quoted-printable":
        data = quopri.encodestring(data, quotetabs=True)
    written = message.as_bytes() + data
    return text, library.body(written, dice.randint(1, 5000)), written


def main(path):
    seed = os.environ.get("ROOKERY_TEST_SEED") or str(random.SystemRandom().randrange(2**32))
    library, dice = Library(path), random.Random(seed)
    for name in LETTERS:
        email.charset.add_charset(name, dice.choice((email.charset.QP, email.charset.BASE64)), email.charset.BASE64, name)
    print(f"1..4\n# ROOKERY_TEST_SEED={seed}")
    for number, kind in enumerate((headers, params, filenames, bodies), 1):
        wrong = []
        for _ in range(ROUNDS):
            charset = dice.choice(list(LETTERS))
            meant, read, written = kind(library, dice, charset)
            if read != meant:
                wrong.append(f"{charset}: {meant!r} was written as {written!r} and read as {read!r}")
        print(f"{'not ok' if wrong else 'ok'} {number} - /mime/python/{kind.__name__}")
        for line in wrong[:5]:
            print("#", line)


main(sys.argv[1])
