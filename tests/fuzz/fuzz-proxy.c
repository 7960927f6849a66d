/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PROXY headers: any bytes give one answer, which does not depend on what follows the header, and every beginning of a
 * good one asks for more.
 */
#include <stdint.h>
#include <string.h>

#include "net/proxy.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static RookProxyResult
parse (const uint8_t *data, size_t size, gsize *used, RookAddress *peer)
{
  g_autofree guint8 *copy = g_memdup2 (data, size); /* ends where ASan sees */
  RookAddress local;
  RookProxyResult result = rook_proxy_parse (copy, size, used, peer, &local);

  g_assert (result == ROOK_PROXY_MORE || result == ROOK_PROXY_BAD || (*used <= size && *used <= ROOK_PROXY_MAX));
  if (result == ROOK_PROXY_FOUND)
    g_assert (memchr (peer->text, '\0', sizeof peer->text) != NULL && peer->text[0] != '\0');
  return result;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  RookAddress peer = { 0 }, again = { 0 };
  gsize used = 0, used_again = 0;
  RookProxyResult result = parse (data, size, &used, &peer);

  if (result == ROOK_PROXY_MORE)
    g_assert (size < ROOK_PROXY_MAX);
  if (result != ROOK_PROXY_FOUND && result != ROOK_PROXY_LOCAL)
    return 0;
  g_assert (parse (data, used, &used_again, &again) == result && used_again == used);
  g_assert (memcmp (&peer, &again, sizeof peer) == 0);
  for (gsize n = 0; n < used; n += used / 16 + 1)
    g_assert (parse (data, n, &used_again, &again) == ROOK_PROXY_MORE);
  return 0;
}
