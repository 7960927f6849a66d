/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A small store of storage-gdbm, its directory as bytes that can be laid out again, and whether all of it is there: for tests
 * of damage.
 */
#pragma once

#include "storage-gdbm/gs-store.h"
#include "store-fixture.h"

G_BEGIN_DECLS

#define N_KEYS 60
#define N_BLOBS 24

typedef struct {
  char *name;
  GByteArray *bytes;
} File;

typedef struct {
  GsSettings settings;
  char *path;
  RookStore *store;
  GPtrArray *image;          /* (element-type File) the directory as a process that was killed left it */
  GHashTable *values;        /* key (table 1) -> GBytes */
  RookBlobId blobs[N_BLOBS]; /* 0: released */
  GBytes *bodies[N_BLOBS];   /* (owned) */
  GString *told;             /* what the store has logged since it was opened */
  guint n_lost;              /* how often it said, when it was opened last, that batches are gone */
} Fixture;

typedef struct {
  guint wrong;  /* what nobody may ever be given */
  guint errors; /* what can't be read, and is told so */
  guint faults; /* of verify */
} Outcome;

/* (unowned) of the running test: the store logs on threads of its own */
extern GString *told;

void remove_directory (Fixture *f);
gboolean was_told (const char *what);
void forget_told (void);
GPtrArray *take_image (Fixture *f);
void write_file (Fixture *f, const File *file);
void lay_out (Fixture *f, GPtrArray *image);
File *find_file (Fixture *f, const char *prefix, gboolean last);
void remove_file (Fixture *f, const File *file);
gboolean try_open (Fixture *f, guint64 min_position, GError **error);
void open_store (Fixture *f);
void close_store (Fixture *f);
GBytes *filling (guint seed, gsize length);
void set_value (Fixture *f, guint n, guint seed, gsize length);
void patch_value (Fixture *f, guint n);
void delete_value (Fixture *f, guint n);
void checkpoint (Fixture *f);
void set_up (Fixture *f, gconstpointer data);
void tear_down (Fixture *f, gconstpointer data);
void count_fault (const RookStoreFault *fault, gpointer data);
Outcome use_store (Fixture *f);
void expect_all (Fixture *f);
void expect_whole (Fixture *f);
GsCurrent *read_current (Fixture *f);
/* For main(): what stores log goes to `told`. */
void listen_to_stores (void);

#define DAMAGE_TEST(path, data, func) g_test_add (path, Fixture, GUINT_TO_POINTER (data), set_up, func, tear_down)

G_END_DECLS
