/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The configuration of the mailbox service: [mailbox] and [partition NAME], and what can be wrong beyond single keys.
 */
#include <string.h>

#include "mailbox/mail.h"

static const char *const separators[] = { "/", ".", NULL };
static const char *const autocreate_choices[] = { "never", "login", "delivery", NULL };

static const RookConfigKey mailbox_keys[] = {
  { .name = "storage",
    .type = ROOK_CONFIG_STRING,
    .default_value = "gdbm",
    .min = 1,
    .max = 64,
    .change = ROOK_CONFIG_SERVER_RESTART,
    .help = "The storage backend for the state store and for partitions that name none." },
  { .name = "separator",
    .type = ROOK_CONFIG_CHOICE,
    .default_value = "/",
    .choices = separators,
    .change = ROOK_CONFIG_LIVE,
    .help = "What clients see between the parts of a mailbox's name. With \".\" a dot in a name is shown as \"^\"." },
  { .name = "alt-namespace",
    .type = ROOK_CONFIG_BOOLEAN,
    .default_value = "true",
    .change = ROOK_CONFIG_LIVE,
    .help = "Users see their own mailboxes beside INBOX instead of below it. Administrators never do." },
  { .name = "other-users-prefix",
    .type = ROOK_CONFIG_STRING,
    .default_value = "Other Users",
    .min = 1,
    .max = 100,
    .change = ROOK_CONFIG_LIVE,
    .help = "With alt-namespace: below this name the mailboxes of other users are found." },
  { .name = "shared-prefix",
    .type = ROOK_CONFIG_STRING,
    .default_value = "Shared Folders",
    .min = 1,
    .max = 100,
    .change = ROOK_CONFIG_LIVE,
    .help = "With alt-namespace: below this name shared mailboxes are found." },
  { .name = "default-acl",
    .type = ROOK_CONFIG_LIST,
    .default_value = "anyone lrs",
    .change = ROOK_CONFIG_LIVE,
    .help = "Rights on a new shared mailbox without a parent: identifier, space, rights (RFC 4314)." },
  { .name = "autocreate",
    .type = ROOK_CONFIG_CHOICE,
    .default_value = "login",
    .choices = autocreate_choices,
    .change = ROOK_CONFIG_LIVE,
    .help = "When a user's INBOX is made by itself: never, at the first login, or (delivery) also when mail comes for "
            "any user name, which is for sites whose MTA knows its users." },
  { .name = "autocreate-folders",
    .type = ROOK_CONFIG_LIST,
    .default_value = "",
    .change = ROOK_CONFIG_LIVE,
    .help = "Folders made and subscribed along with an INBOX, separated by \"/\": Sent;Drafts;Trash. Those named Sent, "
            "Drafts, Trash, Junk or Archive get that special use." },
  { .name = "max-message-size",
    .type = ROOK_CONFIG_SIZE,
    .default_value = "64M",
    .min = 1024,
    .max = 2147483647,
    .change = ROOK_CONFIG_LIVE,
    .help = "A larger message is refused." },
  { .name = "default-partition",
    .type = ROOK_CONFIG_STRING,
    .default_value = "default",
    .min = 1,
    .max = 64,
    .change = ROOK_CONFIG_LIVE,
    .help = "Where a mailbox goes that has no parent and for which none is named." },
  { .name = "open-cache",
    .type = ROOK_CONFIG_INTEGER,
    .default_value = "200",
    .max = 1000000,
    .change = ROOK_CONFIG_LIVE,
    .help = "How many mailboxes stay in memory when nobody has them open." },
  { .name = "duplicate-lifetime",
    .type = ROOK_CONFIG_DURATION,
    .default_value = "3d",
    .min = 60000,
    .change = ROOK_CONFIG_LIVE,
    .help = "How long a delivery is remembered, so that a second copy is not stored." },
  { .name = NULL },
};

static const RookConfigKey partition_keys[] = {
  { .name = "path",
    .type = ROOK_CONFIG_PATH,
    .change = ROOK_CONFIG_SERVER_RESTART,
    .required = TRUE,
    .help = "The directory of the partition's store: absolute, and not inside another partition's." },
  { .name = "storage",
    .type = ROOK_CONFIG_STRING,
    .max = 64,
    .change = ROOK_CONFIG_SERVER_RESTART,
    .help = "The storage backend; that of [mailbox] if not set." },
  { .name = NULL },
};

const RookConfigSchema rook_mail_schemas[] = {
  { .struct_size = sizeof (RookConfigSchema),
    .name = "mailbox",
    .keys = mailbox_keys,
    .help = "Names, rights and limits of mailboxes." },
  { .struct_size = sizeof (RookConfigSchema),
    .name = "partition",
    .instances = TRUE,
    .keys = partition_keys,
    .help = "A place for mail. At least one is needed; each is a store of its own." },
  { .name = NULL },
};

/* --- settings --------------------------------------------------------------------------------------------------- */

RookMailSettings *
rook_mail_settings_new (RookConfig *config)
{
  RookConfigGroup *group = rook_config_get_group (config, "mailbox", NULL);
  RookMailSettings *settings = g_new0 (RookMailSettings, 1);

  g_atomic_int_set (&settings->ref, 1);
  settings->separator = separators[rook_config_group_get_choice (group, "separator")][0];
  settings->alternative = rook_config_group_get_boolean (group, "alt-namespace");
  settings->other_prefix = g_strdup (rook_config_group_get_string (group, "other-users-prefix"));
  settings->shared_prefix = g_strdup (rook_config_group_get_string (group, "shared-prefix"));
  settings->default_acl = rook_acl_from_list (rook_config_group_get_list (group, "default-acl"));
  if (settings->default_acl == NULL) /* rook_mail_check() has said so */
    settings->default_acl = g_strdup ("");
  settings->autocreate = rook_config_group_get_choice (group, "autocreate");
  settings->autocreate_folders = g_strdupv ((GStrv) rook_config_group_get_list (group, "autocreate-folders"));
  settings->max_message_size = rook_config_group_get_size (group, "max-message-size");
  settings->default_partition = g_strdup (rook_config_group_get_string (group, "default-partition"));
  settings->open_cache = (guint) rook_config_group_get_integer (group, "open-cache");
  settings->duplicate_life = rook_config_group_get_duration_ms (group, "duplicate-lifetime");
  return settings;
}

RookMailSettings *
rook_mail_settings_ref (RookMailSettings *settings)
{
  g_atomic_int_inc (&settings->ref);
  return settings;
}

void
rook_mail_settings_unref (RookMailSettings *settings)
{
  if (!g_atomic_int_dec_and_test (&settings->ref))
    return;
  g_free (settings->other_prefix);
  g_free (settings->shared_prefix);
  g_free (settings->default_acl);
  g_strfreev (settings->autocreate_folders);
  g_free (settings->default_partition);
  g_free (settings);
}

/* --- mistakes --------------------------------------------------------------------------------------------------- */

/* The path without "." and doubled or trailing slashes, as far as text can tell. (nullable): relative, or with ".." */
static char *
plain_path (const char *path)
{
  g_auto (GStrv) parts = g_strsplit (path, "/", -1);
  GString *out = g_string_new (NULL);

  for (guint i = 0; parts[i] != NULL; i++)
    {
      if (g_str_equal (parts[i], ".."))
        {
          g_string_free (out, TRUE);
          return NULL;
        }
      if (*parts[i] != '\0' && !g_str_equal (parts[i], "."))
        g_string_append_printf (out, "/%s", parts[i]);
    }
  return g_string_free (out, FALSE);
}

static gboolean
is_inside (const char *path, const char *other)
{
  gsize length = strlen (other);

  return strncmp (path, other, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static void
check_two (RookConfigGroup *group, RookConfigGroup *earlier, GPtrArray *mistakes)
{
  const char *path = rook_config_group_get_string (group, "path");
  const char *other = rook_config_group_get_string (earlier, "path");
  g_autofree char *a = path != NULL ? plain_path (path) : NULL;
  g_autofree char *b = other != NULL ? plain_path (other) : NULL;

  if (a != NULL && b != NULL && (is_inside (a, b) || is_inside (b, a)))
    rook_config_add_mistake (mistakes, group, "path", ROOK_CONFIG_ERROR_CONFLICT,
                             "overlaps with the path of partition %s (%s)", rook_config_group_get_instance (earlier),
                             other);
}

static void
check_partition (RookConfigGroup *group, const char *state, GPtrArray *mistakes)
{
  const char *path = rook_config_group_get_string (group, "path");
  g_autofree char *plain = path != NULL ? plain_path (path) : NULL;
  g_autofree char *plain_state = state != NULL ? plain_path (state) : NULL;

  if (path == NULL)
    return; /* required: reported already */
  if (*path != '/' || plain == NULL)
    rook_config_add_mistake (mistakes, group, "path", ROOK_CONFIG_ERROR_VALUE,
                             "%s is not an absolute path without \"..\"", path);
  else if (plain_state != NULL && *plain_state != '\0' && is_inside (plain_state, plain))
    rook_config_add_mistake (mistakes, group, "path", ROOK_CONFIG_ERROR_CONFLICT,
                             "the state directory (%s) lies inside it", state);
}

static void
check_mailbox_group (RookConfig *config, GPtrArray *mistakes)
{
  RookConfigGroup *group = rook_config_get_group (config, "mailbox", NULL);
  const char *partition = rook_config_group_get_string (group, "default-partition");
  g_autofree char *acl = rook_acl_from_list (rook_config_group_get_list (group, "default-acl"));
  g_autoptr (GPtrArray) partitions = rook_config_get_instances (config, "partition");

  if (acl == NULL)
    rook_config_add_mistake (mistakes, group, "default-acl", ROOK_CONFIG_ERROR_VALUE,
                             "not a list of \"identifier rights\"");
  if (partitions->len > 0 && rook_config_get_group (config, "partition", partition) == NULL)
    rook_config_add_mistake (mistakes, group, "default-partition", ROOK_CONFIG_ERROR_VALUE,
                             "there is no [partition %s]", partition);
}

void
rook_mail_check (RookConfig *config, GPtrArray *mistakes)
{
  g_autoptr (GPtrArray) partitions = rook_config_get_instances (config, "partition");
  RookConfigGroup *server = rook_config_get_group (config, "server", NULL);
  const char *state = server != NULL ? rook_config_group_get_string (server, "state-directory") : NULL;

  check_mailbox_group (config, mistakes);
  for (guint i = 0; i < partitions->len; i++)
    {
      check_partition (g_ptr_array_index (partitions, i), state, mistakes);
      for (guint j = 0; j < i; j++)
        check_two (g_ptr_array_index (partitions, i), g_ptr_array_index (partitions, j), mistakes);
    }
}
