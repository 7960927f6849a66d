/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests: from a line of bytes to words. No state, nothing executed: `$x`, `*` and backquotes are ordinary text.
 */
#include <string.h>

#include "control/control-private.h"

char **
rook_control_parse_request (const char *line, gsize length, GError **error)
{
  g_autofree char *text = NULL;
  g_autoptr (GError) problem = NULL;
  char **words = NULL;

  if (length > 0 && line[length - 1] == '\r')
    length--;
  if (memchr (line, '\0', length) != NULL || !g_utf8_validate (line, (gssize) length, NULL))
    {
      g_set_error (error, G_SHELL_ERROR, G_SHELL_ERROR_FAILED, "a request must be UTF-8 without NUL bytes");
      return NULL;
    }
  text = g_strndup (line, length);
  if (g_shell_parse_argv (text, NULL, &words, &problem))
    return words;
  /* GLib's own words repeat the request, which may hold a password. */
  g_set_error_literal (error, G_SHELL_ERROR, problem->code,
                       problem->code == G_SHELL_ERROR_EMPTY_STRING ? "an empty request" : "a quote is not closed");
  return NULL;
}
