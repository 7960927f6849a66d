/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages made to cost the one who reads them: each is taken apart, asked everything, stored and read back, and all its text
 * decoded, within a budget of processor time; and one of four times the size takes four times as long, not sixteen. What core/mime/README.md
 * promises in numbers is the table below.
 *
 * Time is that of this thread on a processor, the least of several runs: how busy the machine is does not matter.
 */
#include <string.h>
#include <time.h>

#include "mime/mime-private.h"
#include "rookery/mime-text.h"

/* What a message of @size bytes may cost: seconds, five to ten times what was needed where this was written; and bytes of what
 * is kept of it. */
#define SECONDS_BUDGET(size) (3.0 + 0.5 * (double) (size) / 1e6)
#define BYTES_BUDGET(size) (64 * 1024 * 1024 + 10 * (guint64) (size))

#define ATTEMPTS 12
#define GROWTH 12  /* four times the input may take so many times as long; sixteen would be its square */
#define NOISE 0.01 /* seconds that a comparison may be off by */

/* @before, @n times @unit, @after; or what @make makes of @n. */
typedef struct {
  const char *name;
  const char *before, *unit, *after;
  guint n;
  guint parts; /* that are found, the message included; 0: not looked at */
  GBytes *(*make) (guint n);
} Bomb;

/* --- making them ---------------------------------------------------------------------------------------------------- */

static GBytes *
make_row (const char *before, const char *unit, guint n, const char *after)
{
  GString *out = g_string_new (before);

  for (guint i = 0; i < n; i++)
    g_string_append (out, unit);
  g_string_append (out, after);
  return g_string_free_to_bytes (out);
}

/* @n multiparts, one inside the other; boundaries by @boundary. */
static GBytes *
nest (guint n, char *(*boundary) (guint level))
{
  GString *out = g_string_new (NULL);

  for (guint i = 0; i < n; i++)
    {
      g_autofree char *mark = boundary (i);

      g_string_append_printf (out, "Content-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n--%s\r\n", mark, mark);
    }
  g_string_append (out, "\r\ntext\r\n");
  for (guint i = n; i-- > 0;)
    {
      g_autofree char *mark = boundary (i);

      g_string_append_printf (out, "--%s--\r\n", mark);
    }
  return g_string_free_to_bytes (out);
}

static char *
number_boundary (guint level)
{
  return g_strdup_printf ("level-%u", level);
}

/* Each is the beginning of the next, and looks like the closing one of another. */
static char *
prefix_boundary (guint level)
{
  GString *out = g_string_new ("b");

  for (guint i = 0; i < level % 100; i++)
    g_string_append (out, "--");
  return g_string_free (out, FALSE);
}

/* Two that take turns: inside each other, and hidden by each other. */
static char *
turning_boundary (guint level)
{
  return g_strdup (level % 2 ? "a" : "a--");
}

static GBytes *
make_nested (guint n)
{
  return nest (n, number_boundary);
}

/* The deepest part then holds @n lines that are nearly boundaries, or those of a part far outside. */
static GBytes *
make_lines (guint n, guint depth, char *(*boundary) (guint level))
{
  g_autoptr (GBytes) nested = nest (depth, boundary);
  gsize size;
  const char *text = g_bytes_get_data (nested, &size);
  const char *middle = strstr (text, "\r\ntext\r\n") + 2;
  GString *out = g_string_new_len (text, middle - text);

  for (guint i = 0; i < n; i++)
    {
      g_autofree char *mark = boundary (i % (depth + 2));

      g_string_append_printf (out, "%s%s%s\r\n", i % 3 == 0 ? "---" : "--", mark, i % 3 == 1 ? "-" : " x");
    }
  g_string_append_len (out, middle, text + size - middle);
  return g_string_free_to_bytes (out);
}

static GBytes *
make_prefixes (guint n)
{
  return make_lines (n, 90, prefix_boundary);
}

static GBytes *
make_turning (guint n)
{
  return make_lines (n, 90, turning_boundary);
}

/* Parts that are begun by the boundary of the outermost, all others open. */
static GBytes *
make_reopened (guint n)
{
  GString *out = g_string_new ("Content-Type: multipart/mixed; boundary=out\r\n\r\n");

  for (guint i = 0; i < n; i++)
    g_string_append_printf (out, "--out\r\nContent-Type: multipart/mixed; boundary=in%u\r\n\r\n--in%u\r\n\r\n", i % 7,
                            i % 5);
  return g_string_free_to_bytes (out);
}

static GBytes *
make_messages (guint n)
{
  return make_row ("", "Content-Type: message/rfc822\r\n\r\n", n, "Subject: inside\r\n\r\ntext\r\n");
}

/* Messages with many addresses, each of two bytes. */
static GBytes *
make_letters (guint n)
{
  GString *out = g_string_new ("Content-Type: multipart/digest; boundary=x\r\n\r\n");

  for (guint i = 0; i < n; i++)
    {
      g_string_append (out, "--x\r\n\r\nFrom: ");
      for (guint k = 0; k < 200; k++)
        g_string_append (out, "a,");
      g_string_append (out, "\r\n\r\ntext\r\n");
    }
  return g_string_free_to_bytes (out);
}

static void
append_times (GString *out, char c, guint n)
{
  for (guint i = 0; i < n; i++)
    g_string_append_c (out, c);
}

static GBytes *
make_comments (guint n)
{
  GString *out = g_string_new ("Content-Type: text/plain; ");

  append_times (out, '(', n);
  append_times (out, ')', n);
  g_string_append (out, "; charset=utf-8\r\nFrom: ");
  append_times (out, '(', n);
  append_times (out, ')', n);
  g_string_append (out, " a@b\r\n\r\ntext\r\n");
  return g_string_free_to_bytes (out);
}

static GBytes *
make_continuations (guint n)
{
  GString *out = g_string_new ("Content-Type: text/plain");

  for (guint i = 0; i < n; i++)
    g_string_append_printf (out, ";\r\n name*%u*=%%41", i);
  g_string_append (out, "\r\n\r\ntext\r\n");
  return g_string_free_to_bytes (out);
}

/* Encoded words, each in another charset than the one before. */
static GBytes *
make_charsets (guint n)
{
  static const char *const names[] = {
    "iso-2022-jp", "gb2312", "utf-7", "big5", "koi8-r", "euc-kr", "shift_jis", "none"
  };
  GString *out = g_string_new ("Subject: ");

  for (guint i = 0; i < n; i++)
    g_string_append_printf (out, "=?%s?q?a=b0?= ", names[i % G_N_ELEMENTS (names)]);
  g_string_append (out, "\r\n\r\ntext\r\n");
  return g_string_free_to_bytes (out);
}

/* As many parts as there may be, each in another charset than the one before. */
static GBytes *
make_charset_parts (guint n)
{
  static const char *const names[] = { "iso-2022-jp", "gb18030", "utf-7", "big5", "koi8-r", "euc-kr", "shift_jis" };
  GString *out = g_string_new ("Content-Type: multipart/mixed; boundary=x\r\n\r\n");

  for (guint i = 0; i < n; i++)
    g_string_append_printf (out, "--x\r\nContent-Type: text/plain; charset=%s\r\n\r\na\xb0\r\n",
                            names[i % G_N_ELEMENTS (names)]);
  return g_string_free_to_bytes (out);
}

/* As many parts as there may be, with as many pieces of a parameter. */
static GBytes *
make_piece_parts (guint n)
{
  GString *pieces = g_string_new ("Content-Type: a/b");
  GString *out = g_string_new ("Content-Type: multipart/mixed; boundary=x\r\n\r\n");

  for (guint i = 0; i < ROOK_MIME_MAX_PARAMS; i++)
    g_string_append_printf (pieces, ";n*%u*=a", ROOK_MIME_MAX_PARAMS - 1 - i);
  for (guint i = 0; i < n; i++)
    g_string_append_printf (out, "--x\r\n%s\r\n\r\na\r\n", pieces->str);
  g_string_free (pieces, TRUE);
  return g_string_free_to_bytes (out);
}

#define TEXT(charset, encoding) \
  "Content-Type: text/plain; charset=" charset "\r\nContent-Transfer-Encoding: " encoding "\r\n\r\n"
#define MULTIPART "Content-Type: multipart/mixed; boundary=x\r\n\r\n"

static const Bomb bombs[] = {
  /* name, before, unit, after, n, parts, maker */
  { "parts", MULTIPART, "--x\r\n\r\na\r\n", "--x--\r\n", 9999, 10000, NULL },
  { "parts-beyond", MULTIPART, "--x\r\n\r\na\r\n", "--x--\r\n", 500000, 10000, NULL },
  { "digest", "Content-Type: multipart/digest; boundary=x\r\n\r\n", "--x\r\n\r\nFrom: a@b\r\n\r\na\r\n", "--x--\r\n",
    100000, 10000, NULL },
  { "depth", NULL, NULL, NULL, 99, 100, make_nested },
  { "depth-beyond", NULL, NULL, NULL, 100000, 100, make_nested },
  { "messages", NULL, NULL, NULL, 100000, 100, make_messages },
  { "boundaries/prefixes", NULL, NULL, NULL, 100000, 0, make_prefixes },
  { "boundaries/turning", NULL, NULL, NULL, 500000, 0, make_turning },
  { "boundaries/reopened", NULL, NULL, NULL, 100000, 0, make_reopened },
  { "boundaries/spaces", MULTIPART, "--                                \r\n", "--x\r\n\r\n", 300000, 2, NULL },
  { "header/fields", "", "X-A: b\r\n", "\r\ntext\r\n", 1250000, 1, NULL },
  { "header/no-fields", "", "no field\r\n", "\r\ntext\r\n", 1000000, 1, NULL },
  { "header/same-field", "", "Content-Type: text/plain\r\n", "\r\ntext\r\n", 400000, 1, NULL },
  { "header/line", "Subject: ", "0123456789", "\r\n\r\ntext\r\n", 1000000, 1, NULL },
  { "header/name", "", "0123456789", ": a\r\n\r\ntext\r\n", 1000000, 1, NULL },
  { "header/folds", "Subject: a", "\r\n b", "\r\n\r\ntext\r\n", 2500000, 1, NULL },
  { "header/encoded-words", "Subject: ", "=?utf-8?q?a?= ", "\r\n\r\ntext\r\n", 1000000, 1, NULL },
  { "header/continuations", NULL, NULL, NULL, 100000, 1, make_continuations },
  { "header/comments", NULL, NULL, NULL, 100000, 1, make_comments },
  { "header/open-comments", "Content-Type: text/plain;", " a=b (;", "\r\n\r\ntext\r\n", 100000, 1, NULL },
  { "header/languages", "Content-Language: ", "en, ", "\r\n\r\ntext\r\n", 1000000, 1, NULL },
  { "addresses/lines", "", "Cc: a@b\r\n", "\r\ntext\r\n", 500000, 1, NULL },
  { "addresses/list", "To: ", "a b <c@d>, ", "\r\n\r\ntext\r\n", 500000, 1, NULL },
  { "addresses/from", "From: ", "a,", "\r\n\r\ntext\r\n", 500000, 1, NULL },
  { "addresses/letters", NULL, NULL, NULL, 5000, 0, make_letters },
  { "addresses/groups", "To: ", "g: a@b;", "\r\n\r\ntext\r\n", 500000, 1, NULL },
  { "addresses/angles", "To: ", "<", "\r\n\r\ntext\r\n", 1000000, 1, NULL },
  { "addresses/colons", "To: ", ":", "\r\n\r\ntext\r\n", 1000000, 1, NULL },
  { "addresses/routes", "To: ", "<@a", "\r\n\r\ntext\r\n", 1000000, 1, NULL },
  { "addresses/quotes", "To: ", "\"a\" ", "\r\n\r\ntext\r\n", 1000000, 1, NULL },
  { "addresses/comments", "To: ", "(a) ", "\r\n\r\ntext\r\n", 1000000, 1, NULL },
  { "words/begun", "Subject: ", "=?utf-8?q?", "\r\n\r\ntext\r\n", 1000000, 1, NULL },
  { "words/without-end", "Subject: ", "=?utf-8?q?a ", "\r\n\r\ntext\r\n", 1000000, 1, NULL },
  { "words/bare-beginnings", "Subject: ", "=?", "\r\n\r\ntext\r\n", 5000000, 1, NULL },
  { "words/empty", "Subject: ",
    "=?utf-8?q?"
    "?= ",
    "\r\n\r\ntext\r\n", 1000000, 1, NULL },
  { "words/split", "Subject: ", "=?utf-8?b?gg?= ", "\r\n\r\ntext\r\n", 1000000, 1, NULL },
  { "words/charsets", NULL, NULL, NULL, 500000, 1, make_charsets },
  { "params/same-piece", "Content-Disposition: a", "; filename*0*=a", "\r\n\r\ntext\r\n", 1000000, 1, NULL },
  { "params/piece-parts", NULL, NULL, NULL, 9999, 10000, make_piece_parts },
  { "params/percent", "Content-Disposition: a; filename*=utf-8''", "%e2%82", "\r\n\r\ntext\r\n", 1500000, 1, NULL },
  { "text/base64-garbage", TEXT ("utf-8", "base64"), "!=a/\x80", "", 2000000, 1, NULL },
  { "text/base64", TEXT ("gb18030", "base64"), "/4H/", "", 2500000, 1, NULL },
  { "text/escapes", TEXT ("utf-8", "quoted-printable"), "= \t =4", "", 1500000, 1, NULL },
  { "text/spaces", TEXT ("utf-8", "quoted-printable"), "    ", "", 2500000, 1, NULL },
  { "text/no-utf-8", TEXT ("utf-8", "8bit"), "\xf0\x9f", "", 5000000, 1, NULL },
  { "text/no-japanese", TEXT ("iso-2022-jp", "8bit"), "\x1b$B\xff", "", 2000000, 1, NULL },
  { "text/shifts", TEXT ("utf-7", "8bit"), "+-+A\xff", "", 2000000, 1, NULL },
  { "text/charsets", NULL, NULL, NULL, 9999, 10000, make_charset_parts },
};

/* --- what is asked of them ------------------------------------------------------------------------------------------- */

static guint
count_parts (RookMime *mime, const RookMimePart *part, guint depth)
{
  guint n = 1;

  g_assert_cmpuint (depth, <=, ROOK_MIME_MAX_DEPTH);
  for (guint i = 0; i < part->n_parts; i++)
    n += count_parts (mime, rook_mime_get_child (mime, part, i), depth + 1);
  return n;
}

static void
ask (GBytes *message, RookMime *mime)
{
  static const char *const fields[] = { "cc", "x-other", NULL };
  gsize size;
  const char *text = g_bytes_get_data (message, &size);
  G_GNUC_UNUSED g_autoptr (GBytes) named = rook_mime_filter_header (text, size, fields, FALSE);
  G_GNUC_UNUSED g_autoptr (GBytes) others = rook_mime_filter_header (text, size, fields, TRUE);
  G_GNUC_UNUSED g_autofree char *subject = rook_mime_get_header (mime, "subject");
  G_GNUC_UNUSED g_autofree char *missing = rook_mime_get_header (mime, "x-other");
  G_GNUC_UNUSED const RookMimePart *inner = rook_mime_find_part (mime, "1.1.1.1.1.1.1.1");

  g_assert_nonnull (rook_mime_find_part (mime, ""));
}

/* Every header block as one value, as parameters, as the place of a file name; and the text of each part that has no others. */
static void
read_texts (GBytes *message, RookMime *mime)
{
  g_autoptr (RookCharsets) charsets = rook_charsets_new ();
  const char *data = g_bytes_get_data (message, NULL);
  const RookMimePart *part = NULL;

  while ((part = rook_mime_next_part (mime, part)) != NULL)
    {
      const char *header = data + part->header_offset;
      G_GNUC_UNUSED g_autofree char *value = rook_mime_decode_header (charsets, header, part->header_length);
      G_GNUC_UNUSED g_autofree char *param = rook_mime_decode_param (charsets, header, part->header_length, "filename");
      G_GNUC_UNUSED g_autofree char *name = rook_mime_decode_filename (charsets, header, part->header_length);
      g_autoptr (RookPartText) text = rook_part_text_new (charsets, part);
      g_autoptr (GString) out = g_string_new (NULL);

      if (part->n_parts == 0)
        rook_part_text_feed (text, data + part->body_offset, part->body_length, out);
      rook_part_text_finish (text, out);
      g_assert_cmpuint (out->len, <=, 4 * part->body_length + 64);
    }
}

/* ENVELOPE, BODY, BODYSTRUCTURE and the stored form together. */
static guint64
summary_size (RookMime *mime, GBytes *cache)
{
  return strlen (rook_mime_get_envelope (mime)) + strlen (rook_mime_get_body (mime))
         + strlen (rook_mime_get_bodystructure (mime)) + g_bytes_get_size (cache);
}

/* Returns: the parts found. */
static guint
use (GBytes *message)
{
  g_autoptr (RookMime) mime = rook_mime_parse (message);
  g_autoptr (GBytes) cache = rook_mime_to_cache (mime);
  g_autoptr (RookMime) back = rook_mime_from_cache (cache);
  guint n = count_parts (mime, rook_mime_find_part (mime, ""), 0);

  ask (message, mime);
  read_texts (message, mime);
  g_assert_cmpuint (summary_size (mime, cache), <=, BYTES_BUDGET (g_bytes_get_size (message)));
  g_assert_nonnull (back);
  g_assert_cmpstr (rook_mime_get_envelope (back), ==, rook_mime_get_envelope (mime));
  g_assert_cmpstr (rook_mime_get_body (back), ==, rook_mime_get_body (mime));
  g_assert_cmpstr (rook_mime_get_bodystructure (back), ==, rook_mime_get_bodystructure (mime));
  g_assert_cmpuint (n, ==, count_parts (back, rook_mime_find_part (back, ""), 0));
  g_assert_cmpuint (n, <=, ROOK_MIME_MAX_PARTS);
  return n;
}

static GBytes *
make_bomb (const Bomb *bomb, guint n)
{
  return bomb->make != NULL ? bomb->make (n) : make_row (bomb->before, bomb->unit, n, bomb->after);
}

#ifdef ROOK_SANITIZED
/* Which looks at each byte that is read, and takes its time for it. */
static void
test_bomb (gconstpointer data)
{
  g_autoptr (GBytes) quarter = make_bomb (data, ((const Bomb *) data)->n / 4);

  use (quarter);
}
#else
static double
processor_time (void)
{
  struct timespec now;

  g_assert_cmpint (clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now), ==, 0);
  return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

/* The least of what it took so far and what it takes now. */
static double
measure (const Bomb *bomb, GBytes *message, double best, gboolean whole)
{
  double start = processor_time ();
  guint parts = use (message);

  if (whole && bomb->parts > 0)
    g_assert_cmpuint (parts, ==, bomb->parts);
  return MIN (best, processor_time () - start);
}

static void
test_bomb (gconstpointer data)
{
  const Bomb *bomb = data;
  g_autoptr (GBytes) quarter = make_bomb (bomb, bomb->n / 4);
  g_autoptr (GBytes) whole = make_bomb (bomb, bomb->n);
  double quarter_time = G_MAXDOUBLE, whole_time = G_MAXDOUBLE, budget = SECONDS_BUDGET (g_bytes_get_size (whole));
  gboolean good = FALSE;

  for (guint i = 0; i < ATTEMPTS && !good; i++)
    {
      quarter_time = measure (bomb, quarter, quarter_time, FALSE);
      whole_time = measure (bomb, whole, whole_time, TRUE);
      good = whole_time <= GROWTH * quarter_time + NOISE && whole_time <= budget;
    }
  g_test_message ("%s: %.1f MB in %.3f s, a quarter of it in %.3f s; budget %.1f s", bomb->name,
                  (double) g_bytes_get_size (whole) / 1e6, whole_time, quarter_time, budget);
  g_assert_cmpfloat (whole_time, <=, budget);
  g_assert_cmpfloat (whole_time, <=, GROWTH * quarter_time + NOISE);
}
#endif

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (bombs); i++)
    {
      g_autofree char *path = g_strdup_printf ("/mime/bombs/%s", bombs[i].name);

      g_test_add_data_func (path, &bombs[i], test_bomb);
    }
  return g_test_run ();
}
