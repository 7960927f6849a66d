/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A storage backend in memory, for tests: the whole contract and nothing durable. A #RookMemoryDisk stands for the
 * directory: it outlives the stores opened on it, one at a time, and can be told to hold or to fail.
 */
#pragma once

#include "rookery/storage.h"

G_BEGIN_DECLS

typedef struct RookMemoryDisk RookMemoryDisk;

RookMemoryDisk *rook_memory_disk_new (void);
void rook_memory_disk_free (RookMemoryDisk *disk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookMemoryDisk, rook_memory_disk_free)

/* For rook_store_open_backend(), with a disk as its data. */
extern const RookStorageBackend rook_memory_backend;

/* Opens a store on @disk; abort if that fails. */
RookStore *rook_memory_open (RookMemoryDisk *disk);

/* While held, batches queue up and are not committed. */
void rook_memory_disk_hold (RookMemoryDisk *disk, gboolean hold);
/* One batch, the next, is committed although it is held; and whether that has been done. */
void rook_memory_disk_step (RookMemoryDisk *disk);
gboolean rook_memory_disk_has_stepped (RookMemoryDisk *disk);
/* While set, verify has no end of its own. Any thread. */
void rook_memory_disk_set_endless (RookMemoryDisk *disk, gboolean endless);
/* Says that there is room for so many bytes of mail, what is there already included; 0: says nothing. It is not insisted on. */
void rook_memory_disk_set_size (RookMemoryDisk *disk, guint64 bytes);
/* Of the calls from now on that may fail with @code, as the contract has it, the @nth (1: the next) fails, once; 0: none
 * does. That is open, get, read, foreach, reserve, commit and stage_*(). After UNKNOWN the store is RECOVERING until it is
 * opened anew, and the batch that failed is there then if @applied. */
void rook_memory_disk_fail (RookMemoryDisk *disk, guint nth, RookStoreError code, gboolean applied);
gboolean rook_memory_disk_will_fail (RookMemoryDisk *disk);   /* and has not yet */
guint rook_memory_disk_get_calls (RookMemoryDisk *disk);      /* that could have failed, ever */
guint rook_memory_disk_count_blobs (RookMemoryDisk *disk);    /* of mail */
guint rook_memory_disk_count_stages (RookMemoryDisk *disk);   /* begun, and neither adopted nor dropped */
RookStore *rook_memory_disk_get_store (RookMemoryDisk *disk); /* (transfer none) (nullable) the one open on it */

G_END_DECLS
