/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Strings as IMAP sends them (RFC 3501 4.3): quoted where that is allowed, else a literal.
 *
 * The one place where bytes of a message become part of a protocol's line, so that nothing can be injected.
 */
#include <string.h>

#include "mime/mime-private.h"

#define MAX_QUOTED 1024

static gboolean
may_be_quoted (const char *text, gsize length)
{
  if (length > MAX_QUOTED)
    return FALSE;
  for (gsize i = 0; i < length; i++)
    {
      guchar c = (guchar) text[i];

      if (c >= 0x80 || c == '\r' || c == '\n' || c == '\0')
        return FALSE;
    }
  return TRUE;
}

static void
append_literal (GString *out, const char *text, gsize length)
{
  gsize nuls = 0;

  for (gsize i = 0; i < length; i++)
    nuls += text[i] == '\0';
  g_string_append_printf (out, "{%" G_GSIZE_FORMAT "}\r\n", length - nuls);
  for (gsize i = 0; i < length; i++)
    if (text[i] != '\0')
      g_string_append_c (out, text[i]);
}

void
rook_imap_append_string (GString *out, const char *text, gsize length)
{
  if (!may_be_quoted (text, length))
    {
      append_literal (out, text, length);
      return;
    }
  g_string_append_c (out, '"');
  for (gsize i = 0; i < length; i++)
    {
      if (text[i] == '"' || text[i] == '\\')
        g_string_append_c (out, '\\');
      g_string_append_c (out, text[i]);
    }
  g_string_append_c (out, '"');
}

void
rook_imap_append_nstring (GString *out, const char *text)
{
  if (text == NULL)
    g_string_append (out, "NIL");
  else
    rook_imap_append_string (out, text, strlen (text));
}
