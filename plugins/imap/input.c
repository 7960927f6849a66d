/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Gathers one command. Knows what a literal looks like (RFC 3501 4.3, RFC 7888) and nothing else of the grammar.
 */
#include "imap/input.h"

#include <string.h>

void
imap_input_init (ImapInput *self)
{
  *self = (ImapInput){ .parts = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref) };
}

void
imap_input_reset (ImapInput *self)
{
  g_ptr_array_set_size (self->parts, 0);
  g_clear_pointer (&self->bytes, g_byte_array_unref);
  g_clear_error (&self->error);
  self->code = NULL;
  self->total = 0;
  self->expected = 0;
  self->message = FALSE;
  self->dropping = FALSE;
}

void
imap_input_clear (ImapInput *self)
{
  imap_input_reset (self);
  g_clear_pointer (&self->parts, g_ptr_array_unref);
}

gboolean
imap_input_is_empty (const ImapInput *self)
{
  return self->parts->len == 0;
}

/* Whether @line ends with "{n}" or "{n+}". A number beyond 64 bits is given as the largest there is. */
static gboolean
ends_with_literal (const char *line, gsize length, guint64 *out_size, gboolean *out_sync)
{
  gsize pos = length;
  guint64 size = 0;

  if (pos < 3 || line[--pos] != '}')
    return FALSE;
  *out_sync = line[pos - 1] != '+';
  if (!*out_sync)
    pos--;
  length = pos;
  while (pos > 0 && g_ascii_isdigit (line[pos - 1]))
    pos--;
  if (pos == length || pos == 0 || line[pos - 1] != '{')
    return FALSE;
  for (; pos < length; pos++)
    {
      guint digit = (guint) (line[pos] - '0');

      if (size > (G_MAXUINT64 - digit) / 10)
        size = G_MAXUINT64;
      else
        size = size * 10 + digit;
    }
  *out_size = size;
  return TRUE;
}

/* What has come is let go, but for the words that the answer needs. */
static void
refuse (ImapInput *self, const char *code, const char *text)
{
  if (self->error != NULL)
    return;
  if (self->parts->len > 1)
    g_ptr_array_set_size (self->parts, 1);
  g_set_error_literal (&self->error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_LIMIT, text);
  self->code = code;
}

static void
check_limits (ImapInput *self, const ImapLimits *limits, guint64 size, gboolean message)
{
  if (message && size > limits->message)
    refuse (self, "TOOBIG", "Message too large");
  else if (!message && size > limits->literal)
    refuse (self, "LIMIT", "Literal too large");
  else if (!message && self->total + size > limits->command)
    refuse (self, "LIMIT", "Command too large");
}

static void
add_text (ImapInput *self, const ImapLimits *limits, const char *line, gsize length)
{
  self->total += length;
  if (self->total > limits->command)
    refuse (self, "LIMIT", "Command too large");
  if (self->parts->len / 2 >= limits->arguments)
    refuse (self, "LIMIT", "Too many arguments");
  if (self->error == NULL || self->parts->len == 0)
    g_ptr_array_add (self->parts, g_bytes_new (line, length));
}

/* Whether the literal that ends @line is in a message's place: behind "tag NAME argument ", the argument may be a literal. */
static gboolean
is_message_place (const ImapInput *self, const char *line, gsize length)
{
  const char *brace = memrchr (line, '{', length);
  guint spaces = 0;

  for (const char *pos = line; pos < brace; pos++)
    spaces += *pos == ' ';
  return brace > line && brace[-1] == ' ' && (self->parts->len > 1 || spaces >= 3);
}

ImapInputResult
imap_input_line (ImapInput *self, const ImapLimits *limits, const char *line, gsize length, gboolean message)
{
  guint64 size;
  gboolean sync;

  add_text (self, limits, line, length);
  if (!ends_with_literal (line, length, &size, &sync))
    return IMAP_INPUT_COMPLETE;
  message = message && !self->message && is_message_place (self, line, length);
  check_limits (self, limits, size, message);
  if (self->error != NULL && sync)
    return IMAP_INPUT_COMPLETE; /* refused before the client has sent it */
  if (size > IMAP_INPUT_SWALLOW_MAX)
    return IMAP_INPUT_HOPELESS;
  self->expected = size;
  self->dropping = self->error != NULL;
  if (!self->dropping)
    self->bytes = g_byte_array_new (); /* grows with what really comes */
  if (message)
    self->message = TRUE;
  else
    self->total += size;
  return sync ? IMAP_INPUT_LITERAL_SYNC : IMAP_INPUT_LITERAL;
}

void
imap_input_data (ImapInput *self, const guint8 *data, gsize length)
{
  g_assert (length <= self->expected);
  self->expected -= length;
  if (self->dropping)
    return;
  g_byte_array_append (self->bytes, data, (guint) length);
  if (self->expected == 0)
    g_ptr_array_add (self->parts, g_byte_array_free_to_bytes (g_steal_pointer (&self->bytes)));
}

static char *
next_word (const char **pos, const char *end)
{
  const char *start = *pos;

  while (*pos < end && **pos != ' ')
    (*pos)++;
  return *pos > start ? g_ascii_strup (start, *pos - start) : NULL;
}

void
imap_input_peek (const char *line, gsize length, char **out_tag, char **out_name, gboolean *out_uid)
{
  const char *pos = line, *end = line + length;
  g_autofree char *name = NULL;

  while (pos < end && *pos != ' ')
    pos++;
  *out_tag = pos > line && pos < end ? g_strndup (line, (gsize) (pos - line)) : NULL;
  pos += pos < end;
  name = next_word (&pos, end);
  *out_uid = g_strcmp0 (name, "UID") == 0 && pos < end;
  if (*out_uid)
    {
      pos++;
      g_free (name);
      name = next_word (&pos, end);
    }
  *out_name = g_steal_pointer (&name);
}
