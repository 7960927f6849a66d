/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The directory service as the daemon sees it, and the directory that says "here".
 */
#pragma once

#include "rookery/directory.h"

G_BEGIN_DECLS

RookDirectoryService *rook_directory_new (RookServer *server);
void rook_directory_free (RookDirectoryService *service);

/* Every mailbox is here, and nobody else need agree. */
extern const RookDirectory rook_local_directory;

G_END_DECLS
