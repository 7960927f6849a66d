/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rookctl, the administrator's tool: hands its words to the running server and shows the answer. Which verbs there are
 * is the server's to say; nothing is known of them here but how to ask for a password, and how to describe settings
 * when there is no server.
 */
#include "rookctl-private.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "installdirs.h"

#define MAX_TIMEOUT_S 86400

static const char *const formats[] = { "--sample", "--man", "--data", NULL };

typedef struct {
  char *socket_path;
  char *modules;
  gboolean json, version, local;
  int timeout_s;
  gboolean progress_shown;
  GPtrArray *words; /* ends with NULL */
  guint n_options;  /* so many of them may be options: those behind a "--", and a password, are none */
} Options;

/* --- command line -------------------------------------------------------------------------------------------------- */

/* What is left: the verb and its arguments, among them options of its own, which the server knows. */
static void
collect_words (Options *options, int argc, char **argv)
{
  options->n_options = G_MAXUINT;
  for (int i = 1; i < argc; i++)
    if (options->n_options == G_MAXUINT && strcmp (argv[i], "--") == 0)
      options->n_options = options->words->len;
    else
      g_ptr_array_add (options->words, g_strdup (argv[i]));
  options->n_options = MIN (options->n_options, options->words->len);
  g_ptr_array_add (options->words, NULL);
}

static int
usage (GOptionContext *context, const char *problem)
{
  g_autofree char *help = g_option_context_get_help (context, TRUE, NULL);

  if (problem != NULL)
    g_printerr ("rookctl: %s\n\n", problem);
  g_printerr ("%s", help);
  return ROOKCTL_USAGE;
}

static int
parse_options (Options *options, int argc, char **argv)
{
  const GOptionEntry entries[] = {
    { "socket", 's', 0, G_OPTION_ARG_FILENAME, &options->socket_path,
      "The control socket (" ROOK_RUNDIR "/control.sock)", "PATH" },
    { "json", 'j', 0, G_OPTION_ARG_NONE, &options->json, "Print the answer as JSON", NULL },
    { "local", 0, 0, G_OPTION_ARG_NONE, &options->local, "config describe: do not ask the server", NULL },
    { "modules", 0, 0, G_OPTION_ARG_FILENAME, &options->modules, "config describe: of the plugins in DIR", "DIR" },
    { "timeout", 't', 0, G_OPTION_ARG_INT, &options->timeout_s,
      "How long the server may say nothing before it is given up; 0: for ever (30)", "SECONDS" },
    { "version", 0, 0, G_OPTION_ARG_NONE, &options->version, "Print the version and exit", NULL },
    G_OPTION_ENTRY_NULL,
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("VERB [ARGUMENT ...]");
  g_autoptr (GError) error = NULL;

  g_option_context_set_summary (context, "Looks at and steers a running rookeryd. `rookctl help` lists its verbs.");
  g_option_context_set_ignore_unknown_options (context, TRUE);
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    return usage (context, error->message);
  if (options->timeout_s < 0 || options->timeout_s > MAX_TIMEOUT_S)
    return usage (context, "--timeout takes seconds, up to a day");
  if (argc > 1 && argv[1][0] == '-' && strcmp (argv[1], "--") != 0)
    {
      g_autofree char *problem = g_strdup_printf ("unknown option %s", argv[1]);

      return usage (context, problem);
    }
  collect_words (options, argc, argv);
  return options->words->pdata[0] != NULL || options->version ? ROOKCTL_OK : usage (context, NULL);
}

/* --- the terminal -------------------------------------------------------------------------------------------------- */

static void
show_progress (double percent, const char *text, gpointer data)
{
  Options *options = data;
  struct winsize size = { 0 };
  g_autofree char *bar = NULL;

  if (!isatty (STDERR_FILENO))
    return;
  ioctl (STDERR_FILENO, TIOCGWINSZ, &size);
  bar = rookctl_show_progress (percent, text, size.ws_col > 1 ? size.ws_col - 1 : 79);
  g_printerr ("\r%s\033[K", bar);
  options->progress_shown = TRUE;
}

static void
clear_progress (Options *options)
{
  if (options->progress_shown)
    g_printerr ("\r\033[K");
  options->progress_shown = FALSE;
}

static void
set_echo (gboolean on)
{
  struct termios settings;

  if (tcgetattr (STDIN_FILENO, &settings) != 0)
    return;
  settings.c_lflag = on ? settings.c_lflag | ECHO : settings.c_lflag & ~(tcflag_t) ECHO;
  tcsetattr (STDIN_FILENO, TCSAFLUSH, &settings);
}

/* A line of standard input, not shown while it is typed. Returns: (nullable): the end of input, or no password that could be
 * typed again. */
static char *
read_password (const char **out_problem)
{
  gboolean terminal = isatty (STDIN_FILENO);
  char *line = NULL;
  size_t size = 0;
  ssize_t length;
  char *password = NULL;

  if (terminal)
    {
      g_printerr ("Password: ");
      set_echo (FALSE);
    }
  length = getline (&line, &size, stdin);
  if (terminal)
    {
      set_echo (TRUE);
      g_printerr ("\n");
    }
  if (length > 0 && line[length - 1] == '\n')
    line[--length] = '\0';
  else if (length <= 0)
    *out_problem = "no password was given";
  if (length >= 0 && *out_problem == NULL && strlen (line) != (gsize) length)
    *out_problem = "a password can't have a NUL byte";
  if (*out_problem == NULL)
    password = g_strdup (line);
  if (line != NULL)
    explicit_bzero (line, size);
  free (line);
  return password;
}

/* --- calling ------------------------------------------------------------------------------------------------------- */

static void
print_result (const Options *options, GVariant *result)
{
  g_autofree char *text = options->json ? rookctl_show_json (result) : rookctl_show_text (result);

  fputs (text, stdout);
  if (options->json)
    fputc ('\n', stdout);
}

static int
print_description (const Options *options)
{
  const char *modules = options->modules != NULL ? options->modules : ROOK_PLUGINDIR;
  const char *const *arguments = (const char *const *) options->words->pdata + 2;
  g_autoptr (GVariant) value = NULL;

  if (arguments[0] != NULL && g_str_has_prefix (arguments[0], "--") && !g_strv_contains (formats, arguments[0]))
    {
      g_printerr ("rookctl: usage: config describe [--sample|--man|--data] [GROUP]\n");
      return ROOKCTL_USAGE;
    }
  value = rookctl_describe (modules, arguments);
  if (value == NULL)
    {
      g_printerr ("rookctl: there is no such group\n");
      return ROOKCTL_REFUSED;
    }
  print_result (options, value);
  return ROOKCTL_OK;
}

static gboolean
is_verb (const Options *options, const char *first, const char *second)
{
  const char *const *words = (const char *const *) options->words->pdata;

  return strcmp (words[0], first) == 0 && g_strcmp0 (words[1], second) == 0;
}

static gboolean
is_describe (const Options *options)
{
  return is_verb (options, "config", "describe");
}

/* For programs: data, not a text in quotation marks, and all of it; unless something else was asked for. */
static void
ask_for_data (Options *options)
{
  const char *option = is_describe (options) ? "--data" : is_verb (options, "store", "list") ? "--long" : NULL;

  if (option == NULL || (options->n_options > 2 && g_str_has_prefix (options->words->pdata[2], "--")))
    return;
  g_ptr_array_insert (options->words, 2, g_strdup (option));
  options->n_options = MAX (options->n_options, 2) + 1;
}

static int
call_once (Options *options, GVariant **out_result, char **out_message)
{
  g_autoptr (GPtrArray) request = g_ptr_array_new ();
  int status;

  g_ptr_array_extend (request, options->words, NULL, NULL);
  if (request->pdata[options->n_options] != NULL)
    g_ptr_array_insert (request, (int) options->n_options, (gpointer) "--");
  status = rookctl_call (options->socket_path, (guint) options->timeout_s, (const char *const *) request->pdata,
                         show_progress, options, out_result, out_message);
  clear_progress (options);
  return status;
}

static int
call (Options *options, GVariant **out_result, char **out_message)
{
  int status = call_once (options, out_result, out_message);
  const char *problem = NULL;
  char *password;

  if (status != ROOKCTL_USAGE || !rookctl_lacks_password (*out_message, (const char *const *) options->words->pdata))
    return status;
  g_clear_pointer (out_message, g_free);
  password = read_password (&problem);
  if (password == NULL)
    {
      *out_message = g_strdup (problem);
      return ROOKCTL_USAGE;
    }
  g_ptr_array_insert (options->words, (int) options->words->len - 1, password);
  return call_once (options, out_result, out_message);
}

/* Whoever looks at the list of processes would see it. */
static gboolean
has_password (const Options *options)
{
  const char *const *words = (const char *const *) options->words->pdata;

  return strcmp (words[0], "user") == 0 && words[1] != NULL && options->words->len > 4
         && (strcmp (words[1], "add") == 0 || strcmp (words[1], "passwd") == 0);
}

static int
run (Options *options)
{
  g_autoptr (GVariant) result = NULL;
  g_autofree char *message = NULL;
  int status;

  if (options->json)
    ask_for_data (options);
  if (options->local && is_describe (options))
    return print_description (options);
  if (options->local || options->modules != NULL)
    {
      g_printerr ("rookctl: --local and --modules are for config describe: whatever else asks the server\n");
      return ROOKCTL_USAGE;
    }
  if (has_password (options))
    {
      g_printerr ("rookctl: a password is asked for or read from standard input, never given as an argument\n");
      return ROOKCTL_USAGE;
    }
  status = call (options, &result, &message);
  if (status == ROOKCTL_OK)
    print_result (options, result);
  else if (status == ROOKCTL_UNREACHABLE && is_describe (options))
    return print_description (options);
  else
    {
      if (status == ROOKCTL_USAGE && g_str_has_suffix (message, " PASSWORD"))
        message[strlen (message) - strlen (" PASSWORD")] = '\0';
      g_printerr ("rookctl: %s\n", message);
    }
  return status;
}

int
main (int argc, char **argv)
{
  Options options = { .timeout_s = 30, .words = g_ptr_array_new_with_free_func (g_free) };
  int status;

  setlocale (LC_ALL, "");
  status = parse_options (&options, argc, argv);
  if (options.socket_path == NULL)
    options.socket_path = g_strdup (ROOK_RUNDIR "/control.sock");
  if (status == ROOKCTL_OK && options.version)
    g_print ("rookctl %s\n", PACKAGE_VERSION);
  else if (status == ROOKCTL_OK)
    status = run (&options);
  g_ptr_array_unref (options.words);
  g_free (options.socket_path);
  g_free (options.modules);
  return status;
}
