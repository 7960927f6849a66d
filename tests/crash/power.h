/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Power cuts. While a recording runs, every write, truncate, allocation, rename, link, unlink and sync below one directory is
 * noted in order, those of libraries too (power.c defines the C library's functions anew). Afterwards any instant of
 * the recording can be made into the disks that a power cut at that instant may leave: all that was synced is there; of
 * what was not, any part of it, writes torn at 512 bytes; names only if their directory was synced. What was written before
 * a sync that failed no later sync brings back.
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
/* The @countdown-th sync of a file from now on fails; 0: none. Any thread. */
void power_fail_sync (guint countdown);
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
