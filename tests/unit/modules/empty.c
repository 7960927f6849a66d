/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A shared object that is no plugin.
 */
#include <glib.h>

extern const int not_a_descriptor __attribute__ ((visibility ("default")));
const int not_a_descriptor = 1;
