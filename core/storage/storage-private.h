/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The storage service's insides: an open store, a batch, a reply, and the registry of backends.
 */
#pragma once

#include "rookery/server.h"
#include "rookery/storage.h"

G_BEGIN_DECLS

/* --- the registry -------------------------------------------------------------------------------------------------- */

typedef struct RookStorage RookStorage;

RookStorage *rook_storage_new (RookServer *server);
void rook_storage_free (RookStorage *self);
/* Written in core/daemon. */
RookStorage *rook_server_get_storage (RookServer *server);
/* @plugin: (nullable): kept in memory while a store of it is open. Errors: a name taken, a function missing. */
gboolean rook_storage_add (RookStorage *self, RookPlugin *plugin, const RookStorageBackend *backend, gpointer data,
                           GError **error);
void rook_storage_remove (RookStorage *self, const RookStorageBackend *backend);
/* Whether a backend of that name is there to open stores with. Any thread. */
gboolean rook_storage_has (RookStorage *self, const char *name);
/* Whether a store of @backend is open: its plugin can't be switched off then. */
gboolean rook_storage_in_use (RookStorage *self, const RookStorageBackend *backend);

/* --- an open store -------------------------------------------------------------------------------------------------- */

#define ROOK_STORE_BUCKETS 4096

struct RookStore {
  gint refs;                         /* atomic: the opener's and one a call under way */
  const RookStorageBackend *backend; /* (unowned) constant */
  gpointer self;                     /* the backend's store */
  RookFunc closed;                   /* (nullable) of the registry */
  gpointer closed_data;
  char *id;
  RookStoreNotify notify; /* (nullable) */
  gpointer notify_data;

  RookMutex lock; /* guards what follows */
  RookStoreState state;
  gboolean closing;
  guint64 submitted;     /* number of the last batch handed to the backend */
  guint64 completed;     /* number of the last one that it completed */
  guint64 position;      /* as the backend said last */
  gboolean failed;       /* a batch failed: no new ones until everything that may build on it has been told */
  guint64 failed_number; /* of the first batch that failed among those submitted; 0: none */
  guint n_failing;       /* failed batches whose callbacks have not returned */
  GQueue parked;         /* gets that wait for batches, by number */
  guint64 *buckets;      /* (owned) by hash of table and key: number of the last batch that wrote to one of them */
};

void rook_store_ref (RookStore *store);
void rook_store_unref (RookStore *store);
guint rook_store_bucket (RookTable table, GBytes *key);
/* Whether a batch would be taken now: not while the store closes, or makes up for a failure. Any thread. */
gboolean rook_store_accepts (RookStore *store);

/* --- batches and replies -------------------------------------------------------------------------------------------- */

/* Where the answer goes: to a worker, or to a thread that waits. */
typedef struct {
  RookMutex lock;
  RookCond cond;
  gboolean done;
  GBytes *bytes; /* (owned) (nullable) */
  GError *error; /* (owned) (nullable) */
  guint64 position;
} RookStoreWaiter;

void rook_store_waiter_init (RookStoreWaiter *waiter);
void rook_store_waiter_clear (RookStoreWaiter *waiter);
void rook_store_waiter_wait (RookStoreWaiter *waiter);
/* Takes @error. */
void rook_store_waiter_answer (RookStoreWaiter *waiter, GBytes *bytes, guint64 position, const GError *error);

struct RookBatch {
  RookStore *store; /* (owned reference) */
  GArray *ops;      /* (element-type RookOp) */
  guint64 size;     /* of what is in it, as of rook_batch_get_size() */
  guint64 metadata; /* the part of it that is not bodies */
  guint64 reserved; /* 0: not reserved */
  guint64 more;     /* what was reserved beyond size at that time */
  gboolean frees;
  gboolean submitted;
  gpointer backend_data;
  guint64 number;
  RookStoreCommitCallback settled; /* (nullable) */
  gpointer settled_data;
  RookWorker *worker;      /* (nullable) (unowned) where callback runs */
  RookStoreWaiter *waiter; /* (nullable) (unowned) instead of worker */
  RookStoreCommitCallback callback;
  gpointer data;
  gboolean failing; /* counted in store->n_failing */
  guint64 position;
  GError *error; /* (owned) (nullable) the outcome */
};

typedef enum { ROOK_REPLY_GET, ROOK_REPLY_READ } RookReplyKind;

struct RookStoreReply {
  RookStore *store; /* (owned reference) */
  RookReplyKind kind;
  RookTable table;
  GBytes *key;        /* (owned) (nullable) of GET */
  guint64 wait_for;   /* of a parked GET: number of a batch */
  RookWorker *worker; /* (nullable) (unowned) */
  RookStoreWaiter *waiter;
  gboolean answered;
  RookStoreReadCallback callback; /* the get's has the same type */
  gpointer data;
  GBytes *bytes; /* (owned) (nullable) */
  GError *error; /* (owned) (nullable) */
};

/* Hands parked gets to the backend whose batches have completed. Without the lock. */
void rook_store_unpark (RookStore *store);

G_END_DECLS
