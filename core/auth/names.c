/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * User names: one spelling for each person, and nothing that could be taken for something else further in (a path, a
 * pattern, an identifier of an access list). Works on memory alone.
 */
#include "auth/auth-internal.h"

#define MAX_NAME 255

static gboolean
refuse (GError **error)
{
  g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_FAILED, "That is not a user's name");
  return FALSE;
}

/* What access lists have a meaning of their own for (RFC 4314): "anyone", "-name", "group:name". */
static gboolean
is_identifier (const char *name)
{
  return *name == '-' || g_ascii_strcasecmp (name, "anyone") == 0 || g_ascii_strncasecmp (name, "group:", 6) == 0;
}

gboolean
rook_auth_is_invisible (gunichar c)
{
  return c == 0x200b || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x2069) || c == 0xfeff || c == 0xfffd;
}

/* What no part of a name may have: characters that control or are not seen, the path separator, IMAP's wildcards. */
static gboolean
is_clean (const char *name)
{
  if (!g_utf8_validate (name, -1, NULL))
    return FALSE;
  for (const char *p = name; *p != '\0'; p = g_utf8_next_char (p))
    {
      gunichar c = g_utf8_get_char (p);

      if (g_unichar_iscntrl (c) || rook_auth_is_invisible (c) || strchr ("/*%", *p) != NULL)
        return FALSE;
    }
  return TRUE;
}

static gboolean
is_dotted_well (const char *text)
{
  gsize length = strlen (text);

  return length > 0 && text[0] != '.' && text[length - 1] != '.' && strstr (text, "..") == NULL;
}

gboolean
rook_auth_is_domain (const char *text)
{
  return strlen (text) <= MAX_NAME && is_clean (text) && strpbrk (text, "@ ") == NULL && is_dotted_well (text);
}

static gboolean
domain_allowed (const RookAuthSettings *settings, const char *domain)
{
  return settings->virtual_domains || g_hash_table_contains (settings->realms, domain);
}

/* @name as it is, or in lower case if that still fits. */
static gboolean
fold (const char *name, gboolean lower, char **out_name)
{
  *out_name = lower ? g_utf8_strdown (name, -1) : g_strdup (name);
  if (strlen (*out_name) <= MAX_NAME)
    return TRUE;
  g_clear_pointer (out_name, g_free);
  return FALSE;
}

static gboolean
canonical_with_domain (const RookAuthSettings *settings, char *name, char *at, gboolean lower, char **out_user,
                       GError **error)
{
  g_autofree char *folded = NULL;
  g_autofree char *domain = g_ascii_strdown (at + 1, -1);

  *at = '\0';
  if (*name == '\0' || strchr (name, '@') != NULL || !rook_auth_is_domain (domain))
    return refuse (error);
  g_strchomp (name);
  if (!is_dotted_well (name) || is_identifier (name) || !fold (name, lower, &folded))
    return refuse (error);
  if (g_str_equal (domain, settings->realm))
    *out_user = g_steal_pointer (&folded);
  else if (domain_allowed (settings, domain) && strlen (folded) + 1 + strlen (domain) <= MAX_NAME)
    *out_user = g_strdup_printf ("%s@%s", folded, domain);
  else
    return refuse (error);
  return TRUE;
}

static gboolean
canonical (const RookAuthSettings *settings, const char *name, gssize length, gboolean lower, char **out_user,
           GError **error)
{
  g_autofree char *copy = NULL;
  char *text, *at;

  if (length < 0)
    length = (gssize) strnlen (name, 4 * MAX_NAME);
  if (length > 2 * MAX_NAME || memchr (name, '\0', (gsize) length) != NULL)
    return refuse (error);
  copy = g_strndup (name, (gsize) length);
  text = copy;
  while (*text == ' ')
    text++;
  for (gsize n = strlen (text); n > 0 && text[n - 1] == ' '; n--)
    text[n - 1] = '\0';
  if (*text == '\0' || strlen (text) > MAX_NAME || !is_clean (text))
    return refuse (error);

  at = strrchr (text, '@');
  if (at != NULL)
    return canonical_with_domain (settings, text, at, lower, out_user, error);
  if (!is_dotted_well (text) || is_identifier (text) || !fold (text, lower, out_user))
    return refuse (error);
  return TRUE;
}

gboolean
rook_auth_canonical (const RookAuthSettings *settings, const char *name, gssize length, char **out_user, GError **error)
{
  return canonical (settings, name, length, settings->lower_case, out_user, error);
}

gboolean
rook_auth_spelled (const RookAuthSettings *settings, const char *name, gssize length, char **out_user, GError **error)
{
  return canonical (settings, name, length, FALSE, out_user, error);
}

void
rook_auth_split (const char *user, char **out_name, char **out_realm)
{
  const char *at = strrchr (user, '@');

  *out_name = at != NULL ? g_strndup (user, (gsize) (at - user)) : g_strdup (user);
  *out_realm = g_strdup (at != NULL ? at + 1 : "");
}
