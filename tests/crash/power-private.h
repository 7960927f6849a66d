/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a recording is made of: between power.c, which keeps it, power-calls.c, which stands in for the C library, and power-disk.c,
 * which makes disks of it.
 */
#pragma once

#include <pthread.h>
#include <sys/uio.h>

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

/* A descriptor. */
typedef struct {
  guint node;         /* + 1; 0: not ours */
  gboolean has_dirty; /* something was written by it and not synced */
} Handle;

/* What runs now. The lock is recursive for no one: the functions that take the place of the C library's never call each other. */
typedef struct {
  pthread_mutex_t lock;
  PowerRecording *recording; /* (nullable) */
  GHashTable *names;         /* path relative to the root to node + 1 */
  Handle *fds;               /* by descriptor */
  guint n_fds;
  PowerFault fault; /* nth: counted from now; 0: none */
  guint n_failed, n_calls;
  gboolean is_limited;
  gint64 space; /* left, if it is limited */
} PowerNow;
extern PowerNow power_now;

/* With the lock held, all of them. What is not below the root is node 0, so nodes are given here as their number + 1, but for
 * power_add_node(), power_note() and power_note_named(). */
guint power_node_of_fd (int fd);
Node *power_get_node (guint node_plus_one);
void power_set_fd (int fd, guint node_plus_one);
char *power_path_below (int dirfd, const char *path);
guint power_node_at (const char *path);
guint power_add_node (PowerRecording *recording, gboolean is_dir);
void power_note (Op op);
void power_note_named (OpKind kind, const char *path, guint node, const char *old_path);
void power_note_write (int fd, const struct iovec *parts, int n_parts, gint64 offset, gssize written);
int power_note_size (int fd, guint64 size, gboolean grows, int result);
void power_note_open (const char *path, int flags, int fd);
gboolean power_fails (gboolean ours, PowerCalls call);
gsize power_allow_write (int fd, gsize length, guint64 offset);
gboolean power_take_room (guint node_plus_one, guint64 size);

G_END_DECLS
