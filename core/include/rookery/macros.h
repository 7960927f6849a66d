/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The words that every public header uses: what is exported, which ABI this is, how structs grow.
 *
 * A struct that plugins fill in starts with `gsize struct_size`; members are only ever appended, and the core reads
 * no further than the size it is given. ROOK_ABI_MAJOR changes when anything else changes, ROOK_ABI_MINOR with every
 * addition.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* On declarations of the library's own functions. */
#define ROOK_EXPORT extern __attribute__ ((visibility ("default")))

/* The plugin ABI. API diary, after 1.0:
 *   1.1  RookPluginDescriptor.protocols
 *   1.2  RookDeliveryRequest.protocol; RookPluginDescriptor.storages, .checkers, .jobs, .needs_store, .is_directory;
 *        rook_mail_is_available()
 *   2.0  RookStoreProgress says whether to go on; ROOK_STORE_ERROR_CANCELLED
 *   2.1  mime-text.h; RookMimePart.charset, rook_mime_next_part(), rook_mime_get_fields()
 *   2.2  quota: rook_mail_set_quota() and its like; RookAppend.may_overshoot
 *   2.3  ROOK_MAIL_ERROR_FULL, ROOK_DELIVERY_FULL
 */
#define ROOK_ABI_MAJOR 2
#define ROOK_ABI_MINOR 3

/* Whether the struct that @ptr points to, of a caller built against some older header, has @member. */
#define ROOK_STRUCT_HAS(ptr, type, member) \
  ((ptr)->struct_size >= G_STRUCT_OFFSET (type, member) + sizeof (((type *) 0)->member))

/* The objects that many headers speak of; each is opaque and described in the header of its service. */
typedef struct RookServer RookServer;
typedef struct RookPlugin RookPlugin;
typedef struct RookConnection RookConnection;
typedef struct RookIdentity RookIdentity;

/* What everything asynchronous takes: a function and what to give it. */
typedef void (*RookFunc) (gpointer data);

G_END_DECLS
