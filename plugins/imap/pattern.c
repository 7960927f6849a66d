/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Matches by following all positions in the pattern at once, so that no pattern makes it slow.
 */
#include "imap/pattern.h"

#include <string.h>

struct ImapPattern {
  char *text; /* (owned) runs of wildcards collapsed */
  gsize length;
  char separator;
  gboolean *now, *next; /* (owned) length + 1: positions in the text reached so far */
};

/* Runs of wildcards mean the same as one: "*" if there is one among them. */
static char *
collapse (const char *pattern)
{
  GString *text = g_string_new (NULL);

  for (const char *pos = pattern; *pos != '\0';)
    {
      gsize run = strspn (pos, "*%");

      if (run > 0)
        g_string_append_c (text, memchr (pos, '*', run) != NULL ? '*' : '%');
      else
        g_string_append_c (text, *pos);
      pos += MAX (run, 1);
    }
  return g_string_free (text, FALSE);
}

ImapPattern *
imap_pattern_new (const char *pattern, char separator)
{
  ImapPattern *self = g_new0 (ImapPattern, 1);

  self->text = collapse (pattern);
  self->length = strlen (self->text);
  self->separator = separator;
  if (g_ascii_strncasecmp (self->text, "INBOX", 5) == 0
      && (self->text[5] == '\0' || self->text[5] == separator || strchr ("*%", self->text[5]) != NULL))
    memcpy (self->text, "INBOX", 5);
  self->now = g_new0 (gboolean, self->length + 1);
  self->next = g_new0 (gboolean, self->length + 1);
  return self;
}

void
imap_pattern_free (ImapPattern *self)
{
  g_free (self->text);
  g_free (self->now);
  g_free (self->next);
  g_free (self);
}

/* A wildcard may also stand for nothing. */
static void
skip_wildcards (const ImapPattern *self, gboolean *positions)
{
  for (gsize i = 0; i < self->length; i++)
    if (positions[i] && strchr ("*%", self->text[i]) != NULL)
      positions[i + 1] = TRUE;
}

static gboolean
step (const ImapPattern *self, char c)
{
  gboolean alive = FALSE;

  memset (self->next, 0, sizeof (gboolean) * (self->length + 1));
  for (gsize i = 0; i < self->length; i++)
    {
      if (!self->now[i])
        continue;
      if (self->text[i] == '*' || (self->text[i] == '%' && c != self->separator))
        self->next[i] = TRUE;
      else if (self->text[i] == c)
        self->next[i + 1] = TRUE;
      alive |= self->next[i] || self->next[i + 1];
    }
  return alive;
}

gboolean
imap_pattern_matches (ImapPattern *self, const char *name)
{
  memset (self->now, 0, sizeof (gboolean) * (self->length + 1));
  self->now[0] = TRUE;
  skip_wildcards (self, self->now);
  for (; *name != '\0'; name++)
    {
      gboolean *swap = self->now;

      if (!step (self, *name))
        return FALSE;
      self->now = self->next;
      self->next = swap;
      skip_wildcards (self, self->now);
    }
  return self->now[self->length];
}

gboolean
imap_pattern_ends_with_percent (ImapPattern *self)
{
  return self->length > 0 && self->text[self->length - 1] == '%';
}
