/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Address lists (RFC 5322 3.4) as IMAP's ENVELOPE shows them: name, route, local part, domain, and groups.
 *
 * Forgiving, since mail is what it is: what can't be an address is shown as far as it can be read. One pass; every
 * byte is looked at a bounded number of times. Encoded words are left as they are.
 */
#include <string.h>

#include "mime/mime-private.h"

#define NO_DOMAIN "unspecified-domain" /* ENVELOPE has no way to say "none": NIL would mean a group */

typedef struct {
  RookSpan text;
  gsize i;
  GString *out;
  guint *left;     /* addresses that may still be written */
  gboolean any;    /* whether an address was written */
  GString *words;  /* of a phrase or local part so far */
  gboolean quoted; /* a word of it was quoted */
  gboolean space;  /* white space came since the last word */
  char *comment;   /* (nullable) the last comment: the old way to give a name */
} Reader;

static void
write_address (Reader *r, const char *name, const char *route, const char *local, const char *domain)
{
  g_string_append (r->out, r->any ? "(" : "((");
  r->any = TRUE;
  if (*r->left > 0) /* the end of a group is written in any case */
    --*r->left;
  rook_imap_append_nstring (r->out, name);
  g_string_append_c (r->out, ' ');
  rook_imap_append_nstring (r->out, route);
  g_string_append_c (r->out, ' ');
  rook_imap_append_nstring (r->out, local);
  g_string_append_c (r->out, ' ');
  rook_imap_append_nstring (r->out, domain);
  g_string_append_c (r->out, ')');
}

static void
reset (Reader *r)
{
  g_string_truncate (r->words, 0);
  r->quoted = r->space = FALSE;
  g_clear_pointer (&r->comment, g_free);
}

/* @i behind "(": keeps the text. */
static void
read_comment (Reader *r)
{
  GString *text = g_string_new (NULL);
  guint depth = 1;

  for (; r->i < r->text.length && depth > 0; r->i++)
    {
      char c = r->text.data[r->i];

      if (c == '\\' && r->i + 1 < r->text.length)
        c = r->text.data[++r->i];
      else if (c == '(')
        depth++;
      else if (c == ')' && --depth == 0)
        continue;
      if (c != '\r' && c != '\n' && c != '\0')
        g_string_append_c (text, c);
    }
  g_free (r->comment);
  r->comment = g_strstrip (g_string_free (text, FALSE));
}

/* @i behind the opening quote: the words go on with the quoted text. */
static void
read_quoted (Reader *r)
{
  for (; r->i < r->text.length && r->text.data[r->i] != '"'; r->i++)
    {
      char c = r->text.data[r->i];

      if (c == '\\' && r->i + 1 < r->text.length)
        c = r->text.data[++r->i];
      if (c != '\r' && c != '\n' && c != '\0')
        g_string_append_c (r->words, c);
    }
  r->i = MIN (r->i + 1, r->text.length);
  r->quoted = TRUE;
}

/* Reads words until one of @stops or the end; comments and folds are taken out. Returns the stop, 0 at the end. */
static char
read_words (Reader *r, const char *stops)
{
  while (r->i < r->text.length)
    {
      char c = r->text.data[r->i];

      if (c != '\0' && strchr (stops, c) != NULL)
        return c;
      r->i++;
      if (c == '(')
        read_comment (r);
      else if (rook_is_space (c))
        r->space = TRUE;
      else if (c != '\0')
        {
          if (r->space && r->words->len > 0)
            g_string_append_c (r->words, ' ');
          r->space = FALSE;
          if (c == '"')
            read_quoted (r);
          else
            {
              if (c == '\\' && r->i < r->text.length && r->text.data[r->i] != '\0')
                c = r->text.data[r->i++];
              g_string_append_c (r->words, c);
            }
        }
    }
  return 0;
}

/* Space around dots and "@" is allowed and means nothing. */
static char *
without_space (const char *text)
{
  GString *out = g_string_new (NULL);

  for (; *text != '\0'; text++)
    if (*text != ' ')
      g_string_append_c (out, *text);
  return g_string_free (out, FALSE);
}

static char *
take_words (Reader *r, gboolean compact)
{
  char *words = compact && !r->quoted ? without_space (r->words->str) : g_strdup (r->words->str);

  g_string_truncate (r->words, 0);
  r->quoted = r->space = FALSE;
  return words;
}

static char *
or_null (char *text)
{
  if (text != NULL && *text == '\0')
    g_clear_pointer (&text, g_free);
  return text;
}

/* @i behind "<"; the words before it are the name. */
static void
read_angle (Reader *r)
{
  g_autofree char *name = or_null (take_words (r, FALSE));
  g_autofree char *route = NULL, *local = NULL, *domain = NULL;
  char stop;

  r->i = rook_skip_cfws (r->text, r->i);
  if (r->i < r->text.length && r->text.data[r->i] == '@')
    {
      stop = read_words (r, ":>");
      route = or_null (take_words (r, TRUE));
      r->i += stop == ':';
    }
  stop = read_words (r, "@>,");
  local = take_words (r, TRUE);
  if (stop == '@')
    {
      r->i++;
      read_words (r, ">,");
      domain = or_null (take_words (r, TRUE));
    }
  while (r->i < r->text.length && r->text.data[r->i] != '>' && r->text.data[r->i] != ',')
    r->i++;
  if (r->i < r->text.length && r->text.data[r->i] == '>')
    r->i++;
  if (name == NULL)
    name = or_null (g_steal_pointer (&r->comment));
  if (*local != '\0' || domain != NULL)
    write_address (r, name, route, local, domain != NULL ? domain : NO_DOMAIN);
}

/* A bare "local@domain" or "local" whose local part is in the words. */
static void
read_bare (Reader *r, gboolean at)
{
  g_autofree char *local = take_words (r, TRUE);
  g_autofree char *domain = NULL, *name = NULL;

  if (at)
    {
      r->i++;
      read_words (r, ",;<");
      domain = or_null (take_words (r, TRUE));
    }
  name = or_null (g_steal_pointer (&r->comment));
  if (*local != '\0' || domain != NULL)
    write_address (r, name, NULL, local, domain != NULL ? domain : NO_DOMAIN);
}

/* To the next "," or ";" of this list, over what an address has left behind it. */
static void
skip_rest (Reader *r)
{
  read_words (r, ",;");
  reset (r);
}

/* One element of the list, @i at its beginning. */
static void
read_element (Reader *r, gboolean *in_group)
{
  char stop = read_words (r, "<@,:;");

  if (stop == '<')
    {
      r->i++;
      read_angle (r);
      skip_rest (r);
    }
  else if (stop == ':')
    {
      g_autofree char *name = take_words (r, FALSE);

      r->i++;
      if (!*in_group)
        write_address (r, NULL, NULL, name, NULL);
      *in_group = TRUE;
      g_clear_pointer (&r->comment, g_free);
    }
  else
    {
      read_bare (r, stop == '@');
      skip_rest (r);
    }
}

void
rook_address_append_list (GString *out, RookSpan value, guint *left)
{
  Reader r = { .text = value, .out = out, .left = left, .words = g_string_new (NULL) };
  gboolean in_group = FALSE;

  while (r.i<value.length && * left> 0)
    {
      char c = value.data[r.i];

      if (c == ';' && in_group)
        {
          write_address (&r, NULL, NULL, NULL, NULL);
          in_group = FALSE;
        }
      if (c == ',' || c == ';' || rook_is_space (c) || c == '\0')
        r.i++;
      else
        read_element (&r, &in_group);
    }
  if (in_group)
    write_address (&r, NULL, NULL, NULL, NULL);
  g_string_append (out, r.any ? ")" : "NIL");
  reset (&r);
  g_string_free (r.words, TRUE);
}
