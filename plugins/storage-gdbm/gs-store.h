/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An open store: what its files share. Three kinds of threads work on it, all its own: the committer (the only writer of
 * log and segments), readers (cold gets and reads), and upkeep (checkpoints, spare log files). Callers' threads only
 * queue, and look into memory.
 */
#pragma once

#include <gdbm.h>

#include "rookery/log.h"
#include "rookery/metrics.h"
#include "rookery/server.h"
#include "storage-gdbm/gs-format.h"
#include "storage-gdbm/gs-io.h"

G_BEGIN_DECLS

/* What the plugin's configuration says: the backend's data. */
typedef struct {
  guint64 log_size;     /* of a log file; more for a frame that is larger */
  guint64 segment_size; /* of a segment file; more for a blob that is larger */
  guint64 memory_size;  /* of changes in memory: then a checkpoint is made; at twice that writers are slowed */
  guint64 log_limit;    /* of log since the last checkpoint: then one is made */
  guint64 headroom;     /* free space of the file system that only batches that free space may use */
  guint n_readers;
  GsIo *io; /* (nullable) (unowned) tests */
} GsSettings;

extern const GsSettings gs_default_settings;
/* For rook_store_open_backend() and rook_plugin_add_storage(): its data is a GsSettings (unowned). */
extern const RookStorageBackend gs_backend;

typedef struct GsStore GsStore;

/* --- the two copies ------------------------------------------------------------------------------------------------- */

typedef struct {
  guint64 position; /* everything up to this batch is in it */
  guint64 sequence; /* and up to this log frame */
  gboolean clean;   /* %FALSE: it is being written, or a write did not finish */
  guint64 bytes;    /* of its records: what a fresh one would need */
  guint64 counts[GS_N_TABLES];
  guint64 digests[GS_N_TABLES]; /* XOR of gs_record_digest() */
} GsCopyInfo;

/* The file CURRENT. */
typedef struct {
  guint current;
  guint32 opening;      /* at least; the logs know better */
  guint32 next_segment; /* none that the copies know has a higher number */
  guint64 log_number;   /* of the log file that is being written: it is there, or what it held is lost; 0: not known */
  GsCopyInfo copies[2];
} GsCurrent;

/* Upkeep. What log file is being written is not @current's to say. */
gboolean gs_current_write (GsStore *store, const GsCurrent *current, GError **error);
/* Committer, or open. */
gboolean gs_current_note_log (GsStore *store, guint64 number, GError **error);
gboolean gs_current_read (GsStore *store, GsCurrent *out_current, GError **error);
/* Whether the file is still what was written. Errors: CORRUPT, IDENTITY (it is missing), IO. */
gboolean gs_current_check (GsStore *store, GError **error);
/* As CURRENT has it, and the copy's own mark. */
void gs_copy_info_encode (const GsCopyInfo *info, GByteArray *out);
/* Returns: bytes used; 0 if it is malformed. */
gsize gs_copy_info_decode (const guint8 *data, gsize left, GsCopyInfo *info);

/* Handles of one thread. */
typedef struct {
  GDBM_FILE dbf[2]; /* (nullable) */
  guint64 version[2];
} GsReader;

void gs_reader_clear (GsReader *reader);
/* A record of a copy that is pinned. @out_value: %NULL if there is none. Errors: CORRUPT, IO. */
gboolean gs_copy_fetch (GsStore *store, GsReader *reader, guint index, const guint8 *key, guint length,
                        GBytes **out_value, GError **error);
/* Every record: %FALSE of @func stops. @error: only if the file can't be read on. A record that is damaged is given with
 * @value %NULL. */
typedef gboolean (*GsCopyFunc) (const guint8 *key, guint length, GBytes *value, gpointer data);
gboolean gs_copy_foreach (GsStore *store, guint index, GsCopyFunc func, gpointer data, GError **error);
/* Whether every record of a copy is whole, and they add up to what @info says. Errors: CORRUPT, IO. @func: (nullable) sees
 * them all; %FALSE of it stops, which is CANCELLED. */
gboolean gs_copy_check (GsStore *store, guint index, const GsCopyInfo *info, GsCopyFunc func, gpointer data,
                        GError **error);
/* What a copy says of itself: of which store it is, and what is in it. @out_there: %FALSE: it says nothing, being new.
 * Errors: CORRUPT, IO. */
gboolean gs_copy_read_mark (GsStore *store, guint index, GsCopyInfo *out_info, gboolean *out_there, GError **error);
/* Of which store it says it is, before that is known. @out_id: GS_ID_SIZE + 1 bytes; "": it says nothing. */
gboolean gs_copy_read_id (GsStore *store, guint index, char *out_id, GError **error);
/* Whether the mark is the one that CURRENT says (@info): CORRUPT if not. */
gboolean gs_copy_check_mark (GsStore *store, guint index, const GsCopyInfo *info, GError **error);
/* Makes it an empty file. */
gboolean gs_copy_create (GsStore *store, guint index, GError **error);
/* Makes it what the other is, byte for byte; synced. */
gboolean gs_copy_clone (GsStore *store, guint from, guint to, GError **error);
char *gs_copy_path (GsStore *store, guint index);
/* A number that rises as GDBM's buckets lie in a copy: keys are best brought in this order. If GDBM had another, that would
 * cost time alone. */
guint32 gs_copy_place (const guint8 *key, guint length);

/* A copy being written. */
typedef struct {
  GsStore *store;
  GDBM_FILE dbf;
  GsCopyInfo *info; /* (unowned) brought up to date with every record */
} GsWriter;
gboolean gs_writer_open (GsWriter *writer, GsStore *store, guint index, GsCopyInfo *info, GError **error);
/* @value: %NULL: there is to be none */
gboolean gs_writer_set (GsWriter *writer, const guint8 *key, guint length, GBytes *value, GError **error);
/* Marks it, syncs it, closes it. */
gboolean gs_writer_finish (GsWriter *writer, GError **error);
void gs_writer_abandon (GsWriter *writer);

/* --- log and segments --------------------------------------------------------------------------------------------------- */

typedef struct {
  guint64 number;
  guint64 first_sequence;
  guint64 end_sequence; /* the first that is not in it any more */
  guint64 bytes;
} GsLogFile;

typedef struct {
  int fd; /* -1: none */
  char *name;
  GsLogHead head;
  guint64 offset;   /* where the next frame goes */
  guint64 size;     /* zero-filled so far */
  guint64 sequence; /* of the next frame */
  guint32 previous_crc;
  gboolean unsure; /* a frame was begun and its sync has not returned well */
} GsLog;

typedef struct {
  gint refs; /* atomic */
  int fd;
  char *name;
  guint32 number;
  RookBlobClass blob_class;
  guint64 offset;    /* where the next frame goes; the writer's */
  guint64 allocated; /* the writer's */
  guint64 live;      /* bytes of frames that somebody needs; the committer's, but read under segments_lock */
  gboolean writing;  /* under segments_lock: somebody appends to it */
  gboolean spoilt;   /* under segments_lock: it can't be compacted, since parts can't be read */
} GsSegment;

/* --- the store ------------------------------------------------------------------------------------------------------------ */

#define GS_CACHE_SLOTS 16384

typedef struct {
  RookBlobId id;     /* 0: empty */
  guint32 version;   /* grows when it is told to forget */
  GsBlobEntry entry; /* of what holds the body of @id */
} GsCacheSlot;

struct GsStore {
  RookServer *server; /* (nullable) (unowned) */
  RookStore *handle;  /* (unowned) for rook_store_set_state() */
  GsSettings settings;
  GsIo *io; /* (nullable) (unowned) */
  char *path;
  int dir;
  int lock_fd;
  char id[GS_ID_SIZE + 1];
  guint n_witnesses; /* files that said so, for IDENTITY was damaged as it was opened; 0: it was not */
  guint32 opening;
  gint next_blob; /* atomic: lower half of the next blob id */

  /* The committer's queue. */
  RookMutex queue_lock;
  RookCond queue_cond;
  GQueue queue; /* (element-type RookBatch) */
  GQueue moves; /* (element-type GsMove) of compaction */
  gboolean stopping;
  pthread_t committer;

  /* The committer's own. */
  GsLog log;
  GsSegment *writing[2]; /* (owned reference) (nullable) by class */
  GsReader reader;
  gboolean broken; /* the log can't be written: refuse until it can */

  /* What everybody looks at. */
  RookMutex lock;
  RookCond cond;      /* pins, arriving, held, frozen, upkeep_busy, the tables' size: changed */
  GsTable *arriving;  /* (nullable) lies over live, and is moved into it: see gs-memory.c */
  GsTable *live;      /* what is changed */
  GsTable *held;      /* (nullable) lies below live, and is not changed while somebody reads it without the lock */
  GsTable *frozen;    /* (nullable) lies below that: a checkpoint is being made of it */
  GHashTable *missed; /* GBytes (keys): what the older copy lacks and the current one has */
  guint64 position;   /* of the last durable batch */
  guint64 sequence;   /* of the last durable frame */
  guint64 log_bytes;  /* since the last checkpoint */
  GArray *log_files;  /* (element-type GsLogFile) by number; the last is being written */
  GsCurrent current;
  guint suspect;       /* bits: copies that were found damaged, and are to be looked at */
  guint64 versions[2]; /* of the copies: handles on an older one are stale */
  guint pins[2];
  gboolean upkeep_busy;   /* somebody makes a checkpoint, compacts or verifies */
  gboolean upkeep_wanted; /* a checkpoint */
  gboolean other_wanted;  /* and one more after that, of the other copy */
  gboolean spare_wanted;
  gboolean compact_wanted;
  gboolean upkeep_stop;
  gint hurry;             /* atomic: a checkpoint under way is given up */
  gboolean damaged;       /* recovery found damage: nothing is thrown away */
  gint64 longest_move_us; /* how long at most a group was held up by what compaction moved */
  gboolean beyond_repair; /* neither copy is whole: there is nothing to be made of them */
  guint64 reserved;       /* bytes */
  guint64 space;          /* that batches may use, as of space_time */
  gint64 space_time;
  GsCacheSlot *cache; /* (owned) */
  pthread_t upkeep;

  RookMutex current_lock; /* held while CURRENT is written */
  GsCurrent written;      /* what it says */
  gboolean is_unsure;     /* with current_lock: CURRENT may be what could not be written for certain */

  RookMutex segments_lock;
  GHashTable *segments; /* number to GsSegment (owned reference) */
  guint32 next_segment;
  GsSegment *compacting[2]; /* (owned reference) (nullable) the upkeeper's: where it copies to */
  guint32 compact_number;   /* the segment that it empties; 0: none */
  guint64 compact_offset;   /* and how far it is */

  /* Readers. */
  RookMutex readers_lock;
  RookCond readers_cond;
  GQueue jobs;
  gboolean readers_stop;
  pthread_t *readers;

  RookMutex stages_lock;
  GHashTable *stages; /* id to stage, private to gs-stage.c */

  /* (nullable) all of them */
  RookHistogram *batch_histogram, *sync_histogram, *commit_histogram, *bytes_histogram;
  RookCounter *checkpoints, *moved;
};

void gs_log_notice (GsStore *store, RookLogLevel level, const char *event, const char *format, ...)
    G_GNUC_PRINTF (4, 5);

/* gs-lock.c: the directory, its lock, its identity. */
gboolean gs_directory_open (GsStore *store, gboolean create, GError **error);
void gs_directory_close (GsStore *store);
/* Whether there is a store; NOT there: the place is empty, or an error says what it holds. */
gboolean gs_identity_read (GsStore *store, gboolean *out_there, GError **error);
gboolean gs_identity_make (GsStore *store, GError **error);
/* The file was damaged, and the store is what others said: once it is open the file is written anew, if it can be. */
void gs_identity_repair (GsStore *store);
/* Whether the file still says what it said. Errors: CORRUPT, IDENTITY, IO. */
gboolean gs_identity_check (GsStore *store, GError **error);

/* gs-witness.c: sets the store's id by what its other files say, if they agree. Errors: CORRUPT, VERSION, IO. */
gboolean gs_witness_ask (GsStore *store, GError **error);

/* gs-recover.c: brings memory to the state that was durable. */
gboolean gs_recover (GsStore *store, const RookStoreSpec *spec, GError **error);

/* gs-rebuild.c: part of it, if neither copy is good: makes the first one of the segments (class << 32 | number), of what is in
 * memory, which is the log, and of what the opener makes of both. */
gboolean gs_rebuild (GsStore *store, const RookStoreSpec *spec, GArray *segments, GError **error);

/* gs-log.c: committer, or open. */
gboolean gs_log_start (GsStore *store, GError **error); /* a new file; the one before is complete */
void gs_log_stop (GsStore *store);
/* One frame; durable when this returns. @frame: n_batches and first_position are set. */
gboolean gs_log_write (GsStore *store, const GByteArray *payload, guint n_batches, guint64 first_position,
                       gint64 *out_sync_us, GError **error);
/* gs-log-read.c. Upkeep: frames @from to @to, each of which is there. @func: (nullable). Errors: CORRUPT, IO. */
typedef void (*GsFrameFunc) (const GsLogFrame *frame, const guint8 *payload, gpointer data);
gboolean gs_log_read (GsStore *store, guint64 from, guint64 to, GsFrameFunc func, gpointer data, GError **error);
/* Upkeep: files that hold nothing after @sequence go. */
void gs_log_trim (GsStore *store, guint64 sequence);
gboolean gs_log_make_spare (GsStore *store, GError **error);
char *gs_log_name (guint64 number);
#define GS_LOG_SPARE "log.spare"

/* gs-segment.c */
char *gs_segment_name (guint32 number, RookBlobClass blob_class);
GsSegment *gs_segment_create (GsStore *store, RookBlobClass blob_class, guint64 size, GError **error);
GsSegment *gs_segment_open (GsStore *store, guint32 number, RookBlobClass blob_class, GError **error);
/* Whether its head is what it was written as. */
gboolean gs_segment_check (GsStore *store, GsSegment *segment, GError **error);
GsSegment *gs_segment_ref (GsSegment *segment);
void gs_segment_unref (GsSegment *segment);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GsSegment, gs_segment_unref)
/* (transfer full) (nullable) */
GsSegment *gs_segment_find (GsStore *store, guint32 number);
void gs_segment_add (GsStore *store, GsSegment *segment); /* takes a reference of its own */
/* Nobody appends any more: what was allocated and not used goes back. */
void gs_segment_seal (GsStore *store, GsSegment *segment);
/* The file goes; readers that hold it finish. */
void gs_segment_remove (GsStore *store, GsSegment *segment);
/* Its head, not synced: it is durable with the first sync of what lies behind it. */
gboolean gs_segment_write_head (GsStore *store, GsSegment *segment, guint64 first_frame, GError **error);
/* Room for @size bytes at the segment's end. */
gboolean gs_segment_reserve (GsStore *store, GsSegment *segment, guint64 size, GError **error);

/* gs-memory.c */
GHashTable *gs_keys_new (void); /* (element-type GBytes) a set */
/* Upkeep: the older copy has what the current one has. */
void gs_miss_nothing (GsStore *store);
/* With the lock, what is below but settle and release. */
/* What the tables say of a key, put together. @pending: (nullable) lies over all. Returns: (nullable): they say nothing */
GsEntry *gs_memory_find (GsStore *store, GsTable *pending, const guint8 *key, guint length);
guint64 gs_memory_bytes (GsStore *store);
/* @table (transfer full) lies over all others from now on, and is to be settled. Gives the lock up before, to wait. */
void gs_memory_arrive (GsStore *store, GsTable *table);
/* Moves what arrives into what is live. For whoever let it arrive. */
void gs_memory_settle (GsStore *store);
/* Gives the lock up until nothing arrives and nothing is held. Not for who lets arrive, or holds. */
void gs_memory_await (GsStore *store);
/* What is live comes to lie over *@lower (which is stolen), and is to be settled. Gives the lock up before, to wait. */
void gs_memory_lay (GsStore *store, GsTable **lower);
/* What is live is held: neither it nor what is frozen is changed until it is released. */
void gs_memory_hold (GsStore *store);
void gs_memory_release (GsStore *store);

/* gs-read.c */
/* The value in memory and below. @pending: (nullable) a table above the live one. */
gboolean gs_lookup (GsStore *store, GsReader *reader, GsTable *pending, const guint8 *key, guint length,
                    GBytes **out_value, GError **error);
gboolean gs_lookup_memory (GsStore *store, GsTable *pending, const guint8 *key, guint length, GBytes **out_value);
void gs_get (GsStore *store, RookTable table, GBytes *key, RookStoreReply *reply);
gboolean gs_try_get (GsStore *store, RookTable table, GBytes *key, GBytes **out_value);
void gs_read (GsStore *store, RookBlobId blob, guint64 offset, gsize length, RookStoreReply *reply);
GBytes *gs_try_read (GsStore *store, RookBlobId blob, guint64 offset, gsize length);
/* The frame of @entry before its body. */
gboolean gs_read_frame (GsStore *store, GsSegment *segment, guint64 offset, GsBlobFrame *out_frame, GError **error);
/* The body, checked, or a part of it. @flags: RWF_NOWAIT or 0; %NULL without an error: it would have to wait. */
GBytes *gs_read_body (GsStore *store, GsSegment *segment, const GsBlobEntry *entry, guint64 offset, gsize length,
                      int flags, GError **error);
void gs_readers_start (GsStore *store);
void gs_readers_stop (GsStore *store);
/* The value in the two copies: the current one, or the other where the current one is damaged. */
gboolean gs_lookup_below (GsStore *store, GsReader *reader, guint pinned, const guint8 *key, guint length,
                          GBytes **out_value, GError **error);
guint gs_pin (GsStore *store); /* with the lock: the current copy, which is not written while pinned */
void gs_unpin (GsStore *store, guint index);
/* With the lock. */
void gs_cache_forget (GsStore *store, const guint8 *key, guint length);

/* gs-group.c: batches become one log frame, and frames of segments. The committer's. */
typedef struct GsGroup GsGroup;
typedef struct GsMove GsMove;
GsGroup *gs_group_new (GsStore *store);
void gs_group_free (GsGroup *group);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GsGroup, gs_group_free)
/* Errors: FULL, IO: nothing of the group may be logged then. */
gboolean gs_group_add (GsGroup *group, RookBatch *batch, GError **error);
void gs_group_add_move (GsGroup *group, GsMove *move);
/* Bodies and labels are in their segments and synced. */
gboolean gs_group_write_segments (GsGroup *group, GError **error);
const GByteArray *gs_group_payload (GsGroup *group);
guint gs_group_n_batches (GsGroup *group);
guint64 gs_group_bytes (GsGroup *group); /* of bodies, about */
/* It is durable: everybody sees it, all of it. gs_memory_settle() is to follow. */
void gs_group_apply (GsGroup *group);
/* It failed: segments that it wrote to are not written to any more: what is in them is uncertain. */
void gs_group_abandon_segments (GsGroup *group);

/* gs-stage.c */
gboolean gs_stage_begin (GsStore *store, RookBlobClass blob_class, guint64 *out_stage, GError **error);
gboolean gs_stage_write (GsStore *store, guint64 stage, gconstpointer data, gsize length, GError **error);
gboolean gs_stage_finish (GsStore *store, guint64 stage, GError **error);
void gs_stage_drop (GsStore *store, guint64 stage);
void gs_stages_init (GsStore *store);
void gs_stages_clear (GsStore *store); /* drops those that nobody adopted */
/* The committer: what a finished stage's body is; the entry has no content key. */
gboolean gs_stage_find (GsStore *store, guint64 stage, GsBlobEntry *out_entry);
/* It is adopted: its segment stays. */
void gs_stage_adopted (GsStore *store, guint64 stage);

/* gs-commit.c */
void gs_committer_start (GsStore *store);
void gs_committer_stop (GsStore *store); /* after what is queued */
void gs_commit (GsStore *store, RookBatch *batch);

/* gs-checkpoint.c, gs-upkeep.c */
gboolean gs_checkpoint (GsStore *store, GError **error);
/* How many records the next has to bring, about. */
guint64 gs_checkpoint_count (GsStore *store);
void gs_upkeep_start (GsStore *store);
void gs_upkeep_stop (GsStore *store);
void gs_upkeep_want (GsStore *store);
/* The same of both copies, one after the other: then old log files go. */
void gs_upkeep_want_both (GsStore *store);
void gs_upkeep_begin (GsStore *store); /* waits until nobody else is at it */
void gs_upkeep_end (GsStore *store);

/* gs-repair.c: a copy that is damaged, or gone, while the store is open. */
/* Any thread: it was found to be, and the upkeeper is to see to it. */
void gs_repair_want (GsStore *store, guint index, const char *why);
/* Whether it still is: what can't be read now may be there soon. */
gboolean gs_repair_is_due (GsStore *store);
/* Waits until it has: %TRUE if it is worth another look. Not for the committer or upkeep. */
gboolean gs_repair_wait (GsStore *store);
/* The upkeeper: looks at both, and makes what is damaged anew. */
void gs_repair (GsStore *store);
/* Within upkeep: whether both are there, and say of themselves what CURRENT says; else repair is wanted. */
gboolean gs_repair_look (GsStore *store);

/* gs-scan.c */
/* Every key of a table: as foreach. @damaged: (nullable) records that can't be read; without it they are an error.
 * @check: first whether the copy is whole: if it is not, CORRUPT before @func was called. */
typedef gboolean (*GsScanFunc) (const guint8 *key, guint length, GBytes *value, gpointer data);
gboolean gs_scan (GsStore *store, guint table, gboolean check, GsScanFunc func, GsScanFunc damaged, gpointer data,
                  GError **error);
gboolean gs_foreach (GsStore *store, RookTable table, RookStoreForeach func, gpointer data, GError **error);
gboolean gs_foreach_blob (GsStore *store, RookStoreForeachBlob func, gpointer data, GError **error);

/* gs-backend.c */
RookBlobId gs_new_blob_id (GsStore *store);

/* gs-verify.c */
gboolean gs_verify (GsStore *store, RookStoreReport report, gpointer data, RookStoreProgress progress,
                    gpointer progress_data, GError **error);

/* gs-space.c */
guint64 gs_room (GsStore *store); /* bytes that may be reserved for what frees nothing */
gboolean gs_reserve (GsStore *store, guint64 bytes, gboolean frees, GError **error);
void gs_unreserve (GsStore *store, guint64 bytes);

G_END_DECLS
