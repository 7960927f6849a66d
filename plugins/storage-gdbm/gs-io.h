/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every write, sync, rename and unlink of the store goes through here: whole or an error, errno turned into our errors,
 * and a place where tests make the n-th one fail.
 */
#pragma once

#include <sys/uio.h>

#include "rookery/storage.h"

G_BEGIN_DECLS

typedef enum { GS_IO_READ = 1 << 0, GS_IO_WRITE = 1 << 1, GS_IO_SYNC = 1 << 2, GS_IO_NAME = 1 << 3 } GsIoKind;

/* What tests set by gs_io_fail(): the @countdown-th call of one of @kinds fails with @error, and with @forever every one
 * after it. */
typedef struct {
  RookMutex lock;  /* guards what follows */
  guint countdown; /* 0: none fails */
  guint kinds;
  int error;
  gboolean forever;
} GsIo;

void gs_io_init (GsIo *io);
void gs_io_clear (GsIo *io);
void gs_io_fail (GsIo *io, guint kinds, int error, guint countdown, gboolean forever); /* countdown 0: no more */

/* Errors: FULL for no space, else IO. @format says what was done to what. */
void gs_set_errno (GError **error, int code, const char *format, ...) G_GNUC_PRINTF (3, 4);
/* Whether this call may go on; else errno is set. For calls that are not in this file (GDBM's). */
gboolean gs_io_allowed (GsIo *io, GsIoKind kind);

gboolean gs_io_pread (GsIo *io, int fd, gpointer buffer, gsize length, guint64 offset, const char *name,
                      GError **error);
gboolean gs_io_pwrite (GsIo *io, int fd, gconstpointer data, gsize length, guint64 offset, const char *name,
                       GError **error);
/* @parts is used up. */
gboolean gs_io_pwritev (GsIo *io, int fd, struct iovec *parts, guint n_parts, guint64 offset, const char *name,
                        GError **error);
gboolean gs_io_sync (GsIo *io, int fd, const char *name, GError **error);
gboolean gs_io_sync_dir (GsIo *io, int dir, GError **error);
/* Returns: the descriptor, or -1 with an error. */
int gs_io_open (GsIo *io, int dir, const char *name, int flags, GError **error);
gboolean gs_io_rename (GsIo *io, int dir, const char *from, const char *to, GError **error);
/* A missing file is no error. */
gboolean gs_io_unlink (GsIo *io, int dir, const char *name, GError **error);
/* Blocks of the disk for [offset, offset + length), so that writing there can't find it full. */
gboolean gs_io_allocate (GsIo *io, int fd, guint64 offset, guint64 length, const char *name, GError **error);
gboolean gs_io_truncate (GsIo *io, int fd, guint64 length, const char *name, GError **error);
gboolean gs_io_size (int fd, guint64 *out_size, const char *name, GError **error);

/* Replaces @name by a file with @data: durable under its name when this returns, else the old one is there. */
gboolean gs_io_replace (GsIo *io, int dir, const char *name, gconstpointer data, gsize length, GError **error);
/* Returns: (transfer full): %NULL with an error; a missing file gives IDENTITY. */
GBytes *gs_io_read_file (GsIo *io, int dir, const char *name, gsize max_length, GError **error);

G_END_DECLS
