/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server's insides: one pointer a service, and what the files of core/daemon share.
 *
 * Only core/daemon looks into the struct; services find each other through the accessors of their public headers. A
 * service that is not built yet, or is gone already, is NULL.
 */
#pragma once

#include "daemon/privileges.h"
#include "plugin/plugin-private.h"
#include "rookery/auth.h"
#include "rookery/config.h"
#include "rookery/control.h"
#include "rookery/delivery.h"
#include "rookery/directory.h"
#include "rookery/event.h"
#include "rookery/log.h"
#include "rookery/loop.h"
#include "rookery/mailbox.h"
#include "rookery/metrics.h"
#include "rookery/net.h"
#include "rookery/schedule.h"
#include "rookery/server.h"
#include "rookery/storage.h"

G_BEGIN_DECLS

typedef struct RookNet RookNet;
typedef struct RookStorage RookStorage;

struct RookServer {
  RookMutex config_lock;            /* guards config: any thread asks for it */
  RookConfig *config;               /* (owned) in force */
  char *config_path;                /* (owned) (nullable) a test's comes from memory */
  char *hostname;                   /* (owned) */
  const RookPrivileges *privileges; /* (unowned) (nullable) a test has none */
  char *scratch;                    /* (owned) (nullable) a test's directory, removed at its end */

  RookPlugins *plugins; /* (owned) first made and last freed: whoever refers to a plugin goes before */

  /* In the order of their construction; all owned. */
  RookLoop *loop;
  RookPool *pool;
  RookLog *log;
  RookMetrics *metrics;
  RookControl *control;
  RookSchedule *schedule;
  RookEventBus *event_bus;
  RookDirectoryService *directory;
  RookAuth *auth;
  RookNet *net;
  RookDelivery *delivery;
  RookStorage *storage;
  RookMail *mail;
};


/* The groups of the daemon itself. */
extern const RookConfigSchema rook_server_schemas[];
void rook_server_check (RookConfig *config, GPtrArray *mistakes);

/* A server that has a configuration and nothing else. @config: (transfer full), validated */
RookServer *rook_server_new (RookConfig *config, const char *config_path);
/* Frees the services in reverse, then the server. Main thread. */
void rook_server_free (RookServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookServer, rook_server_free)
/* Puts another configuration in force. @config: (transfer full) */
void rook_server_set_config (RookServer *server, RookConfig *config);

RookNet *rook_server_get_net (RookServer *server);
RookStorage *rook_server_get_storage (RookServer *server);
RookPlugins *rook_server_get_plugins (RookServer *server);
/* The directories of the configuration in force. (transfer full) */
char *rook_server_dup_run_directory (RookServer *server);
char *rook_server_dup_state_directory (RookServer *server);

/* --- services.c: what to do with every service, in order ----------------------------------------------------------- */

/* Declares the groups of all services. */
void rook_services_declare (RookConfig *config);
/* Adds what the services find wrong with @config; touches nothing. @running: (nullable): the server that is to take it. */
void rook_services_check (RookServer *running, RookConfig *config, GPtrArray *mistakes);
/* Adds what is no mistake of the configuration's, and will not work as things are now. */
void rook_services_remark (RookConfig *config, GPtrArray *remarks);
/* Adds what a server starts with all the same, and --check-config does not call good. @running: (nullable) */
void rook_services_warn (RookServer *running, RookConfig *config, GPtrArray *warnings);
/* Makes all services of @server, from the loop to the mailbox service, and no thread: the caller may be root yet, in
 * between. */
void rook_services_start (RookServer *server);
/* The log's and the workers. From here on there are threads; pools and stores have theirs when first used. */
void rook_services_start_threads (RookServer *server);
void rook_services_reconfigure (RookServer *server, RookConfig *config);
void rook_services_stop (RookServer *server);

/* What only some have to do: at the start sockets are bound while still root, stores are opened once plugins run, then
 * clients are let in. */
gboolean rook_services_bind (RookServer *server, GError **error);
gboolean rook_services_open (RookServer *server, GError **error);
void rook_services_listen (RookServer *server);
/* Of a reload: everything that may fail; then rook_services_reconfigure() or rook_services_abandon(). */
void rook_services_prepare (RookServer *server, RookConfig *config, GPtrArray *mistakes);
/* The same, of what can fail only once plugins that have come run. */
gboolean rook_services_prepare_late (RookServer *server, GError **error);
void rook_services_abandon (RookServer *server);
/* The last step before rook_services_reconfigure(), which takes time: stores that plugins have come for. Calls @answer on the
 * main worker, perhaps at once. */
void rook_services_settle (RookServer *server, RookPluginsAnswer answer, gpointer data);
/* Adds, for people, what that step has opened. */
void rook_services_describe_opened (RookServer *server, GPtrArray *changes);
/* Adds, for people, what becomes of listeners. */
void rook_net_describe_changes (RookConfig *before, RookConfig *after, GPtrArray *changes);
/* Adds the certificates that rook_net_prepare() read anew since their files have changed. */
void rook_net_describe_renewed (RookNet *net, GPtrArray *changes);
/* At the stop: sessions finish what they are doing, programs that jobs have started are asked to end; those that are left
 * are ended; stores are closed. */
void rook_services_drain (RookServer *server);
guint rook_services_count_sessions (RookServer *server);
gboolean rook_services_run_commands (RookServer *server);
void rook_services_abort_sessions (RookServer *server);
void rook_services_close (RookServer *server);

/* --- test-server.c: for unit tests -------------------------------------------------------------------------------- */

/**
 * rook_server_new_for_test:
 * @config_text: (nullable) what rookery.conf would say; a mistake in it ends the test. @SCRATCH@ in it stands for a
 *   fresh directory, with spool/ in it, that goes with the server.
 *
 * A server with all services and no plugins, which logs to standard error from warning up. Unless @config_text says
 * otherwise its state and run directories are fresh ones that go with it. The calling thread is the main worker.
 */
RookServer *rook_server_new_for_test (const char *config_text);
void rook_server_free_for_test (RookServer *server);

G_END_DECLS
