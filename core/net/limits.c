/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Limits: reading them, and counting what they are about. Who is told what when one is crossed is the callers' business.
 */
#include "net/limits.h"

#include <string.h>

RookNetSettings *
rook_net_settings_new (RookConfig *config)
{
  RookConfigGroup *group = rook_config_get_group (config, "limits", NULL);
  const char *const *exempt = rook_config_group_get_list (group, "exempt-addresses");
  RookNetSettings *settings = g_new0 (RookNetSettings, 1);

  settings->ref_count = 1;
  settings->connections = rook_config_group_get_integer (group, "connections");
  settings->per_address = rook_config_group_get_integer (group, "connections-per-address");
  settings->per_user = rook_config_group_get_integer (group, "connections-per-user");
  settings->bytes_before_login = rook_config_group_get_size (group, "bytes-before-login");
  settings->login_ms = rook_config_group_get_duration_ms (group, "login-timeout");
  settings->idle_ms = rook_config_group_get_duration_ms (group, "idle-timeout");
  settings->write_ms = rook_config_group_get_duration_ms (group, "write-timeout");
  settings->line = rook_config_group_get_size (group, "line");
  settings->output_buffer = rook_config_group_get_size (group, "output-buffer");
  settings->commands_per_second = rook_config_group_get_integer (group, "commands-per-second");
  if (exempt != NULL)
    settings->exempt = rook_networks_new (exempt, NULL);
  return settings;
}

RookNetSettings *
rook_net_settings_ref (RookNetSettings *settings)
{
  g_atomic_int_inc (&settings->ref_count);
  return settings;
}

void
rook_net_settings_unref (RookNetSettings *settings)
{
  if (!g_atomic_int_dec_and_test (&settings->ref_count))
    return;
  rook_networks_free (settings->exempt);
  g_free (settings);
}

/* --- counts ---------------------------------------------------------------------------------------------------------- */

struct RookTally {
  RookMutex lock;
  GHashTable *counts; /* (owned) key to count; no entry: 0 */
};

RookTally *
rook_tally_new (void)
{
  RookTally *tally = g_new0 (RookTally, 1);

  rook_mutex_init (&tally->lock);
  tally->counts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return tally;
}

void
rook_tally_free (RookTally *tally)
{
  g_hash_table_unref (tally->counts);
  rook_mutex_clear (&tally->lock);
  g_free (tally);
}

gboolean
rook_tally_take (RookTally *tally, const char *key, guint max)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&tally->lock);
  guint count = GPOINTER_TO_UINT (g_hash_table_lookup (tally->counts, key));

  if (max > 0 && count >= max)
    return FALSE;
  g_hash_table_replace (tally->counts, g_strdup (key), GUINT_TO_POINTER (count + 1));
  return TRUE;
}

void
rook_tally_give_back (RookTally *tally, const char *key)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&tally->lock);
  guint count = GPOINTER_TO_UINT (g_hash_table_lookup (tally->counts, key));

  g_assert (count > 0);
  if (count == 1)
    g_hash_table_remove (tally->counts, key);
  else
    g_hash_table_replace (tally->counts, g_strdup (key), GUINT_TO_POINTER (count - 1));
}

guint
rook_tally_get (RookTally *tally, const char *key)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&tally->lock);

  return GPOINTER_TO_UINT (g_hash_table_lookup (tally->counts, key));
}

void
rook_address_key (const RookAddress *address, char key[ROOK_ADDRESS_KEY_SIZE])
{
  guint8 network[16] = { 0 };

  if (address->family != AF_INET6)
    {
      g_strlcpy (key, address->text, ROOK_ADDRESS_KEY_SIZE);
      return;
    }
  memcpy (network, address->ip, 8);
  inet_ntop (AF_INET6, network, key, ROOK_ADDRESS_KEY_SIZE);
}

/* --- rates -------------------------------------------------------------------------------------------------------------- */

guint
rook_bucket_take (RookBucket *bucket, guint per_second, gint64 now_ms)
{
  gint64 full = 2000 * (gint64) per_second;
  gint64 passed = bucket->filled_ms == 0 ? 2000 : MIN (now_ms - bucket->filled_ms, 4000);

  bucket->millitokens = MIN (bucket->millitokens + passed * per_second, full) - 1000;
  bucket->filled_ms = now_ms;
  return bucket->millitokens >= 0 ? 0 : (-bucket->millitokens + per_second - 1) / per_second;
}
