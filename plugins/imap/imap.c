/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The plugin's object: settings, and the tables of commands and capabilities with what others added.
 */
#include "imap/imap.h"

#include "rookery/thread.h"

#include "imap/session.h"

typedef struct {
  const RookImapCapability *capability;
  gpointer data;
  RookPlugin *plugin; /* (unowned) (nullable) */
} Capability;

struct RookImap {
  gatomicrefcount references;
  RookPlugin *plugin; /* (unowned) (nullable) whoever outlives it holds a reference: each session does */
  RookMutex lock;     /* protects what follows */
  ImapLimits limits;
  GHashTable *commands;    /* (owned) name, ImapEntry */
  GPtrArray *capabilities; /* (owned) (element-type Capability) in the order in which they are listed */
  RookCounter *bad;        /* (nullable) */
};

const RookConfigKey imap_keys[] = {
  { .name = "line-limit",
    .type = ROOK_CONFIG_SIZE,
    .default_value = "64K",
    .min = 1000,
    .max = 1 << 20,
    .help = "The longest command line, literals not counted. A longer one is answered BAD and ends the session." },
  { .name = "literal-limit",
    .type = ROOK_CONFIG_SIZE,
    .default_value = "128K",
    .min = 100,
    .max = 1 << 30,
    .help = "The largest literal that is not a message." },
  { .name = "command-limit",
    .type = ROOK_CONFIG_SIZE,
    .default_value = "1M",
    .min = 1000,
    .max = 1 << 30,
    .help = "The largest command with all its literals, but for the message of an APPEND." },
  { .name = "message-limit",
    .type = ROOK_CONFIG_SIZE,
    .default_value = "64M",
    .min = 1000,
    .max = G_MAXINT32,
    .help = "The largest message that APPEND takes." },
  { .name = "argument-limit",
    .type = ROOK_CONFIG_INTEGER,
    .default_value = "20000",
    .min = 10,
    .max = 10000000,
    .help = "Words, strings, flags and ranges of a sequence set in one command, together." },
  { .name = "nesting-limit",
    .type = ROOK_CONFIG_INTEGER,
    .default_value = "50",
    .min = 4,
    .max = 1000,
    .help = "Parentheses, NOTs and ORs within each other, and numbers in a body section." },
  { .name = "bad-command-limit",
    .type = ROOK_CONFIG_INTEGER,
    .default_value = "20",
    .min = 1,
    .max = 1000000,
    .help = "Commands answered BAD after which the session is ended." },
  { .name = "idle-timeout",
    .type = ROOK_CONFIG_DURATION,
    .default_value = "30m",
    .min = 1000,
    .max = 7 * 86400000,
    .unit = "s",
    .help = "A logged-in client that says nothing for so long is told BYE (RFC 3501 5.4: at least 30 minutes)." },
  { 0 },
};

static void
read_limits (ImapLimits *limits, RookConfigGroup *config)
{
  *limits = (ImapLimits){
    .line = rook_config_group_get_size (config, "line-limit"),
    .literal = rook_config_group_get_size (config, "literal-limit"),
    .command = rook_config_group_get_size (config, "command-limit"),
    .message = rook_config_group_get_size (config, "message-limit"),
    .arguments = (guint) rook_config_group_get_integer (config, "argument-limit"),
    .nesting = (guint) rook_config_group_get_integer (config, "nesting-limit"),
    .bad_commands = (guint) rook_config_group_get_integer (config, "bad-command-limit"),
    .idle_timeout_ms = (guint) rook_config_group_get_duration_ms (config, "idle-timeout"),
  };
}

void
imap_entry_unref (ImapEntry *entry)
{
  if (!g_atomic_ref_count_dec (&entry->references))
    return;
  if (entry->plugin != NULL)
    rook_plugin_unref (entry->plugin);
  g_free (entry);
}

/* The lock is held, or nobody else knows @self yet. */
static void
add_entry (RookImap *self, RookPlugin *plugin, const RookImapCommand *command, gpointer data)
{
  ImapEntry *entry = g_new0 (ImapEntry, 1);
  RookMetrics *metrics = self->plugin != NULL ? rook_server_get_metrics (rook_plugin_get_server (self->plugin)) : NULL;

  g_atomic_ref_count_init (&entry->references);
  entry->command = command;
  entry->data = data;
  entry->plugin = plugin != NULL ? rook_plugin_ref (plugin) : NULL;
  if (metrics != NULL)
    entry->latency = rook_metrics_histogram (metrics, "imap.command", "command", command->name, "us",
                                             "From the end of a command's last line to its tagged answer");
  g_hash_table_insert (self->commands, (gpointer) command->name, entry);
}

static void
add_capability (RookImap *self, RookPlugin *plugin, const RookImapCapability *capability, gpointer data)
{
  Capability *entry = g_new0 (Capability, 1);

  entry->capability = capability;
  entry->data = data;
  entry->plugin = plugin;
  g_ptr_array_add (self->capabilities, entry);
}

RookImap *
imap_new (RookPlugin *plugin, RookConfigGroup *config)
{
  RookImap *self = g_new0 (RookImap, 1);

  imap_parse_error_quark (); /* before there is more than one thread to use it */
  g_atomic_ref_count_init (&self->references);
  rook_mutex_init (&self->lock);
  self->plugin = plugin;
  if (config != NULL)
    read_limits (&self->limits, config);
  self->commands = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) imap_entry_unref);
  self->capabilities = g_ptr_array_new_with_free_func (g_free);
  for (const RookImapCommand *command = imap_commands; command->name != NULL; command++)
    add_entry (self, NULL, command, NULL);
  for (const RookImapCapability *capability = imap_capabilities; capability->name != NULL; capability++)
    add_capability (self, NULL, capability, NULL);
  if (plugin != NULL)
    self->bad = rook_metrics_counter (rook_server_get_metrics (rook_plugin_get_server (plugin)), "imap.bad-commands",
                                      NULL, NULL, "Commands answered BAD");
  return self;
}

RookImap *
imap_ref (RookImap *self)
{
  g_atomic_ref_count_inc (&self->references);
  return self;
}

void
imap_unref (RookImap *self)
{
  if (!g_atomic_ref_count_dec (&self->references))
    return;
  g_hash_table_unref (self->commands);
  g_ptr_array_unref (self->capabilities);
  rook_mutex_clear (&self->lock);
  g_free (self);
}

void
imap_reconfigure (RookImap *self, RookConfigGroup *config)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&self->lock);

  read_limits (&self->limits, config);
}

void
imap_get_limits (RookImap *self, ImapLimits *out_limits)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&self->lock);

  *out_limits = self->limits;
}

RookPlugin *
imap_get_plugin (RookImap *self)
{
  return self->plugin;
}

RookCounter *
imap_get_bad_counter (RookImap *self)
{
  return self->bad;
}

ImapEntry *
imap_find_command (RookImap *self, const char *name)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&self->lock);
  ImapEntry *entry = g_hash_table_lookup (self->commands, name);

  if (entry != NULL)
    g_atomic_ref_count_inc (&entry->references);
  return entry;
}

/* What SASL offers on the connection as it is now. */
static void
append_mechanisms (GString *list, RookImapSession *session)
{
  g_auto (GStrv) mechanisms = NULL;

  if (session->identity != NULL)
    return;
  mechanisms = rook_auth_get_mechanisms (rook_server_get_auth (session->server), session->connection);
  for (guint i = 0; mechanisms[i] != NULL; i++)
    g_string_append_printf (list, " AUTH=%s", mechanisms[i]);
}

char *
imap_list_capabilities (RookImap *self, RookImapSession *session)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&self->lock);
  GString *list = g_string_new (NULL);

  for (guint i = 0; i < self->capabilities->len; i++)
    {
      const Capability *entry = g_ptr_array_index (self->capabilities, i);

      if ((entry->capability->states & imap_session_get_state (session)) != 0
          && (entry->capability->offered == NULL || entry->capability->offered (session, entry->data)))
        g_string_append_printf (list, "%s%s", list->len > 0 ? " " : "", entry->capability->name);
    }
  append_mechanisms (list, session);
  return g_string_free (list, FALSE);
}

/* --- what other plugins add ------------------------------------------------------------------------------------------- */

typedef struct {
  RookImap *imap; /* (owned) */
  gconstpointer what;
} Undo;

static Undo *
undo_new (RookImap *self, gconstpointer what)
{
  Undo *undo = g_new0 (Undo, 1);

  undo->imap = imap_ref (self);
  undo->what = what;
  return undo;
}

static void
undo_free (Undo *undo)
{
  imap_unref (undo->imap);
  g_free (undo);
}

static void
undo_command (gpointer data)
{
  Undo *undo = data;
  const RookImapCommand *command = undo->what;

  rook_mutex_lock (&undo->imap->lock);
  g_hash_table_remove (undo->imap->commands, command->name);
  rook_mutex_unlock (&undo->imap->lock);
  undo_free (undo);
}

static void
undo_capability (gpointer data)
{
  Undo *undo = data;

  rook_mutex_lock (&undo->imap->lock);
  for (guint i = 0; i < undo->imap->capabilities->len; i++)
    if (((Capability *) undo->imap->capabilities->pdata[i])->capability == undo->what)
      {
        g_ptr_array_remove_index (undo->imap->capabilities, i);
        break;
      }
  rook_mutex_unlock (&undo->imap->lock);
  undo_free (undo);
}

static gboolean
refuse (GError **error, const char *kind, const char *name)
{
  g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT, "IMAP %s %s is incomplete or taken", kind,
               name != NULL ? name : "(no name)");
  return FALSE;
}

gboolean
imap_add_command (RookImap *self, RookPlugin *plugin, const RookImapCommand *command, gpointer data, GError **error)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&self->lock);

  if (!rook_plugin_may_register (plugin, "an IMAP command", error))
    return FALSE;
  if (command->name == NULL || !ROOK_STRUCT_HAS (command, RookImapCommand, run) || command->run == NULL
      || g_hash_table_contains (self->commands, command->name))
    return refuse (error, "command", command->name);
  add_entry (self, plugin, command, data);
  rook_plugin_on_undo (plugin, undo_command, undo_new (self, command));
  return TRUE;
}

gboolean
imap_add_capability (RookImap *self, RookPlugin *plugin, const RookImapCapability *capability, gpointer data,
                     GError **error)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&self->lock);

  if (!rook_plugin_may_register (plugin, "an IMAP capability", error))
    return FALSE;
  if (capability->name == NULL || !ROOK_STRUCT_HAS (capability, RookImapCapability, states))
    return refuse (error, "capability", capability->name);
  for (guint i = 0; i < self->capabilities->len; i++)
    if (g_str_equal (((Capability *) self->capabilities->pdata[i])->capability->name, capability->name))
      return refuse (error, "capability", capability->name);
  add_capability (self, plugin, capability, data);
  rook_plugin_on_undo (plugin, undo_capability, undo_new (self, capability));
  return TRUE;
}
