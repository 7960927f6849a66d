/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names as clients see them: separator, and the alternative namespace (personal mailboxes without a prefix).
 *
 * A bijection. What of one's own would look like a prefix of the alternative namespace is shown as in the plain one, below
 * INBOX, where nothing else is. With "." as separator three characters change places: "/" (internal separator) is ".", "." is
 * "^", "^" is "/"; so every name has exactly one form and comes back byte for byte whatever the configuration was meanwhile.
 */
#include <string.h>

#include "mailbox/entry.h"
#include "mailbox/mail.h"

struct RookNamespace {
  char separator;
  gboolean alternative;
  char *user;            /* (owned) (nullable) whose INBOX "INBOX" is */
  char *personal_prefix; /* (owned) with separator */
  char *other_prefix, *shared_prefix;
};

RookNamespace *
rook_mail_get_namespace (RookMail *mail, RookIdentity *identity)
{
  g_autoptr (RookMailSettings) settings = rook_mail_ref_settings (mail);
  RookNamespace *ns = g_new0 (RookNamespace, 1);
  gboolean admin = identity == NULL || rook_identity_is_admin (identity);

  ns->separator = settings->separator;
  ns->alternative = settings->alternative && !admin;
  ns->user = identity != NULL ? g_strdup (rook_identity_get_user (identity)) : NULL;
  ns->personal_prefix = ns->alternative ? g_strdup ("") : g_strdup_printf ("INBOX%c", ns->separator);
  ns->other_prefix = ns->alternative ? g_strdup_printf ("%s%c", settings->other_prefix, ns->separator)
                                     : g_strdup_printf ("user%c", ns->separator);
  ns->shared_prefix =
      ns->alternative ? g_strdup_printf ("%s%c", settings->shared_prefix, ns->separator) : g_strdup ("");
  return ns;
}

void
rook_namespace_free (RookNamespace *ns)
{
  g_free (ns->user);
  g_free (ns->personal_prefix);
  g_free (ns->other_prefix);
  g_free (ns->shared_prefix);
  g_free (ns);
}

char
rook_namespace_get_separator (RookNamespace *ns)
{
  return ns->separator;
}

const char *
rook_namespace_get_personal_prefix (RookNamespace *ns)
{
  return ns->user != NULL ? ns->personal_prefix : NULL;
}

const char *
rook_namespace_get_other_prefix (RookNamespace *ns)
{
  return ns->other_prefix;
}

const char *
rook_namespace_get_shared_prefix (RookNamespace *ns)
{
  return ns->shared_prefix;
}

gboolean
rook_namespace_is_inbox (RookNamespace *ns, const char *internal)
{
  return ns->user != NULL && g_str_has_prefix (internal, "user/") && g_str_equal (internal + 5, ns->user);
}

/* @from and @to: the three characters before and after. */
static char *
permute (const char *name, const char *from, const char *to)
{
  char *out = g_strdup (name);

  for (char *c = out; *c != '\0'; c++)
    {
      const char *at = strchr (from, *c);

      if (at != NULL)
        *c = to[at - from];
    }
  return out;
}

static char *
to_slashes (RookNamespace *ns, const char *name)
{
  return ns->separator == '.' ? permute (name, ".^/", "/.^") : g_strdup (name);
}

static char *
from_slashes (RookNamespace *ns, const char *name)
{
  return ns->separator == '.' ? permute (name, "/.^", ".^/") : g_strdup (name);
}

/* Behind @prefix (a prefix in the client's form, its separator already "/" in @name), or NULL. */
static const char *
behind (RookNamespace *ns, const char *name, const char *prefix)
{
  g_autofree char *slashed = to_slashes (ns, prefix);

  return *slashed != '\0' && g_str_has_prefix (name, slashed) ? name + strlen (slashed) : NULL;
}

/* @name with slashes: "INBOX" or "INBOX/..." in any case. Returns what follows, "" or "/...". */
static const char *
behind_inbox (const char *name)
{
  if (g_ascii_strncasecmp (name, "INBOX", 5) != 0 || (name[5] != '\0' && name[5] != '/'))
    return NULL;
  return name + 5;
}

/* @name, with slashes: whether it is @prefix without its separator, or lies behind it. */
static gboolean
is_at_prefix (RookNamespace *ns, const char *name, const char *prefix)
{
  g_autofree char *slashed = to_slashes (ns, prefix);
  gsize length = strlen (slashed) - 1;

  return strncmp (name, slashed, length) == 0 && (name[length] == '\0' || name[length] == '/');
}

/* Whether one's own mailbox @name (with slashes, behind one's INBOX) can't be called so in the alternative form. */
static gboolean
looks_like_prefix (RookNamespace *ns, const char *name)
{
  return is_at_prefix (ns, name, ns->other_prefix) || is_at_prefix (ns, name, ns->shared_prefix);
}

/* @name has slashes as separators already. */
static char *
alternative_to_internal (RookNamespace *ns, const char *name)
{
  const char *rest = behind_inbox (name);

  if (rest != NULL && *rest != '\0' && !looks_like_prefix (ns, rest + 1))
    return NULL;
  if (rest != NULL)
    return g_strdup_printf ("user/%s%s", ns->user, rest);
  rest = behind (ns, name, ns->other_prefix);
  if (rest != NULL)
    return rook_name_of_user (rest);
  rest = behind (ns, name, ns->shared_prefix);
  if (rest != NULL)
    return g_str_has_prefix (rest, "user/") ? NULL : g_strdup (rest);
  if (looks_like_prefix (ns, name))
    return NULL;
  return g_strdup_printf ("user/%s/%s", ns->user, name);
}

static char *
plain_to_internal (RookNamespace *ns, const char *name)
{
  const char *rest = behind_inbox (name);

  if (rest != NULL)
    return ns->user != NULL ? g_strdup_printf ("user/%s%s", ns->user, rest) : NULL;
  return g_strdup (name);
}

char *
rook_namespace_to_internal (RookNamespace *ns, const char *name, GError **error)
{
  g_autofree char *slashed = g_utf8_validate (name, -1, NULL) ? to_slashes (ns, name) : NULL;
  g_autofree char *internal = NULL;

  if (slashed != NULL)
    internal = ns->alternative ? alternative_to_internal (ns, slashed) : plain_to_internal (ns, slashed);
  if (internal == NULL || !rook_name_is_valid (internal))
    {
      gboolean below_inbox = internal == NULL && slashed != NULL && behind_inbox (slashed) != NULL;

      g_set_error_literal (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_BAD_NAME,
                           below_inbox ? "Folders lie beside INBOX here, not below it" : "Not a mailbox name");
      return NULL;
    }
  return g_steal_pointer (&internal);
}

/* @rest: "" or "/..." behind the user's INBOX. */
static char *
own_to_external (RookNamespace *ns, const char *rest)
{
  g_autofree char *name = NULL;

  if (*rest == '\0')
    return g_strdup ("INBOX");
  if (!ns->alternative || looks_like_prefix (ns, rest + 1))
    {
      name = g_strconcat ("INBOX", rest, NULL);
      return from_slashes (ns, name);
    }
  return from_slashes (ns, rest + 1);
}

char *
rook_namespace_to_external (RookNamespace *ns, const char *internal)
{
  g_autofree char *text = NULL;

  if (!rook_name_is_valid (internal))
    return NULL;
  if (ns->user != NULL && g_str_has_prefix (internal, "user/") && g_str_has_prefix (internal + 5, ns->user))
    {
      const char *rest = internal + 5 + strlen (ns->user);

      if (*rest == '\0' || *rest == '/')
        return own_to_external (ns, rest);
    }
  if (!ns->alternative)
    return from_slashes (ns, internal);
  if (g_str_has_prefix (internal, "user/"))
    {
      text = from_slashes (ns, internal + 5);
      return g_strconcat (ns->other_prefix, text, NULL);
    }
  text = from_slashes (ns, internal);
  return g_strconcat (ns->shared_prefix, text, NULL);
}
