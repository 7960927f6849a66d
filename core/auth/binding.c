/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Channel binding of SCRAM (RFC 5802 6). libsasl2 compares the data, but takes one kind a connection and sees no
 * difference between SCRAM-SHA-256 and SCRAM-SHA-256-PLUS. So the client's first message is looked at here: the kind
 * that it names is handed to libsasl2, and what says that somebody sits in between is refused.
 */
#include "auth/auth-internal.h"

#include <string.h>

gboolean
rook_binding_set (sasl_conn_t *sasl, sasl_channel_binding_t *binding, const RookAuthPeer *peer, RookTlsBinding kind)
{
  gsize length;
  gconstpointer data = g_bytes_get_data (peer->bindings[kind], &length);

  *binding = (sasl_channel_binding_t){ .name = rook_tls_binding_names[kind], .len = length, .data = data };
  return sasl_setprop (sasl, SASL_CHANNEL_BINDING, binding) == SASL_OK;
}

gboolean
rook_binding_available (const RookAuthPeer *peer)
{
  for (guint i = 0; i < ROOK_TLS_N_BINDINGS; i++)
    if (peer->bindings[i] != NULL)
      return TRUE;
  return FALSE;
}

/* "p=KIND," */
static gboolean
bind_to (RookAuthExchange *self, const char *name, gsize length)
{
  for (guint i = 0; i < ROOK_TLS_N_BINDINGS; i++)
    if (self->peer.bindings[i] != NULL && strlen (rook_tls_binding_names[i]) == length
        && memcmp (rook_tls_binding_names[i], name, length) == 0)
      return rook_binding_set (self->sasl, &self->binding, &self->peer, i);
  return FALSE;
}

/* Whether this mechanism was offered with binding too. */
static gboolean
offered_plus (const RookAuthExchange *self)
{
  g_autofree char *base = rook_mechanism_dup_base (self->mechanism);
  g_autofree char *plus = g_strconcat (base, "-PLUS", NULL);

  return rook_mechanism_permitted (self->settings, &self->peer, plus, NULL);
}

/* libsasl2's clients say "p=" under the name without -PLUS: that is as good, if it was offered. */
const char *
rook_binding_judge (RookAuthExchange *exchange, const char *first, gsize length)
{
  gboolean plus = (rook_mechanism_get_traits (exchange->mechanism) & ROOK_MECHANISM_BINDING) != 0;
  const char *comma = memchr (first, ',', length);

  if (plus && first[0] != 'p')
    return "The client names no channel binding";
  if (first[0] == 'y' && offered_plus (exchange))
    return "The client thinks that no channel binding was offered";
  if (first[0] == 'p' && !offered_plus (exchange))
    return "The client names a channel binding, which was not offered";
  if (first[0] == 'p'
      && (comma == NULL || first[1] != '=' || !bind_to (exchange, first + 2, (gsize) (comma - first) - 2)))
    return "The channel binding is of another kind";
  return NULL;
}
