# SPDX-License-Identifier: LGPL-2.1-or-later
# Builds a plugin out of the tree from the .c files beside it: make -f plugin.mk NAME=example; then the same with `install`.
NAME ?= example
CFLAGS ?= -O2 -g -Wall
$(NAME).so: $(wildcard *.c *.h)
	$(CC) $(CPPFLAGS) $(CFLAGS) -std=gnu11 -fPIC -fvisibility=hidden $$(pkg-config --cflags rookery-1) -shared -o $@ \
	  $(filter %.c,$^) $(LDFLAGS) $$(pkg-config --libs rookery-1)
install: $(NAME).so
	install -D -m 0644 $(NAME).so $(DESTDIR)$$(pkg-config --variable=plugindir rookery-1)/$(NAME).so
.PHONY: install
