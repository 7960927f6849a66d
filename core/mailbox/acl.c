/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Access control lists (RFC 4314): the union of what the user, their groups and "anyone" are given, less what the same
 * are denied ("-identifier"). Owners and administrators always keep what it takes to get their rights back.
 */
#include <string.h>

#include "mailbox/entry.h"

static const char letters[] = "lrswipkxtean"; /* in the order of the bits */
static const char shown[] = "lrswipkxtecdan";

#define OWNER_RIGHTS \
  (ROOK_RIGHT_LOOKUP | ROOK_RIGHT_CREATE | ROOK_RIGHT_DELETE_BOX | ROOK_RIGHT_ADMIN | ROOK_RIGHT_ANNOTATE)
#define ADMIN_RIGHTS (ROOK_RIGHT_LOOKUP | ROOK_RIGHT_CREATE | ROOK_RIGHT_DELETE_BOX | ROOK_RIGHT_ADMIN)

gboolean
rook_rights_parse (const char *text, RookRights *out_rights)
{
  RookRights rights = 0;

  for (; *text != '\0'; text++)
    {
      const char *at = strchr (letters, *text);

      if (at != NULL)
        rights |= 1u << (at - letters);
      else if (*text == 'c')
        rights |= ROOK_RIGHT_CREATE | ROOK_RIGHT_DELETE_BOX;
      else if (*text == 'd')
        rights |= ROOK_RIGHT_DELETE_MSG | ROOK_RIGHT_EXPUNGE | ROOK_RIGHT_DELETE_BOX;
      else
        return FALSE;
    }
  *out_rights = rights;
  return TRUE;
}

char *
rook_rights_to_text (RookRights rights)
{
  GString *out = g_string_new (NULL);

  for (const char *c = shown; *c != '\0'; c++)
    {
      RookRights wanted = 0;

      if (*c == 'c')
        wanted = ROOK_RIGHT_CREATE | ROOK_RIGHT_DELETE_BOX;
      else if (*c == 'd')
        wanted = ROOK_RIGHT_DELETE_MSG | ROOK_RIGHT_EXPUNGE;
      else
        wanted = 1u << (strchr (letters, *c) - letters);
      if ((rights & wanted) != 0)
        g_string_append_c (out, *c);
    }
  return g_string_free (out, FALSE);
}

static gboolean
identifier_matches (const char *identifier, RookIdentity *identity)
{
  if (g_str_equal (identifier, "anyone"))
    return TRUE;
  if (identity == NULL)
    return g_str_equal (identifier, "anonymous");
  if (g_str_has_prefix (identifier, "group:"))
    return rook_identity_in_group (identity, identifier + strlen ("group:"));
  return g_str_equal (identifier, rook_identity_get_user (identity));
}

/* As lists hold them: `c` and `d` are there for whoever reads them, beside what they follow from, and give nothing. */
static RookRights
rights_of_list (const char *text)
{
  RookRights rights = 0;

  for (; *text != '\0'; text++)
    {
      const char *at = strchr (letters, *text);

      if (at != NULL)
        rights |= 1u << (at - letters);
    }
  return rights;
}

/* What the list alone gives. @identity %NULL: somebody unknown. */
static RookRights
rights_by_list (const char *acl, RookIdentity *identity)
{
  g_auto (GStrv) words = g_strsplit (acl, "\t", -1);
  RookRights given = 0, denied = 0;

  for (guint i = 0; words[i] != NULL && words[i + 1] != NULL; i += 2)
    {
      gboolean negative = words[i][0] == '-';
      RookRights rights = rights_of_list (words[i + 1]);

      if (!identifier_matches (words[i] + negative, identity))
        continue;
      if (negative)
        denied |= rights;
      else
        given |= rights;
    }
  return given & ~denied;
}

RookRights
rook_entry_get_rights (const RookEntry *entry, RookIdentity *identity)
{
  RookRights rights;

  if (identity == NULL)
    return ROOK_RIGHTS_ALL;
  rights = rights_by_list (entry->acl, identity);
  if (g_strcmp0 (entry->owner, rook_identity_get_user (identity)) == 0)
    rights |= OWNER_RIGHTS;
  if (rook_identity_is_admin (identity))
    rights |= ADMIN_RIGHTS;
  return rights;
}

RookRights
rook_entry_get_anonymous_rights (const RookEntry *entry)
{
  return rights_by_list (entry->acl, NULL);
}

static gboolean
is_identifier (const char *text)
{
  if (*text == '\0' || g_str_equal (text, "-") || strlen (text) > 255 || !g_utf8_validate (text, -1, NULL))
    return FALSE;
  for (; *text != '\0'; text++)
    if ((guchar) *text < ' ' || *text == 0x7f)
      return FALSE;
  return TRUE;
}

/* @rights as SETACL has them, applied to @before. */
static gboolean
apply_rights (RookRights before, const char *rights, RookRights *out_after)
{
  gboolean add = *rights == '+', remove = *rights == '-';
  RookRights given;

  if (!rook_rights_parse (rights + (add || remove), &given))
    return FALSE;
  *out_after = add ? before | given : remove ? before & ~given : given;
  return TRUE;
}

static void
append_pair (GString *out, const char *identifier, RookRights rights)
{
  g_autofree char *text = NULL;

  if (rights == 0)
    return;
  text = rook_rights_to_text (rights);
  g_string_append_printf (out, "%s\t%s\t", identifier, text);
}

char *
rook_acl_change (const char *acl, const char *identifier, const char *rights)
{
  g_auto (GStrv) words = g_strsplit (acl, "\t", -1);
  g_autoptr (GString) out = g_string_new (NULL);
  gboolean found = FALSE;
  RookRights after;

  if (!is_identifier (identifier) || !apply_rights (0, rights, &after))
    return NULL;
  for (guint i = 0; words[i] != NULL && words[i + 1] != NULL; i += 2)
    {
      RookRights before = rights_of_list (words[i + 1]);

      if (g_str_equal (words[i], identifier))
        {
          found = TRUE;
          apply_rights (before, rights, &before);
        }
      append_pair (out, words[i], before);
    }
  if (!found)
    append_pair (out, identifier, after);
  return g_string_free (g_steal_pointer (&out), FALSE);
}

char *
rook_acl_for_owner (const char *owner)
{
  return rook_acl_change ("", owner, letters);
}

char *
rook_acl_from_list (const char *const *list)
{
  g_autofree char *acl = g_strdup ("");

  for (; *list != NULL; list++)
    {
      g_auto (GStrv) words = g_strsplit_set (*list, " \t", 2);
      char *next = g_strv_length (words) == 2 ? rook_acl_change (acl, words[0], g_strstrip (words[1])) : NULL;

      if (next == NULL)
        return NULL;
      g_free (acl);
      acl = next;
    }
  return g_steal_pointer (&acl);
}
