/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The delivery service itself: settings, metrics, life.
 */
#include "delivery/delivery-private.h"

static const RookConfigKey delivery_keys[] = {
  { .name = "suppress-duplicates",
    .type = ROOK_CONFIG_BOOLEAN,
    .default_value = "true",
    .change = ROOK_CONFIG_LIVE,
    .help =
        "A message with the Message-ID and Date of one that was delivered to the same mailbox before is accepted and "
        "not stored again." },
  { .name = "strict-quota",
    .type = ROOK_CONFIG_BOOLEAN,
    .default_value = "false",
    .change = ROOK_CONFIG_LIVE,
    .help =
        "A message is refused if quota has no room for all of it. Else what is there decides: while that is not above "
        "a limit one more message is taken, whatever its size." },
  { .name = "local-domains",
    .type = ROOK_CONFIG_LIST,
    .default_value = "",
    .change = ROOK_CONFIG_LIVE,
    .help =
        "Domains whose users are those of auth/default-realm, and which are therefore taken: mail for any other is "
        "refused, but for the realm itself and the domains that users may have (auth/realms, auth/virtual-domains). "
        "Empty: any domain is taken that is not one of those, since the mail server in front knows which are ours." },
  { .name = NULL },
};

const RookConfigSchema rook_delivery_schemas[] = {
  { .struct_size = sizeof (RookConfigSchema),
    .name = "delivery",
    .keys = delivery_keys,
    .help = "What happens to mail on its way in." },
  { .name = NULL },
};

void
rook_delivery_reconfigure (RookDelivery *delivery, RookConfig *config)
{
  RookConfigGroup *group = rook_config_get_group (config, "delivery", NULL);
  g_autoptr (RookLocker) locker = rook_locker_new (&delivery->lock);

  delivery->suppress_duplicates = rook_config_group_get_boolean (group, "suppress-duplicates");
  delivery->strict_quota = rook_config_group_get_boolean (group, "strict-quota");
  g_strfreev (delivery->local_domains);
  delivery->local_domains = g_strdupv ((GStrv) rook_config_group_get_list (group, "local-domains"));
}

gboolean
rook_delivery_suppresses_duplicates (RookDelivery *delivery)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&delivery->lock);

  return delivery->suppress_duplicates;
}

gboolean
rook_delivery_is_strict (RookDelivery *delivery)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&delivery->lock);

  return delivery->strict_quota;
}

gboolean
rook_delivery_is_local_domain (RookDelivery *delivery, const char *domain)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&delivery->lock);

  for (GStrv local = delivery->local_domains; *local != NULL; local++)
    if (g_ascii_strcasecmp (*local, domain) == 0)
      return TRUE;
  return FALSE;
}

gboolean
rook_delivery_takes_any_domain (RookDelivery *delivery)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&delivery->lock);

  return delivery->local_domains[0] == NULL;
}

static void
filter_entry_unref (gpointer data)
{
  RookFilterEntry *entry = data;

  if (g_atomic_int_dec_and_test (&entry->ref))
    g_free (entry);
}

RookDelivery *
rook_delivery_new (RookServer *server)
{
  g_autoptr (RookConfig) config = rook_server_get_config (server);
  RookMetrics *metrics = rook_server_get_metrics (server);
  RookDelivery *delivery = g_new0 (RookDelivery, 1);

  delivery->server = server;
  rook_mutex_init (&delivery->lock);
  delivery->filters = g_ptr_array_new_with_free_func (filter_entry_unref);
  for (guint i = 0; i < G_N_ELEMENTS (delivery->results); i++)
    delivery->results[i] =
        rook_metrics_counter (metrics, "delivery.recipients", "result",
                              rook_delivery_status_get_name ((RookDeliveryStatus) i), "recipients answered, by result");
  delivery->time = rook_metrics_histogram (metrics, "delivery.time", NULL, NULL, "us",
                                           "from the whole message to the answer for one recipient");
  rook_delivery_reconfigure (delivery, config);
  return delivery;
}

void
rook_delivery_free (RookDelivery *delivery)
{
  g_ptr_array_unref (delivery->filters);
  g_strfreev (delivery->local_domains);
  rook_mutex_clear (&delivery->lock);
  g_free (delivery);
}
