/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control service: the socket, the verbs, and from a request to the verb that carries it out. What goes over a
 * connection is client.c's, an answer that comes later is call.c's.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/control-private.h"
#include "daemon/server-private.h"
#include "rookery/log.h"

#define PAUSE_MS 100
#define COMPLAIN_EVERY_MS 10000

typedef struct {
  const char *name;
  RookStatusFunc func;
  gpointer data;
} Section;

struct RookControl {
  RookServer *server; /* (unowned) we are part of it */
  RookWorker *worker; /* (unowned) the main one */
  gint64 started_us;
  int fd;       /* listening; -1: not */
  char *path;   /* (owned) */
  dev_t device; /* of its file, to know it again */
  ino_t inode;
  char *problem;    /* (owned) (nullable) */
  RookWatch *watch; /* (owned) (nullable) */
  RookTimer pause;  /* runs while there is no descriptor to accept with */
  gint64 complained_ms;
  GPtrArray *verbs;   /* (element-type RookVerbEntry) (owned) */
  GPtrArray *clients; /* (element-type RookControlClient) (owned) */
  GPtrArray *sections;
};

/* --- the socket ---------------------------------------------------------------------------------------------------- */

static void
on_pause_over (gpointer data)
{
  RookControl *control = data;

  rook_watch_set_events (control->watch, ROOK_IO_READ);
}

/* Whoever is waiting stays in the queue, and the watch would report that again and again: so it rests for a moment. (It
 * goes on watching for what a listening socket never has: to be added anew it might want memory that is not there.) */
static void
accept_failed (RookControl *control, int code)
{
  gint64 now = rook_worker_get_now_ms (control->worker);

  if (code != EMFILE && code != ENFILE && code != ENOBUFS && code != ENOMEM)
    return; /* nobody is there any more (accept(2)); or a signal */
  rook_watch_set_events (control->watch, ROOK_IO_HANGUP);
  rook_timer_start (&control->pause, PAUSE_MS);
  if (control->complained_ms != 0 && now - control->complained_ms < COMPLAIN_EVERY_MS)
    return;
  control->complained_ms = now;
  rook_log_message (rook_server_get_log (control->server), ROOK_LOG_ERROR, "control.no-descriptors",
                    "control connections have to wait: %s (see server/max-open-files)", g_strerror (code));
}

static void
on_connection (RookIo ready G_GNUC_UNUSED, gpointer data)
{
  RookControl *control = data;
  RookControlClient *client;
  uid_t uid = (uid_t) -1;
  pid_t pid = 0;
  int fd = accept4 (control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

  if (fd < 0)
    {
      accept_failed (control, errno);
      return;
    }
  client = rook_control_client_new (control, control->worker, fd);
  if (client == NULL)
    {
      close (fd);
      accept_failed (control, ENOMEM);
      return;
    }
  g_ptr_array_add (control->clients, client);
  if (!rook_control_peer_is_allowed (fd, &uid, &pid))
    {
      rook_log_message (rook_server_get_log (control->server), ROOK_LOG_WARNING, "control.refused",
                        "user %u (process %d) may not use the control socket", (guint) uid, (int) pid);
      rook_control_client_refuse (client, "only root and the server's own user may");
    }
  else if (control->clients->len > ROOK_CONTROL_CLIENTS_MAX)
    rook_control_client_refuse (client, "too many clients");
}

/* Whether somebody answers there: then it is not a left-over. */
static gboolean
is_served (const struct sockaddr_un *address)
{
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  gboolean served =
      fd >= 0 && (connect (fd, (const struct sockaddr *) address, sizeof *address) == 0 || errno == EAGAIN);

  if (fd >= 0)
    close (fd);
  return served;
}

static char *
system_problem (const char *what, const char *path)
{
  return g_strdup_printf ("%s %s: %s", what, path, g_strerror (errno));
}

/* Returns: (nullable): why not. */
static char *
open_socket (RookControl *control)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  struct stat info;

  if (strlen (control->path) >= sizeof address.sun_path)
    return g_strdup_printf ("the path %s is too long for a socket", control->path);
  strcpy (address.sun_path, control->path);
  if (lstat (control->path, &info) == 0 && !S_ISSOCK (info.st_mode))
    return g_strdup_printf ("%s is no socket: move it away", control->path);
  if (is_served (&address))
    return g_strdup_printf ("another server answers at %s", control->path);
  if (unlink (control->path) != 0 && errno != ENOENT)
    return system_problem ("cannot remove", control->path);
  control->fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  /* The mode before the name: there is no moment in which others could connect. */
  if (control->fd < 0 || fchmod (control->fd, 0600) != 0
      || bind (control->fd, (struct sockaddr *) &address, sizeof address) != 0 || chmod (control->path, 0600) != 0
      || lstat (control->path, &info) != 0 || listen (control->fd, ROOK_CONTROL_CLIENTS_MAX) != 0)
    return system_problem ("cannot listen at", control->path);
  control->device = info.st_dev;
  control->inode = info.st_ino;
  return NULL;
}

static void
start_listening (RookControl *control)
{
  control->problem = open_socket (control);
  if (control->problem == NULL)
    {
      control->watch = rook_watch_new (control->worker, control->fd, ROOK_IO_READ, on_connection, control);
      return;
    }
  if (control->fd >= 0)
    close (control->fd);
  control->fd = -1;
  rook_log_message (rook_server_get_log (control->server), ROOK_LOG_ERROR, "control.no-socket", "%s", control->problem);
}

/* Whether the file at the socket's path is ours still. */
static gboolean
is_in_place (RookControl *control)
{
  struct stat info;

  return lstat (control->path, &info) == 0 && info.st_dev == control->device && info.st_ino == control->inode;
}

static void
stop_listening (RookControl *control)
{
  rook_timer_stop (&control->pause);
  g_clear_pointer (&control->watch, rook_watch_free);
  if (control->fd < 0)
    return;
  if (is_in_place (control))
    unlink (control->path);
  close (control->fd);
  control->fd = -1;
}

void
rook_control_reconfigure (RookControl *control, RookConfig *config G_GNUC_UNUSED)
{
  if (control->fd >= 0 && is_in_place (control))
    return;
  rook_log_message (rook_server_get_log (control->server), ROOK_LOG_WARNING, "control.socket-lost",
                    "somebody has taken %s away: it is made anew", control->path);
  stop_listening (control);
  g_clear_pointer (&control->problem, g_free);
  start_listening (control);
}

const char *
rook_control_get_problem (RookControl *control)
{
  return control->problem;
}

void
rook_control_check (RookConfig *config, GPtrArray *mistakes)
{
  RookConfigGroup *group = rook_config_get_group (config, "server", NULL);
  struct sockaddr_un address;
  const char *directory = group != NULL ? rook_config_group_get_string (group, "run-directory") : NULL;

  if (directory != NULL && strlen (directory) + strlen ("/" ROOK_CONTROL_SOCKET) >= sizeof address.sun_path)
    rook_config_add_mistake (mistakes, group, "run-directory", ROOK_CONFIG_ERROR_VALUE,
                             "too long: a socket in it could not be named");
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

static void
client_free (gpointer data)
{
  rook_control_client_free (data);
}

RookControl *
rook_control_new (RookServer *server)
{
  g_autofree char *directory = rook_server_dup_run_directory (server);
  RookControl *control = g_new0 (RookControl, 1);

  control->server = server;
  control->worker = rook_loop_get_main_worker (rook_server_get_loop (server));
  control->started_us = g_get_real_time ();
  control->fd = -1;
  control->path = g_build_filename (directory, ROOK_CONTROL_SOCKET, NULL);
  control->verbs = g_ptr_array_new_with_free_func (g_free);
  control->clients = g_ptr_array_new_with_free_func (client_free);
  control->sections = g_ptr_array_new_with_free_func (g_free);
  rook_timer_init (&control->pause, control->worker, on_pause_over, control);
  rook_control_add_builtin_verbs (control);
  start_listening (control);
  return control;
}

void
rook_control_close (RookControl *control)
{
  stop_listening (control);
  g_ptr_array_set_size (control->clients, 0);
}

void
rook_control_free (RookControl *control)
{
  rook_control_close (control);
  g_ptr_array_unref (control->clients);
  g_ptr_array_unref (control->sections);
  g_ptr_array_unref (control->verbs);
  g_free (control->problem);
  g_free (control->path);
  g_free (control);
}

RookServer *
rook_control_get_server (RookControl *control)
{
  return control->server;
}

gint64
rook_control_get_started_us (RookControl *control)
{
  return control->started_us;
}

void
rook_control_client_gone (RookControl *control, RookControlClient *client)
{
  g_ptr_array_remove_fast (control->clients, client);
}

/* --- verbs --------------------------------------------------------------------------------------------------------- */

static gboolean
is_verb_name (const char *name)
{
  g_auto (GStrv) words = g_strsplit (name, " ", -1);

  for (gsize i = 0; words[i] != NULL; i++)
    if (*words[i] == '\0' || words[i][strspn (words[i], "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0')
      return FALSE;
  return words[0] != NULL && g_strv_length (words) <= 3;
}

static RookVerbEntry *
find_exactly (RookControl *control, const char *name)
{
  for (guint i = 0; i < control->verbs->len; i++)
    {
      RookVerbEntry *entry = control->verbs->pdata[i];

      if (strcmp (entry->verb->name, name) == 0)
        return entry;
    }
  return NULL;
}

static RookVerbEntry *
add_verb (RookControl *control, const RookControlVerb *verb, gpointer data, RookPlugin *plugin)
{
  RookVerbEntry *entry = g_new0 (RookVerbEntry, 1);

  entry->verb = verb;
  entry->data = data;
  entry->plugin = plugin;
  g_ptr_array_add (control->verbs, entry);
  return entry;
}

void
rook_control_add (RookControl *control, const RookControlVerb *verb, gpointer data)
{
  if (!is_verb_name (verb->name) || verb->run == NULL || find_exactly (control, verb->name) != NULL)
    g_error ("control verb \"%s\" is no good name, has no function, or is there already", verb->name);
  add_verb (control, verb, data, NULL);
}

const RookVerbEntry *
rook_control_find_verb (RookControl *control, const char *const *words, guint *out_n_words)
{
  g_autoptr (GString) name = g_string_new (NULL);
  const RookVerbEntry *found = NULL;

  for (guint n = 1; n <= 3 && words[n - 1] != NULL; n++)
    {
      const RookVerbEntry *entry;

      g_string_append_printf (name, "%s%s", n > 1 ? " " : "", words[n - 1]);
      entry = find_exactly (control, name->str);
      if (entry != NULL)
        {
          found = entry;
          *out_n_words = n;
        }
    }
  return found;
}

char *
rook_control_describe_unknown (RookControl *control, const char *const *words)
{
  g_autoptr (GPtrArray) all = rook_control_list_verbs (control);
  g_autofree char *group = g_strconcat (words[0], " ", NULL), *said = g_strescape (words[0], NULL);
  GString *text = g_string_new (NULL);
  const char *separator = ": there are ";

  g_string_printf (text, "unknown verb \"%s%s\"", said, words[1] != NULL ? " ..." : "");
  for (guint i = 0; i < all->len; i++)
    {
      const char *name = ((RookVerbEntry *) all->pdata[i])->verb->name;

      if (!g_str_has_prefix (name, group))
        continue;
      g_string_append_printf (text, "%s%s", separator, name);
      separator = ", ";
    }
  if (separator[0] == ':')
    g_string_append (text, ": see rookctl help");
  return g_string_free (text, FALSE);
}

static int
compare_verbs (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(RookVerbEntry *const *) a)->verb->name, (*(RookVerbEntry *const *) b)->verb->name);
}

GPtrArray *
rook_control_list_verbs (RookControl *control)
{
  GPtrArray *list = g_ptr_array_new ();

  for (guint i = 0; i < control->verbs->len; i++)
    g_ptr_array_add (list, control->verbs->pdata[i]);
  g_ptr_array_sort (list, compare_verbs);
  return list;
}

/* Takes the first word "--" out. Returns: how many words stood before it; those behind it are taken as they are. */
static guint
drop_separator (char **words)
{
  guint n = 0, rest;

  while (words[n] != NULL && strcmp (words[n], "--") != 0)
    n++;
  rest = g_strv_length (words + n);
  if (rest > 0)
    {
      g_free (words[n]);
      memmove (words + n, words + n + 1, rest * sizeof *words);
    }
  return n;
}

/* A word like "--all" that the verb's usage does not name: more likely a slip than anything's name. */
static gboolean
has_unknown_option (const RookControlVerb *verb, char *const *words, guint begin, guint end)
{
  g_auto (GStrv) known = g_strsplit_set (verb->arguments, " []|=", -1);

  for (guint i = begin; i < end; i++)
    if (g_str_has_prefix (words[i], "--") && !g_strv_contains ((const char *const *) known, words[i]))
      return TRUE;
  return FALSE;
}

void
rook_control_run_request (RookControl *control, RookControlClient *client, char *line, gsize length)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) words = rook_control_parse_request (line, length, &error);
  const RookVerbEntry *entry;
  guint n_words = 0, n_arguments, n_options;
  RookControlCall *call;

  if (words == NULL)
    {
      rook_control_client_refuse (client, error->message);
      return;
    }
  n_options = drop_separator (words);
  entry = rook_control_find_verb (control, (const char *const *) words, &n_words);
  if (entry == NULL)
    {
      g_autofree char *unknown = words[0] != NULL ? rook_control_describe_unknown (control, (const char *const *) words)
                                                  : g_strdup ("unknown verb: see rookctl help");

      rook_control_client_refuse (client, unknown);
      return;
    }
  n_arguments = g_strv_length (words) - n_words;
  if (has_unknown_option (entry->verb, words, n_words, n_options) || n_arguments < entry->verb->min_arguments
      || n_arguments > entry->verb->max_arguments)
    {
      g_autofree char *usage = g_strdup_printf ("usage: %s %s", entry->verb->name, entry->verb->arguments);

      rook_control_client_refuse (client, g_strchomp (usage));
      return;
    }
  /* The verb alone: an argument may be a password. */
  rook_log_event (rook_server_get_log (control->server), ROOK_LOG_DEBUG, "control.call", "verb", entry->verb->name,
                  NULL);
  call = rook_control_call_new (control->worker, client, entry->plugin);
  rook_control_call_set_n_options (call, n_options > n_words ? n_options - n_words : 0);
  rook_control_client_set_call (client, call);
  entry->verb->run (entry->data, call, (const char *const *) words + n_words);
}

/* --- plugins ------------------------------------------------------------------------------------------------------- */

typedef struct {
  RookControl *control;
  RookPlugin *plugin;
  RookVerbEntry *entry;
} Registration;

/* The plugin's deadline has passed: whoever waits for its calls gets no answer; the calls learn that they are cancelled. */
static void
abort_calls (gpointer data)
{
  Registration *registration = data;
  g_autoptr (GPtrArray) waiting = g_ptr_array_new ();

  for (guint i = 0; i < registration->control->clients->len; i++)
    {
      RookControlCall *call = rook_control_client_get_call (registration->control->clients->pdata[i]);

      if (call != NULL && rook_control_call_get_plugin (call) == registration->plugin)
        g_ptr_array_add (waiting, registration->control->clients->pdata[i]);
    }
  for (guint i = 0; i < waiting->len; i++)
    {
      rook_control_call_cancel (rook_control_client_get_call (waiting->pdata[i]));
      rook_control_client_set_call (waiting->pdata[i], NULL);
      rook_control_client_refuse (waiting->pdata[i], "the plugin goes");
    }
}

static void
start_drain (gpointer data)
{
  Registration *registration = data;

  /* No new calls from here on. */
  if (registration->entry != NULL)
    g_ptr_array_remove (registration->control->verbs, registration->entry);
  registration->entry = NULL;
}

static void
undo (gpointer data)
{
  start_drain (data);
  g_free (data);
}

gboolean
rook_plugin_add_control_verb (RookPlugin *self, const RookControlVerb *verb, gpointer data, GError **error)
{
  RookControl *control = rook_server_get_control (rook_plugin_get_server (self));
  g_autofree char *what = g_strconcat ("control verb ", verb->name, NULL);
  Registration *registration;

  if (!rook_plugin_may_register (self, what, error))
    return FALSE;
  if (!ROOK_STRUCT_HAS (verb, RookControlVerb, run) || !is_verb_name (verb->name) || verb->arguments == NULL
      || verb->help == NULL || verb->run == NULL)
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT,
                   "%s: needs struct_size, a name of one to three words, arguments, help and a function", what);
      return FALSE;
    }
  if (find_exactly (control, verb->name) != NULL)
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT, "%s: is there already", what);
      return FALSE;
    }
  registration = g_new0 (Registration, 1);
  registration->control = control;
  registration->plugin = self;
  registration->entry = add_verb (control, verb, data, self);
  rook_plugin_on_drain (self, start_drain, abort_calls, registration);
  rook_plugin_on_undo (self, undo, registration);
  return TRUE;
}

/* --- status -------------------------------------------------------------------------------------------------------- */

void
rook_control_add_status (RookControl *control, const char *name, RookStatusFunc func, gpointer data)
{
  Section *section = g_new0 (Section, 1);

  section->name = name;
  section->func = func;
  section->data = data;
  g_ptr_array_add (control->sections, section);
}

void
rook_control_remove_status (RookControl *control, const char *name)
{
  for (guint i = control->sections->len; i > 0; i--)
    if (strcmp (((Section *) control->sections->pdata[i - 1])->name, name) == 0)
      g_ptr_array_remove_index (control->sections, i - 1);
}

GVariant *
rook_control_get_status (RookControl *control)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  for (guint i = 0; i < control->sections->len; i++)
    {
      const Section *section = control->sections->pdata[i];
      GVariant *value = section->func (section->data);

      if (value != NULL)
        g_variant_builder_add (&builder, "{sv}", section->name, value);
    }
  return g_variant_builder_end (&builder);
}
