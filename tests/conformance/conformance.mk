# SPDX-License-Identifier: LGPL-2.1-or-later
# Builds the conformance suite around a backend, from the .c files here (yours, one of them with a main()), and runs it:
#   make -f $(pkg-config --variable=conformancedir rookery-1)/conformance.mk check
SUITE := $(dir $(lastword $(MAKEFILE_LIST)))
SOURCES ?= $(wildcard *.c */*.c)
CFLAGS ?= -O2 -g -Wall
conformance-test: $(SOURCES) $(wildcard *.h */*.h $(SUITE)*.c $(SUITE)*.h)
	$(CC) -I. -I$(SUITE) $(CPPFLAGS) $(CFLAGS) -std=gnu11 $$(pkg-config --cflags rookery-1) -o $@ $(filter %.c,$^) \
	  $(LDFLAGS) $$(pkg-config --libs rookery-1) $(LDLIBS)
check: conformance-test
	./conformance-test
.PHONY: check
