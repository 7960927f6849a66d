/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What compaction asks of the committer: blobs have been copied to new places and synced there, the index is to say so.
 */
#pragma once

#include "storage-gdbm/gs-store.h"

G_BEGIN_DECLS

typedef struct {
  RookBlobId id;
  GsBlobEntry
      from; /* as the slice found it: what is newer is in memory, since no checkpoint is made while compaction runs */
  guint32 segment;
  guint64 offset;
  guint64 total;
  guint32 head_length;
} GsMovedBlob;

struct GsMove {
  GArray *blobs; /* (element-type GsMovedBlob) */
  GArray *gone;  /* (element-type guint32) segments that hold nothing alive and are removed afterwards */
  gboolean done; /* under queue_lock, as is ok */
  gboolean ok;
};

GsMove *gs_move_new (void);
void gs_move_free (GsMove *move);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GsMove, gs_move_free)
/* Waits for the committer. Returns: whether it is durable. */
gboolean gs_move_run (GsStore *store, GsMove *move);

/* Whether enough of it is dead. With segments_lock. */
gboolean gs_compact_worth (const GsSegment *segment);
gboolean gs_compact (GsStore *store, gboolean *out_more, GError **error);

G_END_DECLS
