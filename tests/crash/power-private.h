/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a recording is made of: between power.c, which makes it, and power-disk.c, which makes disks of it.
 */
#pragma once

#include "power.h"

G_BEGIN_DECLS

/* A file or a directory. Its number is its place in the recording's list. */
typedef struct {
  gboolean is_dir;
  GByteArray *data; /* (owned) of a file: as durable at the beginning */
  guint64 size;     /* now */
} Node;

typedef enum { OP_WRITE, OP_SIZE, OP_LINK, OP_UNLINK, OP_RENAME, OP_SYNC, OP_SYNC_FAILED, OP_MARK } OpKind;

/* SYNC_FAILED is a close after writes without a sync, too: that they could not be written nobody would be told. */

typedef struct {
  OpKind kind;
  guint node; /* whose data; of LINK and RENAME what is named; of SYNC what is synced */
  guint dir;  /* of names: the directory */
  char *name; /* (owned) (nullable) in @dir; of RENAME the new one */
  char *old;  /* (owned) (nullable) the former name, in the same directory */
  guint64 offset;
  GBytes *data; /* (owned) (nullable) of WRITE */
  guint64 mark; /* or the size of SIZE */
  gboolean grows;
} Op;

typedef struct {
  guint dir;
  char *name;
  guint node;
} Entry;

struct PowerRecording {
  char *root;
  GPtrArray *nodes; /* (element-type Node) 0: the root */
  GArray *entries;  /* (element-type Entry) names at the beginning */
  GArray *ops;      /* (element-type Op) */
  GArray *instants; /* (element-type guint) number of ops before the cut */
};

G_END_DECLS
