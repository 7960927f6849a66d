/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shared objects as files.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Whether the file open as @fd is a shared object of this host's kind, and everything is there that the loader will map
 * and follow. @path: for the message. Errors: %ROOK_PLUGIN_ERROR_LOAD. */
gboolean rook_elf_check (int fd, const char *path, GError **error);

G_END_DECLS
