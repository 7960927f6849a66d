/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The storage contract: what a storage plugin implements, and what the mailbox service stands on.
 *
 * A *store* is opened for a place (a directory) and offers tables of key to value, immutable blobs, and batches that
 * change both atomically and durably. It knows nothing of mail. Small enough to be written in a day; the conformance
 * suite (tests/conformance) says whether it is right.
 *
 * The rules that everything else follows from:
 *
 * - A batch is committed whole or not at all, and is on stable storage when its success is reported. Batches have one
 *   order, the commit order; of batches submitted by one thread it is the order of submission. They are completed in
 *   that order.
 * - What a batch says can't fail: every operation is defined in every state (a patch past the end fills with zeros, a
 *   delete of nothing does nothing). So a batch fails only if the store does, and never because of one of its keys.
 * - If a batch fails, all batches submitted after it and before its failure was delivered fail too: they may have been
 *   built on it. New batches are refused (ROOK_STORE_ERROR_RECOVERING) until the callbacks of all of them have returned.
 * - Only what is durable can be read. A get nevertheless sees every batch that its own thread submitted before it: it
 *   waits for those that concern its key.
 * - Every blob id is named by one owner: there is nothing to count for the user of a store. Sharing of bodies, by content
 *   key or by rook_batch_share(), goes on underneath and is never seen.
 *
 * Asynchronous calls are made on a worker and answered on that same worker, never before they return; their _wait forms
 * block, and are for start-up, tools and pool threads.
 */
#pragma once

#include "rookery/loop.h"
#include "rookery/plugin.h"

G_BEGIN_DECLS

#define ROOK_STORE_ERROR (rook_store_error_quark ())
ROOK_EXPORT GQuark rook_store_error_quark (void);
typedef enum {
  ROOK_STORE_ERROR_NOT_FOUND,   /* no such blob */
  ROOK_STORE_ERROR_FULL,        /* no space: nothing of the batch was done */
  ROOK_STORE_ERROR_IO,          /* the disk failed. Of a batch: nothing of it was done, nor will be */
  ROOK_STORE_ERROR_UNKNOWN,     /* of a batch: the disk failed, and the next start will tell; without one it is void */
  ROOK_STORE_ERROR_RECOVERING,  /* the store refuses batches after a failure: nothing was done, try again later */
  ROOK_STORE_ERROR_CORRUPT,     /* what was read is not what was written */
  ROOK_STORE_ERROR_LOCKED,      /* another process has it */
  ROOK_STORE_ERROR_IDENTITY,    /* empty, foreign or older where a known store should be */
  ROOK_STORE_ERROR_VERSION,     /* written by a newer version */
  ROOK_STORE_ERROR_CLOSED,      /* the store is closing: nothing was done */
  ROOK_STORE_ERROR_UNSUPPORTED, /* this backend has no such function, or not yet */
  ROOK_STORE_ERROR_CANCELLED    /* who was told of its progress did not want it to go on */
} RookStoreError;

typedef struct RookStore RookStore; /* an open store: its backend's table of functions plus its own data */
typedef struct RookBatch RookBatch;
typedef struct RookStoreReply RookStoreReply;
typedef guint32 RookTable;  /* 0 to 255, given by whoever uses the store */
typedef guint64 RookBlobId; /* given by the store, never 0, never given again, whatever happened */

#define ROOK_STORE_MAX_TABLE 255
#define ROOK_STORE_MAX_KEY 1024 /* bytes, at least 1 */
#define ROOK_STORE_MAX_VALUE (16 * 1024 * 1024)
#define ROOK_STORE_MAX_LABEL 65535
#define ROOK_STORE_MAX_CONTENT_KEY 64           /* bytes, at least 1 */
#define ROOK_STORE_MAX_BATCH (64 * 1024 * 1024) /* of keys, values and labels in a batch; bodies don't count */

/* MAIL is durable with its batch. CACHE is derivable: it need not be synced, and may be gone (NOT_FOUND) after a crash. */
typedef enum { ROOK_BLOB_MAIL, ROOK_BLOB_CACHE } RookBlobClass;

typedef void (*RookStoreGetCallback) (GBytes *value, const GError *error, gpointer data); /* both NULL: no such key */
typedef void (*RookStoreReadCallback) (GBytes *bytes, const GError *error, gpointer data);
/* @position: the store's commit position after this batch; 0 on failure */
typedef void (*RookStoreCommitCallback) (guint64 position, const GError *error, gpointer data);
typedef gboolean (*RookStoreForeach) (RookTable table, GBytes *key, GBytes *value, gpointer data); /* FALSE: stop */
typedef gboolean (*RookStoreProgress) (double percent, const char *text, gpointer data);           /* FALSE: stop */

/* A blob as it lies there, for rebuilding what named it. */
typedef struct {
  gsize struct_size;
  RookBlobId id;
  RookBlobClass blob_class;
  guint64 length;
  GBytes *label; /* (nullable) */
} RookBlobInfo;
typedef gboolean (*RookStoreForeachBlob) (const RookBlobInfo *info, gpointer data); /* FALSE: stop */

/* A fault that verify found: @text says what and where; what it concerns is named if it is known. */
typedef struct {
  gsize struct_size;
  const char *text;
  RookTable table;
  GBytes *key;     /* (nullable) of @table */
  RookBlobId blob; /* 0: none */
  GBytes *label;   /* (nullable) of @blob */
} RookStoreFault;
typedef void (*RookStoreReport) (const RookStoreFault *fault, gpointer data);

/* --- tables that are lost ------------------------------------------------------------------------------------------- */

/* A store whose tables are lost, while it is being opened: what there is to make them again. All of it is the store's, valid
 * during the call, and in memory: what is put is stored when the call has returned %TRUE, whole or not at all. */
typedef struct {
  gsize struct_size;
  gpointer self;
  /* Every blob that was found with its body. */
  void (*foreach_blob) (gpointer self, RookStoreForeachBlob func, gpointer data);
  /* Returns: (transfer full) (nullable): what the log, as far back as it goes, makes of @base (nullable) under that key. */
  GBytes *(*recall) (gpointer self, RookTable table, GBytes *key, GBytes *base);
  /* A value; of those that are not put, what the log says in full is kept, and the rest is lost. */
  void (*put) (gpointer self, RookTable table, GBytes *key, GBytes *value);
  /* Somebody names this blob: the others are left out. */
  void (*keep) (gpointer self, RookBlobId blob);
} RookStoreRebuilder;
typedef gboolean (*RookStoreRebuild) (const RookStoreRebuilder *rebuilder, gpointer data, GError **error);

/* --- opening and closing -------------------------------------------------------------------------------------------- */

typedef enum {
  ROOK_STORE_OPEN,       /* reads and writes */
  ROOK_STORE_RECOVERING, /* reads; after a failed write it refuses batches and tries to write again by itself */
  ROOK_STORE_FULL        /* reads, and takes only batches that free space (see rook_batch_reserve()) */
} RookStoreState;
typedef void (*RookStoreNotify) (RookStoreState state, gpointer data);
typedef void (*RookStoreLost) (const char *what, gpointer data);

typedef struct {
  gsize struct_size;
  const char *path;
  const char *store_id; /* (nullable) the id it must have, else IDENTITY; NULL: any */
  guint64 min_position; /* IDENTITY if its position is below: a directory that was rolled back */
  gboolean create;      /* a missing or empty place becomes a new store, with a random id (never if @store_id is set) */
  RookStoreProgress progress; /* (nullable) of recovery; any thread. FALSE: the open fails with CANCELLED */
  gpointer progress_data;
  RookStoreNotify notify; /* (nullable) when the state changed; any thread, must not call the store */
  gpointer notify_data;
  RookStoreRebuild rebuild; /* (nullable) makes tables that are lost; without it the open fails with CORRUPT */
  gpointer rebuild_data;
  RookStoreLost
      lost; /* (nullable) while it opens: batches that were reported as durable are gone, and what is read is older */
  gpointer lost_data;
} RookStoreSpec;

/**
 * rook_store_open:
 * @backend: what a plugin registered
 *
 * Opens the store at @spec->path and recovers it: everything that was reported as durable is there. A newer format is
 * refused (VERSION), a second process too (LOCKED). Never initialises a place that holds anything.
 * Blocks. Free: rook_store_close().
 */
ROOK_EXPORT RookStore *rook_store_open (RookServer *server, const char *backend, const RookStoreSpec *spec,
                                        GError **error);
/* Commits what was submitted, answers every call still open, closes, frees. Blocks; no callback of the store's may be
 * waiting for the caller. Callbacks for other workers are posted, and run later. */
ROOK_EXPORT void rook_store_close (RookStore *store);
/* 1 to 64 characters of [a-zA-Z0-9-], for ever the same. */
ROOK_EXPORT const char *rook_store_get_id (RookStore *store);
/* Of the last durable batch: grows with every batch, over restarts too. Any thread. */
ROOK_EXPORT guint64 rook_store_get_position (RookStore *store);
ROOK_EXPORT RookStoreState rook_store_get_state (RookStore *store); /* any thread */

/* --- batches: built on one thread, then handed over whole ----------------------------------------------------------- */

/* For @store alone. Any thread, memory only. Keys, values, labels and bodies are referenced, not copied. */
ROOK_EXPORT RookBatch *rook_batch_new (RookStore *store);
/* Only of a batch that was not committed. */
ROOK_EXPORT void rook_batch_free (RookBatch *batch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookBatch, rook_batch_free)

/* Operations take effect in the order added: a patch sees a put of the same batch. */
ROOK_EXPORT void rook_batch_put (RookBatch *batch, RookTable table, GBytes *key, GBytes *value);
ROOK_EXPORT void rook_batch_delete (RookBatch *batch, RookTable table, GBytes *key);
/* Overwrites or extends the value from @offset on. A missing value has length 0; a gap is filled with zeros. The value is
 * not read for it: a patch of a few bytes costs a few bytes. */
ROOK_EXPORT void rook_batch_patch (RookBatch *batch, RookTable table, GBytes *key, guint64 offset, GBytes *bytes);

/**
 * rook_batch_blob:
 * @content_key: (nullable): opaque; a body equal in length and SHA-256 that was stored under the same key and class may be
 *   shared instead of being stored again
 * @label: (nullable): opaque, kept beside the body for rook_store_foreach_blob(); of CACHE blobs also the order in which
 *   they should lie
 *
 * Adds a blob. Returns: its id, at once, so that values of the same batch can name it. It can be read once the batch
 * is durable; if the batch is not committed the id is never used.
 */
ROOK_EXPORT RookBlobId rook_batch_blob (RookBatch *batch, RookBlobClass blob_class, GBytes *content_key, GBytes *label,
                                        GBytes *body);
/* The same of a body streamed ahead: @stage has been finished and is consumed, even if the batch fails. */
ROOK_EXPORT RookBlobId rook_batch_adopt (RookBatch *batch, RookBlobClass blob_class, GBytes *content_key, GBytes *label,
                                         guint64 stage);
/* Another id, with a label of its own, for the body of @blob, which was committed or submitted before (or is of this
 * batch). If @blob is not there, neither will the new one be: reading it gives NOT_FOUND. */
ROOK_EXPORT RookBlobId rook_batch_share (RookBatch *batch, RookBlobId blob, GBytes *label);
/* The id is gone, and the body with the last id that shares it. Releasing an id that is not there does nothing. A read
 * that has begun is finished. */
ROOK_EXPORT void rook_batch_release (RookBatch *batch, RookBlobId blob);

/**
 * rook_batch_reserve:
 * @more: bytes of keys, values and labels that will still be added (bodies must be in the batch already)
 * @frees: the batch frees space in the end (an expunge, a delete): it may use the room kept for that
 *
 * Makes sure that there is room, before anything irrevocable (a UID) is built on the batch: FULL is then found out here
 * and not by the commit. The room is given back when the batch has completed or is freed. A batch that was not
 * reserved is reserved by its commit. Memory only. Errors: FULL, RECOVERING, CLOSED.
 */
ROOK_EXPORT gboolean rook_batch_reserve (RookBatch *batch, guint64 more, gboolean frees, GError **error);

/**
 * rook_batch_on_settled:
 *
 * Has @func called when it is settled what became of the batch, on a thread of the store's own, before the callback and
 * in commit order over all threads: here a durable state is advanced that several workers share. It does a little
 * work in memory and may take locks that are held over rook_store_commit(). Not called if the commit was refused at once.
 */
ROOK_EXPORT void rook_batch_on_settled (RookBatch *batch, RookStoreCommitCallback func, gpointer data);

/**
 * rook_store_commit:
 * @batch: (transfer full): valid until the callback has returned
 *
 * Commits it. @callback runs on the calling worker with the outcome: success means durable. Never blocks.
 * Errors: IO, UNKNOWN, FULL, RECOVERING, CLOSED; see the rules above for what a failure means to later batches.
 */
ROOK_EXPORT void rook_store_commit (RookStore *store, RookBatch *batch, RookStoreCommitCallback callback,
                                    gpointer data);
/* The same, waiting for it. @out_position: (out) (optional) */
ROOK_EXPORT gboolean rook_store_commit_wait (RookStore *store, RookBatch *batch, guint64 *out_position, GError **error);

/* --- reading -------------------------------------------------------------------------------------------------------- */

/* The value of @key: durable, and no older than the last batch that this thread submitted. Errors: IO, CORRUPT, CLOSED. */
ROOK_EXPORT void rook_store_get (RookStore *store, RookTable table, GBytes *key, RookStoreGetCallback callback,
                                 gpointer data);
/* Returns: %FALSE with an error, or %TRUE with @out_value, %NULL if there is no such key. Blocks. */
ROOK_EXPORT gboolean rook_store_get_wait (RookStore *store, RookTable table, GBytes *key, GBytes **out_value,
                                          GError **error);
/* Returns: %TRUE with the answer if it is in memory, else %FALSE: use rook_store_get(). Never blocks. Any thread. */
ROOK_EXPORT gboolean rook_store_try_get (RookStore *store, RookTable table, GBytes *key, GBytes **out_value);

/* Bytes of a blob from @offset on: @length of them, or fewer if it ends before (none from its end on). What is answered has
 * been checked against its checksum. Errors: NOT_FOUND, IO, CORRUPT, CLOSED. */
ROOK_EXPORT void rook_store_read (RookStore *store, RookBlobId blob, guint64 offset, gsize length,
                                  RookStoreReadCallback callback, gpointer data);
/* Returns: (transfer full): %NULL with an error. Blocks. */
ROOK_EXPORT GBytes *rook_store_read_wait (RookStore *store, RookBlobId blob, guint64 offset, gsize length,
                                          GError **error);
/* Returns: (transfer full) (nullable): the bytes if no disk is needed for them, else %NULL: use rook_store_read(). Any
 * thread. Never blocks. */
ROOK_EXPORT GBytes *rook_store_try_read (RookStore *store, RookBlobId blob, guint64 offset, gsize length);

/* Every key of @table, in no order, for start-up and checks. Batches may be committed meanwhile: a key that is there
 * from beginning to end is reported once, with a value that it had at some time of the call; one that comes or goes
 * may or may not be. @func may not call the store. Values are checked. Blocks. */
ROOK_EXPORT gboolean rook_store_foreach (RookStore *store, RookTable table, RookStoreForeach func, gpointer data,
                                         GError **error);
/* Every blob that is there, under the same terms: to rebuild tables from labels. Blocks. */
ROOK_EXPORT gboolean rook_store_foreach_blob (RookStore *store, RookStoreForeachBlob func, gpointer data,
                                              GError **error);

/* --- bodies streamed ahead ------------------------------------------------------------------------------------------ */

/* For large bodies: written as they arrive, so that nobody's commit waits for them. All of these may block (pool threads)
 * and are called by one thread at a time for one stage. A stage that is not adopted before the store closes is gone. */
ROOK_EXPORT gboolean rook_store_stage_begin (RookStore *store, RookBlobClass blob_class, guint64 *out_stage,
                                             GError **error);
ROOK_EXPORT gboolean rook_store_stage_write (RookStore *store, guint64 stage, gconstpointer data, gsize length,
                                             GError **error);
/* It is whole and on stable storage: rook_batch_adopt() may take it. */
ROOK_EXPORT gboolean rook_store_stage_finish (RookStore *store, guint64 stage, GError **error);
/* Not wanted: at any time before it was adopted, and after any failure. */
ROOK_EXPORT void rook_store_stage_drop (RookStore *store, guint64 stage);

/* --- upkeep --------------------------------------------------------------------------------------------------------- */

/* All of these block. Stores do their own upkeep as needed: these are for jobs, rookctl and tests. */
ROOK_EXPORT gboolean rook_store_checkpoint (RookStore *store, GError **error);
/* One bounded slice of giving dead bytes back. @out_more: whether there is more to do. */
ROOK_EXPORT gboolean rook_store_compact (RookStore *store, gboolean *out_more, GError **error);
/* Reads everything; each fault is one call of @report. Returns: %FALSE if it could not be done, not if there are faults.
 * @progress: (nullable): called by the calling thread, at least once, and every 100 ms or so; once it has said %FALSE it is called
 * no more, and the call ends with CANCELLED as soon as it can. */
ROOK_EXPORT gboolean rook_store_verify (RookStore *store, RookStoreReport report, gpointer data,
                                        RookStoreProgress progress, gpointer progress_data, GError **error);
/* "room-bytes" (t) is there if the backend knows it: how much more may be stored before what frees nothing is refused (FULL). */
ROOK_EXPORT GVariant *rook_store_stats (RookStore *store); /* a{sv}, floating. Any thread; does not block */

/* --- what a backend implements -------------------------------------------------------------------------------------- */

typedef enum {
  ROOK_OP_PUT,
  ROOK_OP_DELETE,
  ROOK_OP_PATCH,
  ROOK_OP_BLOB,
  ROOK_OP_ADOPT,
  ROOK_OP_SHARE,
  ROOK_OP_RELEASE
} RookOpKind;

/* One operation. Arguments are within the limits above: the wrappers see to that. */
typedef struct {
  RookOpKind kind;
  RookTable table;          /* of PUT, DELETE, PATCH */
  RookBlobClass blob_class; /* of BLOB, ADOPT */
  GBytes *key;              /* of PUT, DELETE, PATCH; (nullable) the content key of BLOB, ADOPT */
  GBytes *value;            /* of PUT, PATCH; the body of BLOB */
  GBytes *label;            /* (nullable) of BLOB, ADOPT, SHARE */
  guint64 offset;           /* of PATCH; the stage of ADOPT */
  RookBlobId blob;          /* the id given to BLOB, ADOPT, SHARE; what RELEASE releases */
  RookBlobId source;        /* what SHARE shares */
} RookOp;
ROOK_EXPORT const RookOp *rook_batch_get_ops (RookBatch *batch, guint *out_n_ops);
/* What rook_batch_reserve() reserved or would: bytes of keys, values, labels and bodies. */
ROOK_EXPORT guint64 rook_batch_get_size (RookBatch *batch);
/* For the backend's own use between commit and completion: a link and a pointer. */
ROOK_EXPORT void rook_batch_set_backend_data (RookBatch *batch, gpointer data);
ROOK_EXPORT gpointer rook_batch_get_backend_data (RookBatch *batch);

/* How a backend answers. Any thread, inside the call too, exactly once. The values are referenced. */
ROOK_EXPORT void rook_store_reply_value (RookStoreReply *reply, GBytes *bytes); /* (nullable) of get: no such key */
ROOK_EXPORT void rook_store_reply_error (RookStoreReply *reply, const GError *error);
/* How a backend completes a batch: in commit order, one at a time, on a thread of its own that holds no lock; never inside
 * commit(). After a failure every batch that was submitted is
 * failed too, in order: the backend says RECOVERING first, so that none comes in meanwhile, and OPEN afterwards. @position: 0 on failure. */
ROOK_EXPORT void rook_batch_complete (RookBatch *batch, guint64 position, const GError *error);
/* How a backend says that its state changed. Any thread. */
ROOK_EXPORT void rook_store_set_state (RookStore *store, RookStoreState state);

/* The functions have the meaning of the wrapper of the same name. Those marked nullable may be missing: the wrapper then
 * answers UNSUPPORTED, or what is said here. */
typedef struct {
  gsize struct_size;
  const char *name; /* "gdbm": what mailbox/storage and partition/storage name */
  /* Opens and recovers. Blocks (called on a pool thread). @store: for rook_store_set_state() alone. */
  gpointer (*open) (gpointer backend, RookServer *server, RookStore *store, const RookStoreSpec *spec, GError **error);
  void (*close) (gpointer self);
  const char *(*get_id) (gpointer self);
  guint64 (*get_position) (gpointer self);
  RookBlobId (*new_blob_id) (gpointer self); /* any thread, memory only */
  /* (nullable: there is always room) @bytes as of rook_batch_get_size(), with what is to come. */
  gboolean (*reserve) (gpointer self, guint64 bytes, gboolean frees, GError **error);
  void (*unreserve) (gpointer self, guint64 bytes); /* (nullable with reserve) */
  void (*commit) (gpointer self, RookBatch *batch); /* to be completed by rook_batch_complete() */
  void (*get) (gpointer self, RookTable table, GBytes *key, RookStoreReply *reply);
  gboolean (*try_get) (gpointer self, RookTable table, GBytes *key, GBytes **out_value); /* (nullable: FALSE) */
  void (*read) (gpointer self, RookBlobId blob, guint64 offset, gsize length, RookStoreReply *reply);
  GBytes *(*try_read) (gpointer self, RookBlobId blob, guint64 offset, gsize length); /* (nullable: NULL) */
  gboolean (*foreach) (gpointer self, RookTable table, RookStoreForeach func, gpointer data, GError **error);
  gboolean (*foreach_blob) (gpointer self, RookStoreForeachBlob func, gpointer data, GError **error); /* (nullable) */
  gboolean (*stage_begin) (gpointer self, RookBlobClass blob_class, guint64 *out_stage,
                           GError **error); /* (nullable) */
  gboolean (*stage_write) (gpointer self, guint64 stage, gconstpointer data, gsize length, GError **error);
  gboolean (*stage_finish) (gpointer self, guint64 stage, GError **error);
  void (*stage_drop) (gpointer self, guint64 stage);
  gboolean (*checkpoint) (gpointer self, GError **error);                  /* (nullable: nothing to do) */
  gboolean (*compact) (gpointer self, gboolean *out_more, GError **error); /* (nullable: nothing to do) */
  gboolean (*verify) (gpointer self, RookStoreReport report, gpointer data, RookStoreProgress progress,
                      gpointer progress_data, GError **error); /* (nullable) */
  GVariant *(*stats) (gpointer self);                          /* (nullable: empty) */
} RookStorageBackend;

/* @backend: constant; @data is handed to its open. A store keeps the plugin in memory as long as it is open. */
ROOK_EXPORT gboolean rook_plugin_add_storage (RookPlugin *self, const RookStorageBackend *backend, gpointer data,
                                              GError **error);
/* For tests and tools: a backend that no plugin registered. @server: (nullable) what the backend makes of it */
ROOK_EXPORT RookStore *rook_store_open_backend (RookServer *server, const RookStorageBackend *backend, gpointer data,
                                                const RookStoreSpec *spec, GError **error);

G_END_DECLS
