/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control socket's requests: any line at all becomes words or an error, never both, never neither; and words that
 * rookctl quotes come back as they were.
 */
#include <stdint.h>

#include "control/control-private.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
check_round_trip (const char *const *words)
{
  g_autoptr (GString) line = g_string_new (NULL);
  g_auto (GStrv) again = NULL;

  for (gsize i = 0; words[i] != NULL; i++)
    {
      g_autofree char *quoted = g_shell_quote (words[i]);

      g_string_append_printf (line, "%s ", quoted);
    }
  again = rook_control_parse_request (line->str, line->len, NULL);
  g_assert (again != NULL && g_strv_equal ((const char *const *) again, words));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) words = NULL;

  if (size > ROOK_CONTROL_REQUEST_MAX)
    return 0;
  words = rook_control_parse_request ((const char *) data, size, &error);
  g_assert ((words == NULL) == (error != NULL));
  if (words == NULL)
    return 0;
  g_assert (words[0] != NULL);
  check_round_trip ((const char *const *) words);
  return 0;
}
