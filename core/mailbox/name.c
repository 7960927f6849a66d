/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names in internal form: which are valid, whose they are, how they are ordered.
 */
#include <string.h>

#include "auth/auth-private.h"
#include "mailbox/entry.h"

static int
name_weight (guchar c)
{
  return c == '/' ? 1 : c == '\0' ? 0 : (int) c + 1;
}

gint
rook_name_compare (gconstpointer a, gconstpointer b, gpointer unused)
{
  const guchar *x = a, *y = b;

  (void) unused;
  for (; *x == *y; x++, y++)
    if (*x == '\0')
      return 0;
  return name_weight (*x) - name_weight (*y);
}

gboolean
rook_name_is_below (const char *name, const char *ancestor)
{
  gsize length = strlen (ancestor);

  return strncmp (name, ancestor, length) == 0 && name[length] == '/';
}

char *
rook_name_dup_parent (const char *name)
{
  const char *slash = strrchr (name, '/');

  return slash != NULL ? g_strndup (name, (gsize) (slash - name)) : NULL;
}

/* Behind "user/", or NULL. */
static const char *
after_user (const char *name)
{
  return g_str_has_prefix (name, "user/") ? name + 5 : NULL;
}

char *
rook_name_dup_root (const char *name)
{
  const char *begin = after_user (name);
  const char *slash = strchr (begin != NULL ? begin : name, '/');

  return slash != NULL ? g_strndup (name, (gsize) (slash - name)) : g_strdup (name);
}

char *
rook_name_dup_owner (const char *internal)
{
  const char *begin = after_user (internal);
  const char *slash;

  if (begin == NULL || *begin == '\0')
    return NULL;
  slash = strchr (begin, '/');
  return slash != NULL ? g_strndup (begin, (gsize) (slash - begin)) : g_strdup (begin);
}

gboolean
rook_name_is_inbox (const char *name)
{
  const char *begin = after_user (name);

  return begin != NULL && *begin != '\0' && strchr (begin, '/') == NULL;
}

char *
rook_name_of_user (const char *user)
{
  return g_strconcat ("user/", user, NULL);
}

/* Characters that no protocol could carry, or that would deceive in a log. */
static gboolean
has_bad_character (const char *name)
{
  for (const char *at = name; *at != '\0'; at = g_utf8_next_char (at))
    {
      gunichar c = g_utf8_get_char (at);

      if (c < 0x20 || (c >= 0x7f && c < 0xa0))
        return TRUE;
    }
  return FALSE;
}

static gboolean
components_are_good (const char *name)
{
  guint n = 0;

  for (const char *at = name;; n++)
    {
      gsize length = strcspn (at, "/");

      if (length == 0)
        return FALSE;
      if (at[length] == '\0')
        break;
      at += length + 1;
    }
  return n < ROOK_NAME_MAX_DEPTH;
}

/* The component that a client would see where INBOX is: of a shared name the first, below an INBOX the next. */
static gboolean
hides_inbox (const char *name)
{
  const char *begin = after_user (name);
  const char *at = begin != NULL ? strchr (begin, '/') : name;
  gsize length;

  if (at == NULL)
    return FALSE;
  at += begin != NULL;
  length = strcspn (at, "/");
  return length == 5 && g_ascii_strncasecmp (at, "INBOX", 5) == 0;
}

gboolean
rook_name_is_valid (const char *internal)
{
  return strlen (internal) <= ROOK_NAME_MAX_BYTES && g_utf8_validate (internal, -1, NULL)
         && !has_bad_character (internal) && components_are_good (internal) && !g_str_equal (internal, "user")
         && !hides_inbox (internal);
}

/* --- what no new mailbox may be called ------------------------------------------------------------------------------ */

static const char *
fault_of_component (const char *at, gsize length)
{
  if ((length == 1 && *at == '.') || (length == 2 && strncmp (at, "..", 2) == 0))
    return "Mailbox names can't be . or ..";
  if (*at == ' ' || at[length - 1] == ' ')
    return "Mailbox names can't begin or end with a space";
  return NULL;
}

const char *
rook_name_get_fault (const char *internal)
{
  const char *fault = NULL;

  if (strpbrk (internal, "*%") != NULL)
    return "Mailbox names can't contain * or %";
  for (const char *c = internal; *c != '\0'; c = g_utf8_next_char (c))
    if (rook_auth_is_invisible (g_utf8_get_char (c)))
      return "Mailbox names can't contain characters that are not seen";
  for (const char *at = internal; *at != '\0' && fault == NULL;)
    {
      gsize length = strcspn (at, "/");

      fault = fault_of_component (at, length);
      at += length + (at[length] == '/');
    }
  return fault;
}
