/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cursor over a command: atoms, strings, literals, numbers and lists of RFC 3501 section 9.
 * Dates and flags are in parse-values.c, sequence sets in sequence.c.
 */
#include "imap/parse.h"

#include <string.h>

G_DEFINE_QUARK (imap - parse - error - quark, imap_parse_error)

static void
set_text (ImapParser *self, guint part)
{
  gsize length;
  const char *text = g_bytes_get_data (g_ptr_array_index (self->parts, part), &length);

  self->part = part;
  self->pos = text != NULL ? text : "";
  self->end = self->pos + length;
}

void
imap_parser_init (ImapParser *self, const ImapLimits *limits, GPtrArray *parts)
{
  *self = (ImapParser){ .limits = limits, .parts = parts };
  set_text (self, 0);
}

static gboolean
syntax_error (GError **error, const char *text)
{
  g_set_error_literal (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_SYNTAX, text);
  return FALSE;
}

/* Every thing read counts as an argument: a command of absurd size ends here. */
static gboolean
count_argument (ImapParser *self, GError **error)
{
  if (++self->n_arguments <= self->limits->arguments)
    return TRUE;
  g_set_error_literal (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_LIMIT, "Too many arguments");
  return FALSE;
}

static gboolean
is_atom_char (guchar c)
{
  return c > ' ' && c < 0x7f && strchr ("(){%*\"\\]", c) == NULL;
}

static gboolean
is_astring_char (guchar c)
{
  return is_atom_char (c) || c == ']';
}

static gboolean
is_list_char (guchar c)
{
  return is_astring_char (c) || c == '%' || c == '*';
}

static gboolean
is_tag_char (guchar c)
{
  return is_astring_char (c) && c != '+';
}

char
imap_parser_peek (const ImapParser *self)
{
  return self->pos < self->end ? *self->pos : 0;
}

gboolean
imap_parse_try_char (ImapParser *self, char c)
{
  if (imap_parser_peek (self) != c || self->pos == self->end)
    return FALSE;
  self->pos++;
  return TRUE;
}

gboolean
imap_parse_char (ImapParser *self, char c, GError **error)
{
  if (imap_parse_try_char (self, c))
    return TRUE;
  g_set_error (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_SYNTAX, "Expected '%c'", c);
  return FALSE;
}

gboolean
imap_parse_space (ImapParser *self, GError **error)
{
  return imap_parse_try_char (self, ' ') || syntax_error (error, "Missing argument");
}

gboolean
imap_parse_end (ImapParser *self, GError **error)
{
  return self->pos == self->end || syntax_error (error, "Unexpected text after the command");
}

gboolean
imap_parse_try_word (ImapParser *self, const char *word)
{
  gsize length = strlen (word);

  if ((gsize) (self->end - self->pos) < length || g_ascii_strncasecmp (self->pos, word, length) != 0)
    return FALSE;
  if (self->pos + length < self->end && is_atom_char ((guchar) self->pos[length]))
    return FALSE;
  self->pos += length;
  return TRUE;
}

gboolean
imap_parse_enter (ImapParser *self, GError **error)
{
  if (self->depth < self->limits->nesting)
    {
      self->depth++;
      return TRUE;
    }
  g_set_error_literal (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_LIMIT, "Nested too deeply");
  return FALSE;
}

void
imap_parse_leave (ImapParser *self)
{
  g_assert (self->depth > 0);
  self->depth--;
}

gboolean
imap_parse_open (ImapParser *self, GError **error)
{
  return imap_parse_char (self, '(', error) && imap_parse_enter (self, error);
}

gboolean
imap_parse_close (ImapParser *self, GError **error)
{
  if (!imap_parse_char (self, ')', error))
    return FALSE;
  imap_parse_leave (self);
  return TRUE;
}

static gboolean
parse_run (ImapParser *self, gboolean (*belongs) (guchar c), const char *what, char **out_text, GError **error)
{
  const char *start = self->pos;

  if (!count_argument (self, error))
    return FALSE;
  while (self->pos < self->end && belongs ((guchar) *self->pos))
    self->pos++;
  if (self->pos == start)
    return syntax_error (error, what);
  *out_text = g_strndup (start, (gsize) (self->pos - start));
  return TRUE;
}

gboolean
imap_parse_tag (ImapParser *self, char **out_tag, GError **error)
{
  return parse_run (self, is_tag_char, "Invalid tag", out_tag, error);
}

gboolean
imap_parse_atom (ImapParser *self, char **out_atom, GError **error)
{
  return parse_run (self, is_atom_char, "Expected an atom", out_atom, error);
}

/* What a backslash escapes is one of two characters; 8-bit text is let through, as clients send passwords so. */
static gboolean
parse_quoted (ImapParser *self, char **out_string, GError **error)
{
  g_autoptr (GString) string = g_string_new (NULL);

  for (const char *pos = self->pos + 1; pos < self->end; pos++)
    {
      if (*pos == '"')
        {
          self->pos = pos + 1;
          *out_string = g_string_free (g_steal_pointer (&string), FALSE);
          return TRUE;
        }
      if (*pos == '\\' && (++pos == self->end || (*pos != '"' && *pos != '\\')))
        return syntax_error (error, "Invalid escape in a quoted string");
      g_string_append_c (string, *pos);
    }
  return syntax_error (error, "Quoted string without end");
}

gboolean
imap_parse_literal (ImapParser *self, GBytes **out_bytes, GError **error)
{
  if (imap_parser_peek (self) != '{' || self->part + 2 >= self->parts->len)
    return syntax_error (error, "Expected a literal");
  for (const char *pos = self->pos + 1; pos < self->end - 1; pos++)
    if (!g_ascii_isdigit (*pos) && !(*pos == '+' && pos == self->end - 2))
      return syntax_error (error, "Expected a literal");
  if (!count_argument (self, error))
    return FALSE;
  *out_bytes = g_bytes_ref (g_ptr_array_index (self->parts, self->part + 1));
  set_text (self, self->part + 2);
  return TRUE;
}

static gboolean
parse_literal_string (ImapParser *self, char **out_string, GError **error)
{
  g_autoptr (GBytes) bytes = NULL;
  gsize length;
  const char *data;

  if (!imap_parse_literal (self, &bytes, error))
    return FALSE;
  data = g_bytes_get_data (bytes, &length);
  if (length > 0 && memchr (data, 0, length) != NULL)
    return syntax_error (error, "NUL in a literal");
  *out_string = g_strndup (length > 0 ? data : "", length);
  return TRUE;
}

gboolean
imap_parse_string (ImapParser *self, char **out_string, GError **error)
{
  switch (imap_parser_peek (self))
    {
    case '"':
      return count_argument (self, error) && parse_quoted (self, out_string, error);
    case '{':
      return parse_literal_string (self, out_string, error);
    default:
      return syntax_error (error, "Expected a string");
    }
}

static gboolean
parse_run_or_string (ImapParser *self, gboolean (*belongs) (guchar c), char **out_string, GError **error)
{
  char c = imap_parser_peek (self);

  if (c == '"' || c == '{')
    return imap_parse_string (self, out_string, error);
  return parse_run (self, belongs, "Expected a string", out_string, error);
}

gboolean
imap_parse_astring (ImapParser *self, char **out_string, GError **error)
{
  return parse_run_or_string (self, is_astring_char, out_string, error);
}

gboolean
imap_parse_list_mailbox (ImapParser *self, char **out_pattern, GError **error)
{
  return parse_run_or_string (self, is_list_char, out_pattern, error);
}

gboolean
imap_parse_nstring (ImapParser *self, char **out_string, GError **error)
{
  if (!imap_parse_try_word (self, "NIL"))
    return imap_parse_string (self, out_string, error);
  *out_string = NULL;
  return TRUE;
}

gboolean
imap_parse_number64 (ImapParser *self, guint64 *out_number, GError **error)
{
  const char *start = self->pos;
  guint64 number = 0;

  if (!count_argument (self, error))
    return FALSE;
  for (; self->pos < self->end && g_ascii_isdigit (*self->pos); self->pos++)
    {
      guint digit = (guint) (*self->pos - '0');

      if (number > ((guint64) G_MAXINT64 - digit) / 10)
        return syntax_error (error, "Number too large");
      number = number * 10 + digit;
    }
  if (self->pos == start)
    return syntax_error (error, "Expected a number");
  *out_number = number;
  return TRUE;
}

gboolean
imap_parse_number (ImapParser *self, guint32 *out_number, GError **error)
{
  guint64 number;

  if (!imap_parse_number64 (self, &number, error))
    return FALSE;
  if (number > G_MAXUINT32)
    return syntax_error (error, "Number too large");
  *out_number = (guint32) number;
  return TRUE;
}

gboolean
imap_parse_nz_number (ImapParser *self, guint32 *out_number, GError **error)
{
  guint32 number;

  if (!imap_parse_number (self, &number, error))
    return FALSE;
  if (number == 0)
    return syntax_error (error, "Number must not be zero");
  *out_number = number;
  return TRUE;
}
