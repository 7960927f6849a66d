/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the crash tests of the store write, and how they tell afterwards whether all of it is there: each writer numbers its
 * batches, and a store that holds a writer's batches up to n has one right content.
 */
#pragma once

#include "storage-gdbm/gs-store.h"

G_BEGIN_DECLS

#define MODEL_MAX_WRITERS 8
#define MODEL_KEPT 16 /* records that a writer keeps: older ones are deleted and their blobs released */

RookStore *model_open (const char *path, const GsSettings *settings);
/* The batch in which @writer does its number @number: a record with a body, shared or streamed ahead at times; something for the cache;
 * patches in the middle of values; what is too old goes. */
RookBatch *model_batch (RookStore *store, guint writer, guint64 number);
/* The number of the last batch of @writer that is in the store; 0: none. */
guint64 model_last (RookStore *store, guint writer);
/* Aborts unless each of @n_writers has all up to some number from its @least to its @most, and nothing
 * else (of the cache less), the store holds itself for undamaged, and verify finds no fault. */
void model_check (RookStore *store, guint n_writers, const guint64 *least, const guint64 *most);
/* Settings under which upkeep never ends. */
GsSettings model_tiny_settings (void);
/* Whether from now on whatever a store calls damaged, in its log too, aborts: no power cut is damage. */
void model_forbid_damage (gboolean forbid);
void model_remove (const char *path);

G_END_DECLS
