/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the modules here call in the test program that loads them, to say what is being done to them.
 */
#pragma once

#include "rookery/plugin.h"

/* Appends "NAME what" to the test's list. Any thread. */
extern void test_trace (const char *name, const char *what);
/* 1 for the first call in a test, then 2 ... */
extern guint test_count_starts (void);
