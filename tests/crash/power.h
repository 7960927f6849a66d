/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Power cuts. While a recording runs, every write, truncate, allocation, rename, link, unlink and sync below one directory is
 * noted in order, those of libraries too (power.c defines the C library's functions anew). Afterwards any instant of
 * the recording can be made into the disks that a power cut at that instant may leave: all that was synced is there; of
 * what was not, any part of it, writes torn at 512 bytes; names only if their directory was synced. What was written before
 * a sync that failed no later sync brings back, nor what was written by a descriptor that was closed without one; syncs that
 * libgdbm makes of its own accord count for nothing. Calls can be made to fail, and the disk to be full.
 *
 * One recording at a time. Files are not mapped, links not symbolic: who does that is not recorded.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct PowerRecording PowerRecording;

/* Begins with what is below @root now, as durable. */
void power_begin (const char *root);
/* Notes that @what was acknowledged now. Any thread. */
void power_mark (guint64 what);

/* Calls on what is below the root. */
typedef enum {
  POWER_READ = 1 << 0,    /* opens too */
  POWER_WRITE = 1 << 1,   /* truncates and allocations too */
  POWER_NAME = 1 << 2,    /* what makes, renames and removes */
  POWER_SYNC = 1 << 3,    /* of a file */
  POWER_SYNC_DIR = 1 << 4 /* of a directory */
} PowerCalls;

typedef struct {
  PowerCalls calls;
  int error;         /* errno */
  guint nth;         /* the first that fails, counted from 1 */
  guint n;           /* how many fail; G_MAXUINT: all from there on */
  gboolean is_short; /* before them a write does half of what it should */
} PowerFault;

/* While it is recorded: such calls fail from now on. @fault: (nullable) none. Any thread, like what follows. */
void power_fail (const PowerFault *fault);
guint power_count_failed (void); /* since power_fail() */
guint power_count_calls (void);  /* of those that were named to it, since */
/* The disk has room for so many bytes more, and says so to fstatvfs(); negative: as many as there are. */
void power_set_space (gint64 bytes);
gint64 power_get_space (void);

/* Frees: power_recording_free(). */
PowerRecording *power_end (void);
void power_recording_free (PowerRecording *recording);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PowerRecording, power_recording_free)

/* Instants worth a look: before and after every sync, after every mark, and the end; at least one. */
guint power_recording_count_instants (PowerRecording *recording);
/* What was marked before instant @index: calls @func for each, in order. */
void power_recording_foreach_mark (PowerRecording *recording, guint index, void (*func) (guint64 what, gpointer data),
                                   gpointer data);
/* Operations that instant @index may lose, all or any of them. */
guint power_recording_count_pending (PowerRecording *recording, guint index);
/**
 * power_recording_make_disk:
 * @pick: 0 up to power_recording_count_disks()
 * @dir: a directory that exists; what is in it is replaced
 *
 * Makes one of the disks of instant @index. The same arguments and seed make the same disk.
 * Returns: a hash of names and contents, to tell disks apart by.
 */
guint64 power_recording_make_disk (PowerRecording *recording, guint index, guint pick, guint32 seed, const char *dir);
/* How many there are of instant @index: every subset of up to five operations that are pending, else 64 by the seed; each
 * again with torn writes if anything can be torn. */
guint power_recording_count_disks (PowerRecording *recording, guint index);

G_END_DECLS
