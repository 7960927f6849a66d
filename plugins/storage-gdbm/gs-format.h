/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The files' bytes: heads of files, log frames and the operations in them, blob frames, values. What is here is decided for
 * years and described in doc/format.md; nothing here touches a file.
 */
#pragma once

#include "storage-gdbm/gs-table.h"

G_BEGIN_DECLS

#define GS_FORMAT_VERSION 1
#define GS_ID_SIZE 64
#define GS_HEAD_SIZE 4096 /* of log and segment files; what is used of it fits into 512 bytes */

/* --- heads of files ------------------------------------------------------------------------------------------------- */

typedef struct {
  char store_id[GS_ID_SIZE + 1];
  guint64 number;         /* of the file: grows */
  guint32 opening;        /* how often the store has been opened for writing: the upper half of the blob ids given */
  guint64 epoch;          /* random, a file */
  guint64 first_sequence; /* of its first frame: what an older file has from there on is void */
  guint32 previous_crc;   /* checksum of the frame before that */
  guint64 first_position; /* of its first batch */
} GsLogHead;

typedef struct {
  char store_id[GS_ID_SIZE + 1];
  guint32 number;
  RookBlobClass blob_class;
  guint64 epoch;
  guint64 first_frame; /* where its first frame begins */
} GsSegmentHead;

/* @out: GS_HEAD_SIZE bytes */
void gs_log_head_encode (const GsLogHead *head, guint8 *out);
void gs_segment_head_encode (const GsSegmentHead *head, guint8 *out);
/* Errors: CORRUPT, VERSION. */
gboolean gs_log_head_decode (const guint8 *data, gsize length, GsLogHead *out_head, GError **error);
gboolean gs_segment_head_decode (const guint8 *data, gsize length, GsSegmentHead *out_head, GError **error);

/* --- log frames ----------------------------------------------------------------------------------------------------- */

#define GS_LOG_FRAME_SIZE 64 /* the head; the payload follows, padded to 8 */

typedef struct {
  guint64 epoch;
  guint64 sequence;
  guint64 first_position; /* of its first batch */
  guint64 length;         /* of the payload */
  guint32 n_batches;
  guint32 previous_crc;
  guint32 payload_crc;
  guint32 crc; /* of the head, and so of everything */
} GsLogFrame;

/* Fills in both checksums. */
void gs_log_frame_encode (GsLogFrame *frame, const guint8 *payload, guint8 *out);
/* What is a whole frame at @data: head and payload checked. @available: bytes from there to the end of the file. */
gboolean gs_log_frame_decode (const guint8 *data, gsize available, guint64 epoch, GsLogFrame *out_frame);

/* Operations of a payload: each is a put, a delete or a patch of one key. */
void gs_log_put (GByteArray *payload, const guint8 *key, guint length, GBytes *value);
void gs_log_delete (GByteArray *payload, const guint8 *key, guint length);
void gs_log_patch (GByteArray *payload, const guint8 *key, guint length, guint64 offset, GBytes *bytes);

typedef struct {
  RookOpKind kind; /* PUT, DELETE, PATCH */
  const guint8 *key;
  guint key_length;
  guint64 offset;
  const guint8 *data;
  gsize size;
} GsLogOp;
/* Reads the operation at *@at and moves on. Returns: %FALSE at the end, and with @error if it is malformed. */
gboolean gs_log_next (const guint8 *payload, gsize length, gsize *at, GsLogOp *out_op, GError **error);
/* Does it to @table. */
void gs_log_apply (const GsLogOp *op, GsTable *table);

/* --- blob frames ---------------------------------------------------------------------------------------------------- */

#define GS_BLOB_FRAME_SIZE \
  104 /* the head; content key, label and checksums follow, then, at a multiple of 8, the body */
#define GS_CHUNK 65536

typedef enum { GS_FRAME_BODY = 1, GS_FRAME_ALIAS = 2 } GsFrameKind;

typedef struct {
  GsFrameKind kind;
  RookBlobClass blob_class;
  guint8 codec;      /* 0: as it is */
  gboolean nameless; /* the id is not anybody's: only others that share the body name it */
  RookBlobId id;
  RookBlobId body;     /* whose body it is: its own id, or of an ALIAS another's */
  guint64 length;      /* of the body, also where it is not here */
  guint8 digest[32];   /* SHA-256; zeros without a content key */
  GBytes *content_key; /* (nullable) (owned after decode) */
  GBytes *label;       /* (nullable) (owned after decode) */
  guint32 *chunk_crcs; /* (owned) (nullable) of a BODY */
  guint n_chunks;
  guint32 head_length; /* from the frame's beginning to the body */
} GsBlobFrame;

void gs_blob_frame_clear (GsBlobFrame *frame);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (GsBlobFrame, gs_blob_frame_clear)
/* Bytes in the file, all padding included. */
guint64 gs_blob_frame_total (const GsBlobFrame *frame);
/* Fills in chunk_crcs, n_chunks and head_length from @body (nullable: of an ALIAS, or when they are there already). */
void gs_blob_frame_prepare (GsBlobFrame *frame, GBytes *body);
/* Returns: (transfer full): everything before the body. */
GBytes *gs_blob_frame_encode (const GsBlobFrame *frame);
/* How long the part before the body is; 0: this is no frame. @data: GS_BLOB_FRAME_SIZE bytes. */
guint32 gs_blob_frame_head_length (const guint8 *data);
gboolean gs_blob_frame_decode (const guint8 *data, gsize length, GsBlobFrame *out_frame);

/* --- values of our own tables --------------------------------------------------------------------------------------- */

/* Of GS_TABLE_BLOBS. */
typedef struct {
  GsFrameKind kind;
  RookBlobClass blob_class;
  gboolean nameless;
  guint32 segment;     /* of its frame */
  guint64 offset;      /* of its frame */
  guint32 head_length; /* from there to the body */
  guint32 first_crc;   /* of the body's first chunk */
  guint64 length;      /* of the body */
  guint64 total;       /* of the frame */
  RookBlobId body;     /* of an ALIAS: the id that holds the body */
  guint32 refs;        /* of a BODY: ids that share it, its own too unless nameless */
  guint8 digest[32];
  guint8 content_key_length; /* 0: none */
  guint8 content_key[ROOK_STORE_MAX_CONTENT_KEY];
} GsBlobEntry;

GBytes *gs_blob_entry_encode (const GsBlobEntry *entry);
gboolean gs_blob_entry_decode (GBytes *value, GsBlobEntry *out_entry);
void gs_blob_key (GsKey *key, RookBlobId id);
void gs_content_key (GsKey *key, RookBlobClass blob_class, gconstpointer data, gsize length);
void gs_segment_key (GsKey *key, guint32 number);
guint32 gs_segment_number (const guint8 *key); /* of such a key, which has 6 bytes */

/* Of GS_TABLE_SEGMENTS. */
GBytes *gs_segment_value (RookBlobClass blob_class, guint64 live);
gboolean gs_segment_value_decode (GBytes *value, RookBlobClass *out_class, guint64 *out_live);

/* --- records of the copies: a value as GDBM keeps it ---------------------------------------------------------------------- */

#define GS_RECORD_HEAD 12

gsize gs_record_size (gsize length); /* with head and padding: its size class */
/* @out: gs_record_size() bytes */
void gs_record_encode (const guint8 *key, guint key_length, gconstpointer data, gsize length, guint8 *out);
/* @out_length: of the value, which begins at GS_RECORD_HEAD. */
gboolean gs_record_decode (const guint8 *key, guint key_length, const guint8 *record, gsize size, gsize *out_length);
/* What it adds to its table's digest. */
guint64 gs_record_digest (const guint8 *key, guint key_length, gconstpointer data, gsize length);

G_END_DECLS
