/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Addresses as they come in RCPT TO (RFC 5321 4.1.2), taken apart.
 */
#include <string.h>

#include "delivery/delivery-private.h"

#define MAX_ADDRESS 1000 /* bytes */

void
rook_address_clear (RookAddress *address)
{
  g_clear_pointer (&address->local, g_free);
  g_clear_pointer (&address->domain, g_free);
}

/* Behind "@a,@b:", which RFC 5321 C wants ignored. (nullable) */
static const char *
skip_route (const char *text)
{
  if (*text != '@')
    return text;
  text = strchr (text, ':');
  return text != NULL ? text + 1 : NULL;
}

/* Reads a quoted local part; *@at is left behind the closing quote. (nullable) */
static char *
read_quoted (const char **at)
{
  GString *out = g_string_new (NULL);
  const char *c = *at + 1;

  for (; *c != '\0' && *c != '"'; c++)
    {
      if (*c == '\\' && c[1] != '\0')
        c++;
      g_string_append_c (out, *c);
    }
  *at = *c == '"' ? c + 1 : c;
  if (*c == '"')
    return g_string_free (out, FALSE);
  g_string_free (out, TRUE);
  return NULL;
}

static gboolean
is_domain (const char *text)
{
  if (*text == '\0')
    return FALSE;
  for (; *text != '\0'; text++)
    if ((guchar) *text <= ' ' || *text == 0x7f || strchr ("<>@\"\\(),;/", *text) != NULL)
      return FALSE;
  return TRUE;
}

static gboolean
is_local (const char *text)
{
  if (*text == '\0' || !g_utf8_validate (text, -1, NULL))
    return FALSE;
  for (; *text != '\0'; text++)
    if ((guchar) *text < ' ' || *text == 0x7f)
      return FALSE;
  return TRUE;
}

gboolean
rook_address_split (const char *text, RookAddress *out)
{
  g_autofree char *inner = NULL, *local = NULL;
  const char *at;
  gsize length = strlen (text);

  if (length > MAX_ADDRESS)
    return FALSE;
  inner = *text == '<' && length >= 2 && text[length - 1] == '>' ? g_strndup (text + 1, length - 2) : g_strdup (text);
  at = skip_route (inner);
  if (at == NULL)
    return FALSE;
  if (*at == '"')
    local = read_quoted (&at);
  else
    {
      const char *end = strrchr (at, '@');

      local = end != NULL ? g_strndup (at, (gsize) (end - at)) : g_strdup (at);
      at = end != NULL ? end : at + strlen (at);
    }
  if (local == NULL || !is_local (local) || (*at != '\0' && (*at != '@' || !is_domain (at + 1))))
    return FALSE;
  out->local = g_steal_pointer (&local);
  out->domain = *at == '@' ? g_ascii_strdown (at + 1, -1) : NULL;
  return TRUE;
}

/* --- recipients ------------------------------------------------------------------------------------------------- */

void
rook_recipient_free (RookRecipient *recipient)
{
  g_free (recipient->address);
  g_free (recipient->user);
  g_free (recipient->detail);
  g_free (recipient->mailbox);
  g_free (recipient);
}

RookRecipient *
rook_recipient_copy (const RookRecipient *recipient)
{
  RookRecipient *copy = g_new0 (RookRecipient, 1);

  copy->address = g_strdup (recipient->address);
  copy->user = g_strdup (recipient->user);
  copy->detail = g_strdup (recipient->detail);
  copy->mailbox = g_strdup (recipient->mailbox);
  return copy;
}
