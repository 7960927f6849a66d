/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The storage contract: what a storage plugin implements, and what the mailbox service stands on.
 *
 * A *store* is opened for a place (a directory) and offers tables of key to value, immutable blobs, and batches that
 * change both atomically and durably. It knows nothing of mail. Small enough to be written in a day; the conformance
 * suite (tests/conformance, installed) says whether it is right.
 *
 * Asynchronous calls are made on a worker and answered on that same worker, never before they return. Completions of
 * batches of one store come in commit order: of batches submitted one after the other by one thread, in that order.
 */
#pragma once

#include "rookery/loop.h"
#include "rookery/plugin.h"

G_BEGIN_DECLS

#define ROOK_STORE_ERROR (rook_store_error_quark ())
ROOK_EXPORT GQuark rook_store_error_quark (void);
typedef enum {
  ROOK_STORE_ERROR_NOT_FOUND, /* no such blob */
  ROOK_STORE_ERROR_FULL,      /* no space: nothing of the batch was done */
  ROOK_STORE_ERROR_IO,        /* the disk failed; the outcome of a batch is unknown until the store has recovered */
  ROOK_STORE_ERROR_CORRUPT,   /* what was read is not what was written */
  ROOK_STORE_ERROR_LOCKED,    /* another process has it */
  ROOK_STORE_ERROR_IDENTITY,  /* empty or foreign where a known store should be */
  ROOK_STORE_ERROR_VERSION,   /* written by a newer version */
  ROOK_STORE_ERROR_CLOSED     /* the store is closing */
} RookStoreError;

typedef struct RookStore RookStore; /* an open store: its backend's table of functions plus its own data */
typedef struct RookBatch RookBatch;
typedef guint32 RookTable;  /* 0 to 255, given by whoever uses the store */
typedef guint64 RookBlobId; /* given by the store, never 0, never given again */

typedef enum { ROOK_BLOB_MAIL, ROOK_BLOB_CACHE } RookBlobClass; /* CACHE: derivable, need not be synced */

typedef void (*RookStoreGetCallback) (GBytes *value, const GError *error, gpointer data); /* both NULL: no such key */
typedef void (*RookStoreReadCallback) (GBytes *bytes, const GError *error, gpointer data);
/* @position: the store's commit position after this batch */
typedef void (*RookStoreCommitCallback) (guint64 position, const GError *error, gpointer data);
typedef gboolean (*RookStoreForeach) (RookTable table, GBytes *key, GBytes *value, gpointer data); /* FALSE: stop */
typedef void (*RookStoreProgress) (double percent, const char *text, gpointer data);

/* --- batches: built on one thread, then handed over whole ---------------------------------------------------------- */

ROOK_EXPORT RookBatch *rook_batch_new (void);
ROOK_EXPORT void rook_batch_free (RookBatch *batch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookBatch, rook_batch_free)
ROOK_EXPORT void rook_batch_put (RookBatch *batch, RookTable table, GBytes *key, GBytes *value);
ROOK_EXPORT void rook_batch_delete (RookBatch *batch, RookTable table, GBytes *key);
/* Overwrites or extends the value at @offset (at most its present length; a missing value has length 0). */
ROOK_EXPORT void rook_batch_patch (RookBatch *batch, RookTable table, GBytes *key, guint64 offset, GBytes *bytes);
/* Writes a blob. @content_key: (nullable) equal content may be shared under it. @label: (nullable) opaque, kept beside the
 * body for rebuilding. Returns: a handle that stands for the blob's id in this batch (see rook_batch_put_blob_id()). */
ROOK_EXPORT guint rook_batch_blob (RookBatch *batch, RookBlobClass blob_class, GBytes *content_key, GBytes *label,
                                   GBytes *body);
/* Adopts a body streamed ahead with rook_store_stage_*(). */
ROOK_EXPORT guint rook_batch_adopt (RookBatch *batch, RookBlobClass blob_class, GBytes *content_key, GBytes *label,
                                    guint64 stage);
/* One more reference to a blob that exists; a reference less: at zero it is garbage. */
ROOK_EXPORT void rook_batch_retain (RookBatch *batch, RookBlobId blob);
ROOK_EXPORT void rook_batch_release (RookBatch *batch, RookBlobId blob);
/* Blob ids are given before the batch commits: when submitted, the store writes the id of @handle, 8 bytes big-endian, over
 * the value put under (@table, @key) at @offset. */
ROOK_EXPORT void rook_batch_link_blob (RookBatch *batch, guint handle, RookTable table, GBytes *key, guint64 offset);
/* After the commit callback with success: the id that @handle got. */
ROOK_EXPORT RookBlobId rook_batch_get_blob_id (RookBatch *batch, guint handle);

/* What backends read of a batch. */
typedef enum {
  ROOK_OP_PUT,
  ROOK_OP_DELETE,
  ROOK_OP_PATCH,
  ROOK_OP_BLOB,
  ROOK_OP_ADOPT,
  ROOK_OP_RETAIN,
  ROOK_OP_RELEASE,
  ROOK_OP_LINK
} RookOpKind;
typedef struct {
  RookOpKind kind;
  RookTable table;
  RookBlobClass blob_class;
  guint handle;    /* of BLOB, ADOPT, LINK */
  GBytes *key;     /* or the content key (nullable) */
  GBytes *value;   /* of PUT, PATCH; the body of BLOB */
  GBytes *label;   /* (nullable) */
  guint64 offset;  /* of PATCH, LINK; the stage of ADOPT */
  RookBlobId blob; /* of RETAIN, RELEASE; set by the store for BLOB, ADOPT */
} RookOp;
ROOK_EXPORT const RookOp *rook_batch_get_ops (RookBatch *batch, guint *out_n_ops);
ROOK_EXPORT void rook_batch_set_blob_id (RookBatch *batch, guint handle, RookBlobId id);

/* --- what a backend implements --------------------------------------------------------------------------------------- */

typedef struct {
  const char *path;
  const char *store_id; /* (nullable) the id it must have; NULL: a new store may be initialised if the place is empty */
  gboolean create;      /* whether an empty place may be initialised */
  RookStoreProgress progress; /* (nullable) of recovery; any thread */
  gpointer progress_data;
} RookStoreSpec;

typedef struct {
  gsize struct_size;
  const char *name;          /* "gdbm": what mailbox/storage and partition/storage name */
  const RookConfigKey *keys; /* (nullable) */
  /* Opens and recovers. Blocks (called on a pool thread). */
  gpointer (*open) (gpointer backend, RookServer *server, const RookStoreSpec *spec, GError **error);
  void (*close) (gpointer store); /* commits what was submitted, then closes. Blocks. */
  const char *(*get_id) (gpointer store);
  guint64 (*get_position) (gpointer store); /* of the last durable batch. Any thread. */
  void (*get) (gpointer store, RookTable table, GBytes *key, RookStoreGetCallback callback, gpointer data);
  void (*commit) (gpointer store, RookBatch *batch, RookStoreCommitCallback callback, gpointer data);
  void (*read) (gpointer store, RookBlobId blob, guint64 offset, gsize length, RookStoreReadCallback callback,
                gpointer data);
  /* Both block. */
  gboolean (*foreach) (gpointer store, RookTable table, RookStoreForeach func, gpointer data, GError **error);
  gboolean (*checkpoint) (gpointer store, GError **error);
  /* One bounded slice. @out_more: whether there is more to do. Blocks. */
  gboolean (*compact) (gpointer store, gboolean *out_more, GError **error);
  /* Reads everything; each fault is one call of @report. Blocks. */
  gboolean (*verify) (gpointer store, void (*report) (const char *fault, gpointer data), gpointer data,
                      RookStoreProgress progress, gpointer progress_data, GError **error);
  GVariant *(*stats) (gpointer store); /* a{sv}, floating */
  /* (nullable) Bodies streamed ahead: each may block (pool). */
  gboolean (*stage_begin) (gpointer store, guint64 *out_stage, GError **error);
  gboolean (*stage_write) (gpointer store, guint64 stage, gconstpointer data, gsize length, GError **error);
  void (*stage_drop) (gpointer store, guint64 stage);
} RookStorageBackend;

ROOK_EXPORT gboolean rook_plugin_add_storage (RookPlugin *self, const RookStorageBackend *backend, gpointer data,
                                              GError **error);

/* --- what callers use: the same, checked at the border ---------------------------------------------------------------- */

/* @backend: name; looked up among what plugins registered. Blocks. */
ROOK_EXPORT RookStore *rook_store_open (RookServer *server, const char *backend, const RookStoreSpec *spec,
                                        GError **error);
/* For tests and tools: a backend that no plugin registered. */
ROOK_EXPORT RookStore *rook_store_open_backend (RookServer *server, const RookStorageBackend *backend, gpointer data,
                                                const RookStoreSpec *spec, GError **error);
ROOK_EXPORT void rook_store_close (RookStore *store); /* blocks; frees it */
ROOK_EXPORT const char *rook_store_get_id (RookStore *store);
ROOK_EXPORT guint64 rook_store_get_position (RookStore *store);
ROOK_EXPORT void rook_store_get (RookStore *store, RookTable table, GBytes *key, RookStoreGetCallback callback,
                                 gpointer data);
/* @batch: (transfer full), valid until the callback returns */
ROOK_EXPORT void rook_store_commit (RookStore *store, RookBatch *batch, RookStoreCommitCallback callback,
                                    gpointer data);
ROOK_EXPORT void rook_store_read (RookStore *store, RookBlobId blob, guint64 offset, gsize length,
                                  RookStoreReadCallback callback, gpointer data);
ROOK_EXPORT gboolean rook_store_foreach (RookStore *store, RookTable table, RookStoreForeach func, gpointer data,
                                         GError **error);
ROOK_EXPORT gboolean rook_store_checkpoint (RookStore *store, GError **error);
ROOK_EXPORT gboolean rook_store_compact (RookStore *store, gboolean *out_more, GError **error);
ROOK_EXPORT gboolean rook_store_verify (RookStore *store, void (*report) (const char *fault, gpointer data),
                                        gpointer data, RookStoreProgress progress, gpointer progress_data,
                                        GError **error);
ROOK_EXPORT GVariant *rook_store_stats (RookStore *store);
ROOK_EXPORT gboolean rook_store_stage_begin (RookStore *store, guint64 *out_stage, GError **error);
ROOK_EXPORT gboolean rook_store_stage_write (RookStore *store, guint64 stage, gconstpointer data, gsize length,
                                             GError **error);
ROOK_EXPORT void rook_store_stage_drop (RookStore *store, guint64 stage);

G_END_DECLS
