/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The directory as its callers see it: one is in force, each question is put to it once, and its answer is checked and
 * brought back to the worker that asked. A change that was prepared is committed by the directory that prepared it, even if
 * another has been put in force meanwhile.
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
  RookServer *server; /* (unowned) */
  RookMutex lock;     /* guards what follows */
  Source *in_force;   /* (owned) */
  gboolean taken;     /* by a plugin */
};

/* What prepare gave, as callers hold it. */
typedef struct {
  Source *source; /* (owned) */
  gpointer token; /* the directory's own */
} Token;

typedef enum { CALL_LOCATE, CALL_PREPARE, CALL_COMMIT } CallKind;

typedef struct {
  CallKind kind;
  Source *source;     /* (owned) */
  RookWorker *worker; /* (unowned) */
  union {
    RookLocateCallback locate;
    RookPrepareCallback prepare;
    RookCommitCallback commit;
  } callback;
  gpointer data;
  /* The answer. */
  GError *error;         /* (nullable) */
  RookLocation location; /* its strings are owned */
  Token *token;          /* (nullable) */
} Call;

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

RookDirectoryService *
rook_directory_new (RookServer *server)
{
  RookDirectoryService *service = g_new0 (RookDirectoryService, 1);

  service->server = server;
  rook_mutex_init (&service->lock);
  service->in_force = source_new (&rook_local_directory, NULL, NULL);
  return service;
}

void
rook_directory_free (RookDirectoryService *service)
{
  source_drop (service->in_force);
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

static Call *
call_new (CallKind kind, Source *source, gpointer data)
{
  Call *call = g_new0 (Call, 1);

  *call = (Call){ .kind = kind, .source = source, .worker = rook_worker_current (), .data = data };
  return call;
}

static void
call_free (Call *call)
{
  g_free ((char *) call->location.server);
  g_free ((char *) call->location.partition);
  g_free ((char *) call->location.acl);
  g_clear_error (&call->error);
  source_unref (call->source);
  g_free (call);
}

/* On the worker that asked. */
static void
call_back (gpointer data)
{
  Call *call = data;

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
}

static void
call_end (Call *call)
{
  rook_worker_invoke (call->worker, call_back, call, (GDestroyNotify) call_free);
}

static void
located (const RookLocation *location, const GError *error, gpointer data)
{
  Call *call = data;

  call->error = error != NULL ? g_error_copy (error) : NULL;
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
  call = call_new (CALL_LOCATE, take_in_force (service), data);
  call->callback.locate = callback;
  call->source->directory->locate (call->source->self, name, located, call);
}

static void
prepared (gpointer token, const GError *error, gpointer data)
{
  Call *call = data;

  call->error = error != NULL ? g_error_copy (error) : NULL;
  if (error == NULL)
    {
      call->token = g_new (Token, 1);
      *call->token = (Token){ source_ref (call->source), token };
    }
  call_end (call);
}

void
rook_directory_prepare (RookDirectoryService *service, const RookChange *change, RookPrepareCallback callback,
                        gpointer data)
{
  Call *call;

  g_return_if_fail (change != NULL && change->name != NULL && callback != NULL && rook_worker_current () != NULL);
  g_return_if_fail ((change->kind == ROOK_CHANGE_RENAME) == (change->new_name != NULL));
  call = call_new (CALL_PREPARE, take_in_force (service), data);
  call->callback.prepare = callback;
  call->source->directory->prepare (call->source->self, change, prepared, call);
}

static void
committed (const GError *error, gpointer data)
{
  Call *call = data;

  call->error = error != NULL ? g_error_copy (error) : NULL;
  call_end (call);
}

void
rook_directory_commit (G_GNUC_UNUSED RookDirectoryService *service, gpointer token, RookCommitCallback callback,
                       gpointer data)
{
  g_autofree Token *prepared_token = token;
  Call *call;

  g_return_if_fail (token != NULL && callback != NULL && rook_worker_current () != NULL);
  call = call_new (CALL_COMMIT, prepared_token->source, data);
  call->callback.commit = callback;
  call->source->directory->commit (call->source->self, prepared_token->token, committed, call);
}

void
rook_directory_abort (G_GNUC_UNUSED RookDirectoryService *service, gpointer token)
{
  g_autofree Token *prepared_token = token;

  g_return_if_fail (token != NULL);
  prepared_token->source->directory->abort (prepared_token->source->self, prepared_token->token);
  source_unref (prepared_token->source);
}

/* --- a plugin's --------------------------------------------------------------------------------------------------------- */

/* The plugin goes: whatever is asked from now on is answered here. */
static void
give_back (gpointer data)
{
  RookDirectoryService *service = data;

  if (service->taken)
    put_in_force (service, source_new (&rook_local_directory, NULL, NULL), FALSE);
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
                   "plugin %s: a directory must have struct_size, name, locate, prepare, commit and abort",
                   rook_plugin_get_name (self));
      return FALSE;
    }
  if (service->taken)
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT,
                   "plugin %s: directory %s is in force already, and there is but one", rook_plugin_get_name (self),
                   rook_directory_get_name (service));
      return FALSE;
    }
  put_in_force (service, source_new (directory, data, self), TRUE);
  rook_plugin_on_drain (self, give_back, NULL, service);
  rook_plugin_on_undo (self, give_back, service);
  return TRUE;
}
