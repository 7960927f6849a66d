/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The directory as its callers see it: one is in force, each question is put to it once, and its answer is checked and
 * brought back to the worker that asked. A change that was prepared is committed by the directory that prepared it, even if
 * another has been put in force meanwhile.
 *
 * A directory that does not answer in time has said "not now". What it says afterwards is let fall, and a change that it then
 * agrees to is aborted.
 */
#include "daemon/server-private.h"
#include "directory/directory-private.h"

/* A directory that may be asked; alive as long as anything that it said is. */
typedef struct {
  gint references; /* atomic */
  const RookDirectory *directory;
  gpointer self;
  RookPlugin *plugin; /* (nullable) each reference but the first owns one of it */
} Source;

struct RookDirectoryService {
  RookDirectoryOwners *owners; /* (owned) main worker */
  gint timeout_ms;             /* atomic */
  RookMutex lock;              /* guards what follows */
  Source *in_force;            /* (owned) */
  gboolean taken;              /* by a plugin */
  GHashTable *tokens;          /* (element-type Token) (unowned) not used up yet */
};

/* What prepare gave, as callers hold it. */
typedef struct {
  Source *source; /* (owned) */
  gpointer token; /* the directory's own */
} Token;

typedef enum { CALL_LOCATE, CALL_PREPARE, CALL_COMMIT } CallKind;

/* One reference is the caller's, until it is told; one the directory's, until it has answered. */
typedef struct {
  gint references; /* atomic */
  gint claimed;    /* atomic: it was answered, or not in time; whichever is first */
  gboolean told;   /* own worker */
  RookTimer timer;
  CallKind kind;
  RookDirectoryService *service; /* (unowned) */
  Source *source;                /* (owned) */
  RookWorker *worker;            /* (unowned) */
  union {
    RookLocateCallback locate;
    RookPrepareCallback prepare;
    RookCommitCallback commit;
  } callback;
  gpointer data;
  RookChange change; /* its strings are owned */
  /* The answer. */
  GError *error;         /* (nullable) */
  RookLocation location; /* its strings are owned */
  Token *token;          /* (nullable) */
  gpointer late;         /* the directory's own token, if it agrees when nobody waits any more */
  gboolean agreed_late;
} Call;

/* --- settings --------------------------------------------------------------------------------------------------------- */

#define TIMEOUT_KEY "answer-timeout"
#define TIMEOUT_DEFAULT_MS 30000

static const RookConfigKey keys[] = {
  { .name = TIMEOUT_KEY,
    .type = ROOK_CONFIG_DURATION,
    .default_value = "30s",
    .min = 1000,
    .max = 600000,
    .unit = "s",
    .help = "How long a plugin that provides the directory may take to say where a mailbox is, or to agree to a "
            "change. Then "
            "it counts as one that can't be asked now." },
  { .name = NULL },
};

const RookConfigSchema rook_directory_schemas[] = {
  { .struct_size = sizeof (RookConfigSchema),
    .name = "directory",
    .keys = keys,
    .help = "Where mailboxes are, if a plugin knows of other servers." },
  { .name = NULL },
};

GQuark
rook_directory_error_quark (void)
{
  return g_quark_from_static_string ("rook-directory-error");
}

/* --- sources -------------------------------------------------------------------------------------------------------- */

/* The first reference is the service's own, and does not keep the plugin: it is let go when the plugin drains. */
static Source *
source_new (const RookDirectory *directory, gpointer self, RookPlugin *plugin)
{
  Source *source = g_new0 (Source, 1);

  *source = (Source){ 1, directory, self, plugin };
  return source;
}

static void
source_drop (Source *source)
{
  if (__atomic_sub_fetch (&source->references, 1, __ATOMIC_ACQ_REL) == 0)
    g_free (source);
}

static Source *
source_ref (Source *source)
{
  __atomic_fetch_add (&source->references, 1, __ATOMIC_RELAXED);
  if (source->plugin != NULL)
    rook_plugin_ref (source->plugin);
  return source;
}

static void
source_unref (Source *source)
{
  RookPlugin *plugin = source->plugin;

  source_drop (source);
  if (plugin != NULL)
    rook_plugin_unref (plugin);
}

static Source *
take_in_force (RookDirectoryService *service)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&service->lock);

  return source_ref (service->in_force);
}

static void
put_in_force (RookDirectoryService *service, Source *source, gboolean taken)
{
  Source *before;

  rook_mutex_lock (&service->lock);
  before = service->in_force;
  service->in_force = source;
  service->taken = taken;
  rook_mutex_unlock (&service->lock);
  if (before != NULL)
    source_drop (before);
}

void
rook_directory_reconfigure (RookDirectoryService *service, RookConfig *config)
{
  RookConfigGroup *group = rook_config_get_group (config, "directory", NULL);
  gboolean alone;

  if (group != NULL)
    g_atomic_int_set (&service->timeout_ms, (gint) rook_config_group_get_duration_ms (group, TIMEOUT_KEY));
  rook_directory_owners_keep_wanted (service->owners, config);
  alone = rook_directory_owners_is_empty (service->owners) && !rook_plugin_wants_directory (config);
  if (!service->taken)
    put_in_force (service, source_new (alone ? &rook_local_directory : &rook_absent_directory, NULL, NULL), FALSE);
}

void
rook_directory_expect (RookDirectoryService *service, const char *plugin)
{
  rook_directory_owners_add (service->owners, plugin);
  if (!service->taken)
    put_in_force (service, source_new (&rook_absent_directory, NULL, NULL), FALSE);
}

RookDirectoryService *
rook_directory_new (RookServer *server)
{
  RookDirectoryService *service = g_new0 (RookDirectoryService, 1);
  g_autoptr (RookConfig) config = rook_server_get_config (server);
  g_autofree char *state = rook_server_dup_state_directory (server);
  g_autofree char *path = g_build_filename (state, "directory", NULL);

  service->owners = rook_directory_owners_new (path, rook_server_get_log (server));
  service->timeout_ms = TIMEOUT_DEFAULT_MS;
  rook_mutex_init (&service->lock);
  service->tokens = g_hash_table_new (NULL, NULL);
  rook_directory_reconfigure (service, config);
  return service;
}

void
rook_directory_free (RookDirectoryService *service)
{
  source_drop (service->in_force);
  rook_directory_owners_free (service->owners);
  g_hash_table_unref (service->tokens);
  rook_mutex_clear (&service->lock);
  g_free (service);
}

const char *
rook_directory_get_name (RookDirectoryService *service)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&service->lock);

  return service->in_force->directory->name;
}

/* --- calls ------------------------------------------------------------------------------------------------------------ */

/* (nullable) (transfer full) A reason of another domain says nothing to callers but that it did not go. */
static GError *
checked_error (const GError *error)
{
  if (error == NULL || error->domain == ROOK_DIRECTORY_ERROR)
    return error != NULL ? g_error_copy (error) : NULL;
  return g_error_new_literal (ROOK_DIRECTORY_ERROR, ROOK_DIRECTORY_ERROR_UNAVAILABLE, error->message);
}

static void call_expired (gpointer data);

static Call *
call_new (CallKind kind, RookDirectoryService *service, Source *source, gpointer data)
{
  Call *call = g_new0 (Call, 1);

  *call = (Call){
    .references = 2, .kind = kind, .service = service, .source = source, .worker = rook_worker_current (), .data = data
  };
  rook_timer_init (&call->timer, call->worker, call_expired, call);
  rook_timer_start (&call->timer, (guint) g_atomic_int_get (&service->timeout_ms));
  return call;
}

static void
call_unref (Call *call)
{
  if (!g_atomic_int_dec_and_test (&call->references))
    return;
  g_free ((char *) call->location.server);
  g_free ((char *) call->location.partition);
  g_free ((char *) call->location.acl);
  g_free ((char *) call->change.mailbox_id);
  g_free ((char *) call->change.name);
  g_free ((char *) call->change.new_name);
  g_free ((char *) call->change.partition);
  g_free ((char *) call->change.acl);
  g_clear_error (&call->error);
  source_unref (call->source);
  g_free (call);
}

/* On the worker that asked. */
static void
call_back (gpointer data)
{
  Call *call = data;

  rook_timer_stop (&call->timer);
  call->told = TRUE;
  switch (call->kind)
    {
    case CALL_LOCATE:
      call->callback.locate (call->error == NULL ? &call->location : NULL, call->error, call->data);
      break;
    case CALL_PREPARE:
      call->callback.prepare (g_steal_pointer (&call->token), call->error, call->data);
      break;
    case CALL_COMMIT:
      call->callback.commit (call->error, call->data);
      break;
    }
  call_unref (call);
}

static gboolean
call_claim (Call *call)
{
  return g_atomic_int_compare_and_exchange (&call->claimed, FALSE, TRUE);
}

static void
call_expired (gpointer data)
{
  Call *call = data;

  if (!call_claim (call)) /* the answer is on its way */
    return;
  call->error = g_error_new (ROOK_DIRECTORY_ERROR, ROOK_DIRECTORY_ERROR_UNAVAILABLE, "directory %s does not answer",
                             call->source->directory->name);
  call_back (call);
}

/* The directory has done its part. If the worker has ended, nobody is told any more. */
static void
call_done (gpointer data)
{
  Call *call = data;

  if (!call->told)
    call_unref (call);
  call_unref (call);
}

static void
call_end (Call *call)
{
  rook_worker_invoke (call->worker, call_back, call, call_done);
}

static void
take_back (gpointer data)
{
  Call *call = data;

  if (call->agreed_late)
    call->source->directory->abort (call->source->self, call->late);
}

/* What is said when nobody waits any more: always from the worker, since the directory's own code is what says it. */
static void
call_end_late (Call *call)
{
  rook_worker_invoke (call->worker, take_back, call, (GDestroyNotify) call_unref);
}

static void
located (const RookLocation *location, const GError *error, gpointer data)
{
  Call *call = data;

  if (!call_claim (call))
    {
      call_end_late (call);
      return;
    }
  call->error = checked_error (error);
  if (error == NULL && (location == NULL || location->local == (location->server != NULL)))
    call->error =
        g_error_new (ROOK_DIRECTORY_ERROR, ROOK_DIRECTORY_ERROR_UNAVAILABLE,
                     "directory %s gave no place, or one both here and elsewhere", call->source->directory->name);
  else if (error == NULL)
    call->location = (RookLocation){ location->local, g_strdup (location->server), g_strdup (location->partition),
                                     g_strdup (location->acl) };
  call_end (call);
}

void
rook_directory_locate (RookDirectoryService *service, const char *name, RookLocateCallback callback, gpointer data)
{
  Call *call;

  g_return_if_fail (name != NULL && callback != NULL && rook_worker_current () != NULL);
  call = call_new (CALL_LOCATE, service, take_in_force (service), data);
  call->callback.locate = callback;
  call->source->directory->locate (call->source->self, name, located, call);
}

static Token *
token_new (RookDirectoryService *service, Source *source, gpointer own)
{
  Token *token = g_new (Token, 1);
  g_autoptr (RookLocker) locker = rook_locker_new (&service->lock);

  *token = (Token){ source_ref (source), own };
  g_hash_table_add (service->tokens, token);
  return token;
}

/* Whether it is one that has not been used up. */
static gboolean
take_token (RookDirectoryService *service, gpointer token)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&service->lock);

  return g_hash_table_remove (service->tokens, token);
}

static void
prepared (gpointer token, const GError *error, gpointer data)
{
  Call *call = data;

  if (!call_claim (call))
    {
      call->agreed_late = error == NULL;
      call->late = token;
      call_end_late (call);
      return;
    }
  call->error = checked_error (error);
  if (error == NULL)
    call->token = token_new (call->service, call->source, token);
  call_end (call);
}

void
rook_directory_prepare (RookDirectoryService *service, const RookChange *change, RookPrepareCallback callback,
                        gpointer data)
{
  Call *call;

  g_return_if_fail (change != NULL && ROOK_STRUCT_HAS (change, RookChange, acl));
  g_return_if_fail (change->name != NULL && callback != NULL && rook_worker_current () != NULL);
  g_return_if_fail ((change->kind == ROOK_CHANGE_RENAME) == (change->new_name != NULL));
  call = call_new (CALL_PREPARE, service, take_in_force (service), data);
  call->callback.prepare = callback;
  call->change = (RookChange){ sizeof call->change,           change->kind,
                               g_strdup (change->mailbox_id), g_strdup (change->name),
                               g_strdup (change->new_name),   g_strdup (change->partition),
                               g_strdup (change->acl) };
  call->source->directory->prepare (call->source->self, &call->change, prepared, call);
}

static void
committed (const GError *error, gpointer data)
{
  Call *call = data;

  if (!call_claim (call))
    {
      call_end_late (call);
      return;
    }
  call->error = checked_error (error);
  call_end (call);
}

void
rook_directory_commit (RookDirectoryService *service, gpointer token, RookCommitCallback callback, gpointer data)
{
  g_autofree Token *prepared_token = NULL;
  Call *call;

  g_return_if_fail (callback != NULL && rook_worker_current () != NULL);
  g_return_if_fail (take_token (service, token));
  prepared_token = token;
  call = call_new (CALL_COMMIT, service, prepared_token->source, data);
  call->callback.commit = callback;
  call->source->directory->commit (call->source->self, prepared_token->token, committed, call);
}

void
rook_directory_abort (RookDirectoryService *service, gpointer token)
{
  g_autofree Token *prepared_token = NULL;

  g_return_if_fail (rook_worker_current () != NULL);
  g_return_if_fail (take_token (service, token));
  prepared_token = token;
  prepared_token->source->directory->abort (prepared_token->source->self, prepared_token->token);
  source_unref (prepared_token->source);
}

/* --- a plugin's --------------------------------------------------------------------------------------------------------- */

/* The plugin goes: nobody can be asked from now on, unless the configuration turns out to have dropped it. */
static void
give_back (gpointer data)
{
  RookDirectoryService *service = data;

  if (service->taken)
    put_in_force (service, source_new (&rook_absent_directory, NULL, NULL), FALSE);
}

static gboolean
is_directory (const RookDirectory *directory)
{
  return directory->struct_size >= sizeof *directory && directory->name != NULL && directory->locate != NULL
         && directory->prepare != NULL && directory->commit != NULL && directory->abort != NULL;
}

gboolean
rook_plugin_add_directory (RookPlugin *self, const RookDirectory *directory, gpointer data, GError **error)
{
  RookDirectoryService *service = rook_server_get_directory (rook_plugin_get_server (self));

  if (!rook_plugin_may_register (self, "a directory", error))
    return FALSE;
  if (!is_directory (directory))
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT,
                   "a directory must have struct_size, name, locate, prepare, commit and abort");
      return FALSE;
    }
  if (service->taken)
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT,
                   "directory %s is in force already, and there is but one", rook_directory_get_name (service));
      return FALSE;
    }
  rook_directory_owners_add (service->owners, rook_plugin_get_name (self));
  put_in_force (service, source_new (directory, data, self), TRUE);
  rook_plugin_on_drain (self, give_back, NULL, service);
  rook_plugin_on_undo (self, give_back, service);
  return TRUE;
}
