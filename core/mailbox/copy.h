/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A copy or move of messages under way: copy.c brings what it is made of together, copy-write.c writes it.
 */
#pragma once

#include "mailbox/box.h"

G_BEGIN_DECLS

typedef struct RookCopy RookCopy;
struct RookCopy {
  RookMailbox *source;    /* (owned) */
  RookPlace *place;       /* (owned) (nullable) where what the records name lies */
  RookMailbox *dest;      /* (owned) (nullable) until it is open */
  RookIdentity *identity; /* (owned) (nullable) */
  gboolean move;
  guint32 *uids; /* asked for */
  guint n_uids, next;
  char *destination;
  char *seen_user;   /* (nullable) whose set has \Seen at the source */
  GArray *records;   /* (element-type RookRecord) as they are at the source, flags as the asker sees them */
  GStrv keywords;    /* names of the source's bits */
  GPtrArray *bodies; /* (nullable) (element-type GBytes) read so far, if the stores differ */
  GPtrArray *caches; /* (nullable) the same, of their structure */
  guint64 size;      /* of all */
  guint64 used[ROOK_MAX_KEYWORDS / 64]; /* bits of keywords that some of them have */
  /* --- while it is written: */
  RookCommit *commit;    /* (unowned) (nullable) aside */
  RookEntry *dest_entry; /* (owned) (nullable) */
  RookRights rights;     /* at the destination */
  const char *dest_user; /* (nullable) the asker's name, if \Seen is kept apart there */
  gint keyword_map[ROOK_MAX_KEYWORDS];
  guint written;
  GArray *seen; /* (element-type guint32) of these, what \Seen is kept of beside the records */
  GArray *source_uids, *dest_uids;
  guint32 uidvalidity;
  RookCopyCallback callback;
  gpointer data;
};

/* Answers, and frees @copy. @error: (nullable) */
void rook_copy_finish (RookCopy *copy, const GError *error);
/* The same as a callback. @data: the copy */
void rook_copy_fail (const GError *error, gpointer data);
/* Sees to it that bodies are at hand in the way that the destination's place wants, and then writes. */
void rook_copy_reach_dest (RookCopy *copy);
/* Writes the copies; expunges at the source, if it is a move; answers. */
void rook_copy_write (RookCopy *copy);

static inline const RookRecord *
rook_copy_record_at (RookCopy *copy, guint i)
{
  return &g_array_index (copy->records, RookRecord, i);
}

G_END_DECLS
