/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The conformance suite of storage backends: what rookery/storage.h promises, sentence by sentence, as GLib tests that run
 * against any backend. A site that writes a backend has a main() of ten lines, and conformance.mk builds the rest around it.
 */
#pragma once

#include "rookery/storage.h"

G_BEGIN_DECLS

/* The backend under test, and how to get an empty place for it. */
typedef struct {
  const char *name; /* the tests are /conformance/NAME/... */
  const RookStorageBackend *backend;
  /* Makes a place where there is no store yet. @out_data: what its open is given. */
  char *(*place_new) (gpointer *out_data); /* (transfer full): its path */
  void (*place_free) (char *path, gpointer data);
} RookConformance;

/* Adds all tests; then g_test_run(). @subject: (unowned) */
void rook_conformance_add_tests (const RookConformance *subject);

G_END_DECLS
