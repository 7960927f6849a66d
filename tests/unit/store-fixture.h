/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One key and one value of table 1, for tests of what a store does with batches and not of what is in them.
 */
#pragma once

#include "rookery/storage.h"

G_BEGIN_DECLS

GBytes *bytes_of (const char *text);
RookBatch *batch_with (RookStore *store, const char *key, const char *value);
/* Commits, and asserts that it went well. */
void commit (RookStore *store, RookBatch *batch);
void put (RookStore *store, const char *key, const char *value);
/* Returns: the error's code, or -1. */
int try_put (RookStore *store, const char *key, const char *value);
/* Reads the key's value, waiting and at once: it is @value. @value: (nullable) not there */
void expect (RookStore *store, const char *key, const char *value);
/* After a failed batch: until the store takes batches again. */
void wait_until_open (RookStore *store);

G_END_DECLS
