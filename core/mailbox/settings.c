/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The configuration of the mailbox service: [mailbox] and [partition NAME], and what can be wrong beyond single keys.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config-private.h"
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
  { .name = "page-cache",
    .type = ROOK_CONFIG_SIZE,
    .default_value = "128M",
    .max = G_MAXINT64,
    .change = ROOK_CONFIG_LIVE,
    .help = "How much memory the records of messages may take, over all mailboxes. More is taken only for what "
            "sessions are "
            "looking at or have not been told of." },
  { .name = "max-subscriptions",
    .type = ROOK_CONFIG_INTEGER,
    .default_value = "10000",
    .min = 1,
    .max = 1000000,
    .change = ROOK_CONFIG_LIVE,
    .help = "How many mailboxes a user may be subscribed to. Those beyond that are kept, and no more are taken." },
  { .name = "duplicate-lifetime",
    .type = ROOK_CONFIG_DURATION,
    .default_value = "3d",
    .min = 60000,
    .change = ROOK_CONFIG_LIVE,
    .help = "How long a delivery is remembered, so that a second copy is not stored." },
  { .name = "keep-expunged",
    .type = ROOK_CONFIG_DURATION,
    .default_value = "7d",
    .change = ROOK_CONFIG_LIVE,
    .help = "How long the bodies of expunged messages are kept: the job `expire` purges what was expunged earlier." },
  { .name = "purge-early-below",
    .type = ROOK_CONFIG_SIZE,
    .default_value = "64M",
    .change = ROOK_CONFIG_LIVE,
    .help = "Where a store has room for less mail than this, the job `make-room` purges expunged messages before their "
            "time, the oldest first. 0: never." },
  { .name = "pin-limit",
    .type = ROOK_CONFIG_DURATION,
    .default_value = "1h",
    .change = ROOK_CONFIG_LIVE,
    .help = "How long an expunged message is not purged because a session has not been told that it is gone, and can "
            "fetch it still." },
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
  settings->page_cache = rook_config_group_get_size (group, "page-cache");
  settings->max_subscriptions = (guint) rook_config_group_get_integer (group, "max-subscriptions");
  settings->duplicate_life = rook_config_group_get_duration_ms (group, "duplicate-lifetime");
  settings->purge_early_below = rook_config_group_get_size (group, "purge-early-below");
  settings->pin_limit = rook_config_group_get_duration_ms (group, "pin-limit");
  settings->keep_expunged = rook_config_group_get_duration_ms (group, "keep-expunged");
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

/* Where @plain leads: links are followed as far as there is something, the rest stays as it is written. */
static char *
real_path (const char *plain)
{
  g_autofree char *head = g_strdup (plain);

  for (;;)
    {
      g_autofree char *real = realpath (head, NULL);
      char *slash;

      if (real != NULL)
        return g_strconcat (g_str_equal (real, "/") ? "" : real, plain + strlen (head), NULL);
      slash = strrchr (head, '/');
      if (slash == NULL)
        return g_strdup (plain);
      *slash = '\0';
    }
}

/* A partition, and where it lies. */
typedef struct {
  RookConfigGroup *group; /* (unowned) */
  guint index;            /* among the groups */
  char *plain, *real;     /* (owned) */
} Place;

static void
place_clear (gpointer data)
{
  Place *place = data;

  g_free (place->plain);
  g_free (place->real);
}

/* As if "/" were the first of all letters: so whatever lies inside a path comes right behind it. */
static int
compare_places (gconstpointer a, gconstpointer b)
{
  const Place *left = a, *right = b;
  const char *x = left->real, *y = right->real;

  while (*x != '\0' && *x == *y)
    {
      x++;
      y++;
    }
  if (*x == *y)
    return left->index < right->index ? -1 : 1;
  if (*x == '/' || *y == '/')
    return *x == '\0' || (*x == '/' && *y != '\0') ? -1 : 1;
  return (guchar) *x < (guchar) *y ? -1 : 1;
}

static void
add_overlap (const Place *one, const Place *two, GPtrArray *mistakes)
{
  const Place *earlier = one->index < two->index ? one : two, *later = earlier == one ? two : one;
  gboolean linked = !g_str_equal (one->plain, one->real) || !g_str_equal (two->plain, two->real);

  rook_config_add_mistake (
      mistakes, later->group, "path", ROOK_CONFIG_ERROR_CONFLICT, "overlaps with the path of partition %s (%s)%s%s%s%s",
      rook_config_group_get_instance (earlier->group), rook_config_group_get_string (earlier->group, "path"),
      linked ? ": they lead to " : "", linked ? later->real : "", linked ? " and " : "", linked ? earlier->real : "");
}

static void
check_overlaps (GArray *places, GPtrArray *mistakes)
{
  const Place *outer = NULL;

  g_array_sort (places, compare_places);
  for (guint i = 0; i < places->len; i++)
    {
      const Place *place = &g_array_index (places, Place, i);

      if (outer != NULL && is_inside (place->real, outer->real))
        add_overlap (outer, place, mistakes);
      else
        outer = place;
    }
}

/* Where the server keeps what is no mail. */
typedef struct {
  char *state, *run; /* (owned) (nullable) its directories */
  char *store;       /* (owned) (nullable) the state store, which may be a link to somewhere else */
} Home;

static void
home_clear (Home *home)
{
  g_free (home->state);
  g_free (home->run);
  g_free (home->store);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Home, home_clear)

/* (nullable) */
static char *
server_directory (RookConfig *config, const char *key)
{
  RookConfigGroup *server = rook_config_get_group (config, "server", NULL);
  const char *directory = server != NULL ? rook_config_group_get_string (server, key) : NULL;
  g_autofree char *plain = directory != NULL ? plain_path (directory) : NULL;

  return plain != NULL && *plain != '\0' ? real_path (plain) : NULL;
}

static void
home_init (Home *home, RookConfig *config)
{
  g_autofree char *inner = NULL;

  home->state = server_directory (config, "state-directory");
  home->run = server_directory (config, "run-directory");
  inner = home->state != NULL ? g_build_filename (home->state, ROOK_MAIL_STATE_STORE, NULL) : NULL;
  home->store = inner != NULL ? real_path (inner) : NULL;
}

/* @directory: (nullable). Returns: whether the partition is clear of it. */
static gboolean
check_directory (const Place *place, const char *what, const char *directory, GPtrArray *mistakes)
{
  if (directory != NULL && is_inside (directory, place->real))
    rook_config_add_mistake (mistakes, place->group, "path", ROOK_CONFIG_ERROR_CONFLICT, "%s (%s) lies inside it", what,
                             directory);
  else if (directory != NULL && is_inside (place->real, directory))
    rook_config_add_mistake (mistakes, place->group, "path", ROOK_CONFIG_ERROR_CONFLICT, "lies inside %s (%s)", what,
                             directory);
  else
    return TRUE;
  return FALSE;
}

static void
check_home (const Place *place, const Home *home, GPtrArray *mistakes)
{
  if (check_directory (place, "the state directory", home->state, mistakes)
      && check_directory (place, "the run directory", home->run, mistakes))
    check_directory (place, "the server's own store", home->store, mistakes);
}

/* Adds it to @places if its path is one. */
static void
check_partition (RookConfigGroup *group, guint index, GArray *places, GPtrArray *mistakes)
{
  const char *path = rook_config_group_get_string (group, "path");
  Place place = { .group = group, .index = index };

  if (path == NULL)
    return; /* required: reported already */
  place.plain = *path == '/' ? plain_path (path) : NULL;
  if (place.plain == NULL)
    {
      rook_config_add_mistake (mistakes, group, "path", ROOK_CONFIG_ERROR_VALUE,
                               "%s is not an absolute path without \"..\"", path);
      return;
    }
  place.real = real_path (place.plain);
  g_array_append_val (places, place);
}

static void
check_partitions (RookConfig *config, GPtrArray *mistakes)
{
  g_autoptr (GPtrArray) groups = rook_config_get_instances (config, "partition");
  g_autoptr (GArray) places = g_array_new (FALSE, FALSE, sizeof (Place));
  g_auto (Home) home = { 0 };

  home_init (&home, config);
  g_array_set_clear_func (places, place_clear);
  for (guint i = 0; i < groups->len; i++)
    check_partition (g_ptr_array_index (groups, i), i, places, mistakes);
  for (guint i = 0; i < places->len; i++)
    check_home (&g_array_index (places, Place, i), &home, mistakes);
  check_overlaps (places, mistakes);
}

static void
check_folders (RookConfigGroup *group, GPtrArray *mistakes)
{
  for (const char *const *folder = rook_config_group_get_list (group, "autocreate-folders"); *folder != NULL; folder++)
    {
      g_autofree char *name = g_strconcat ("user/somebody/", *folder, NULL);
      g_autofree char *quoted = rook_config_quote (*folder);
      const char *fault = rook_name_is_valid (name) ? rook_name_get_fault (name) : "Not a mailbox name";

      if (fault != NULL)
        rook_config_add_mistake (mistakes, group, "autocreate-folders", ROOK_CONFIG_ERROR_VALUE,
                                 "%s can be no folder: %s", quoted, fault);
    }
}

static void
check_mailbox_group (RookConfig *config, GPtrArray *mistakes)
{
  RookConfigGroup *group = rook_config_get_group (config, "mailbox", NULL);
  const char *partition = rook_config_group_get_string (group, "default-partition");
  g_autofree char *acl = rook_acl_from_list (rook_config_group_get_list (group, "default-acl"));
  g_autoptr (GPtrArray) partitions = rook_config_get_instances (config, "partition");

  check_folders (group, mistakes);
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
  check_mailbox_group (config, mistakes);
  check_partitions (config, mistakes);
}

/* --- what lies there ------------------------------------------------------------------------------------------------ */

/* Where mail is known to be, a partition without its directory is one whose disk is missing. */
static void
warn_partition (RookConfigGroup *group, gboolean is_first_start, GPtrArray *warnings)
{
  const char *path = rook_config_group_get_string (group, "path");
  g_autofree char *folder = path != NULL && *path == '/' ? g_path_get_dirname (path) : NULL;

  if (folder == NULL || g_file_test (path, G_FILE_TEST_IS_DIR))
    return;
  if (!g_file_test (folder, G_FILE_TEST_IS_DIR))
    rook_config_add_mistake (warnings, group, "path", ROOK_CONFIG_ERROR_VALUE,
                             "%s does not exist, so the partition can't be opened, nor made: is its disk mounted?",
                             folder);
  else if (access (folder, W_OK | X_OK) != 0)
    rook_config_add_mistake (warnings, group, "path", ROOK_CONFIG_ERROR_VALUE,
                             "%s can't be written to, so the partition can't be made there: %s", folder,
                             g_strerror (errno));
  else if (!is_first_start)
    rook_config_add_mistake (warnings, group, "path", ROOK_CONFIG_ERROR_VALUE,
                             "%s does not exist: a new partition is made there, one that was there before is not "
                             "available until its disk is mounted",
                             path);
}

void
rook_mail_warn (RookConfig *config, GPtrArray *warnings)
{
  g_autoptr (GPtrArray) groups = rook_config_get_instances (config, "partition");
  g_autofree char *state = rook_mail_make_state_path (config);

  for (guint i = 0; i < groups->len; i++)
    warn_partition (g_ptr_array_index (groups, i), rook_is_empty_place (state), warnings);
}
