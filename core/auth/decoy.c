/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A password for users that there are none of, so that nobody can find out by asking which there are. SCRAM, for one,
 * tells libsasl2's client at its first step whether the user exists, and takes milliseconds longer for one that does.
 * This auxprop plugin stands behind sasldb and gives each user whom sasldb does not know a random password that is
 * forgotten at once: from there on libsasl2 takes the very same path, to the same refusal.
 */
#include "auth/auth-internal.h"

#include <sasl/saslplug.h>
#include <string.h>
#include <sys/random.h>

#define RANDOM_BYTES 32

static int
set_random (const sasl_utils_t *utils, struct propctx *props, const char *name)
{
  guint8 bytes[RANDOM_BYTES];
  char text[2 * RANDOM_BYTES + 1];
  int result;

  if (getrandom (bytes, sizeof bytes, 0) != sizeof bytes)
    return SASL_FAIL;
  for (guint i = 0; i < sizeof bytes; i++)
    g_snprintf (text + 2 * i, 3, "%02x", bytes[i]);
  result = utils->prop_set (props, name, text, (int) strlen (text));
  explicit_bzero (bytes, sizeof bytes);
  explicit_bzero (text, sizeof text);
  return result;
}

static int
look_up (G_GNUC_UNUSED void *context, sasl_server_params_t *params, unsigned flags, G_GNUC_UNUSED const char *user,
         G_GNUC_UNUSED unsigned length)
{
  const struct propval *wanted = params->utils->prop_get (params->propctx);

  if (wanted == NULL || (flags & SASL_AUXPROP_AUTHZID) != 0)
    return SASL_NOUSER;
  for (; wanted->name != NULL; wanted++)
    if (g_str_equal (wanted->name, SASL_AUX_PASSWORD) && wanted->values == NULL)
      return set_random (params->utils, params->propctx, wanted->name);
  return SASL_NOUSER;
}

/* Where sasldb is not the backend nobody has properties, and that is no reason to refuse anybody. */
static int
look_up_nothing (G_GNUC_UNUSED void *context, G_GNUC_UNUSED sasl_server_params_t *params, G_GNUC_UNUSED unsigned flags,
                 G_GNUC_UNUSED const char *user, G_GNUC_UNUSED unsigned length)
{
  return SASL_OK;
}

static sasl_auxprop_plug_t nothing = { .auxprop_lookup = look_up_nothing, .name = (char *) ROOK_SASL_NOTHING };
static sasl_auxprop_plug_t decoy = { .auxprop_lookup = look_up, .name = (char *) ROOK_SASL_DECOY };

static int
init (G_GNUC_UNUSED const sasl_utils_t *utils, int max_version, int *out_version, sasl_auxprop_plug_t **out_plug,
      const char *name)
{
  if (max_version < SASL_AUXPROP_PLUG_VERSION)
    return SASL_BADVERS;
  *out_version = SASL_AUXPROP_PLUG_VERSION;
  *out_plug = g_str_equal (name, ROOK_SASL_DECOY) ? &decoy : &nothing;
  return SASL_OK;
}

int
rook_sasl_add_plugins (void)
{
  int result = sasl_auxprop_add_plugin (ROOK_SASL_DECOY, init);

  return result == SASL_OK ? sasl_auxprop_add_plugin (ROOK_SASL_NOTHING, init) : result;
}
