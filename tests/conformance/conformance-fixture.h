/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the suite share: a fixture with a loop and an empty place, and short words for what tests say. Not for
 * those who run it.
 */
#pragma once

#include "conformance.h"

G_BEGIN_DECLS

typedef struct {
  const RookConformance *subject;
  RookLoop *loop;
  char *path;
  gpointer data;
  RookStore *store; /* (nullable) */
} Fixture;

typedef void (*ConformanceFunc) (Fixture *f);
void conformance_add (const RookConformance *subject, const char *path, ConformanceFunc func);
void conformance_add_open_tests (const RookConformance *subject);
void conformance_add_value_tests (const RookConformance *subject);
void conformance_add_order_tests (const RookConformance *subject);
void conformance_add_blob_tests (const RookConformance *subject);
void conformance_add_model_tests (const RookConformance *subject);

void conformance_open (Fixture *f);
void conformance_reopen (Fixture *f);
/* An open that must fail with @code. */
void conformance_open_fails (Fixture *f, const RookStoreSpec *spec, RookStoreError code);
void conformance_commit (Fixture *f, RookBatch *batch);
GBytes *conformance_bytes (const char *text);
void conformance_put (RookBatch *batch, RookTable table, const char *key, const char *value);
void conformance_patch (RookBatch *batch, RookTable table, const char *key, guint64 offset, const char *bytes);
/* @value: (nullable) NULL: there must be no such key */
void conformance_expect (Fixture *f, RookTable table, const char *key, const char *value);
void conformance_expect_bytes (GBytes *bytes, gconstpointer data, gsize length);
void conformance_expect_blob (Fixture *f, RookBlobId blob, const char *text); /* NULL: NOT_FOUND */
RookBlobId conformance_blob (RookBatch *batch, const char *content_key, const char *label, const char *body);
/* A body of @length bytes that depends on @seed. */
GBytes *conformance_body (guint32 seed, gsize length);
/* Verify finds no fault. */
void conformance_expect_clean (Fixture *f);
/* Runs @func on a worker and returns once rook_conformance_done() was called. */
void conformance_on_worker (Fixture *f, RookFunc func, gpointer data);
void conformance_done (void);

G_END_DECLS
